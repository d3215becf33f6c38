"""The board beside the driver: what workers post, it writes into the folders of attempts, and into nothing else."""

import errno
import json
import os
import re
from pathlib import Path

import pytest

from doubleread import disk, files
from doubleread.store import board as boards
from doubleread.store import has_begun, is_whole, read_beat, read_progress
from doubleread.store.board import HEARD_POSTS, HEARD_SECONDS, PERIOD, POSTS_A_SECOND, Board, Reply, Start

GO_ON = Reply(stop=False, full=False, period=PERIOD)
LEFT = {
    "run.json": b'{"state": "done"}',
    "weights.safetensors": b"weights",
    "logits.npz": b"logits",
    "progress.jsonl": b'{"epoch": 0}\n',
}


@pytest.fixture
def board():
    """One with nothing on it."""
    return Board()


@pytest.fixture
def folder(tmp_path):
    """The folder of an attempt, as the driver makes it."""
    path = tmp_path / "artifacts" / "r.attempt-1"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def written(monkeypatch):
    """The names of durable writes, in their order; the disk has no room for those in `full`."""
    names, full = [], set()

    def write(path, content):
        if path.name in full:
            raise OSError(errno.ENOSPC, "No space left on device")
        names.append(path.name)
        files.write_into(path, content)

    monkeypatch.setattr(boards, "write_into", write)
    return names, full


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_free(folder):
    held = disk.lock(folder)
    if held is None:
        return False
    os.close(held)
    return True


def test_a_run_from_its_begin_to_its_record(board, folder):
    assert board.begin([folder], "node-1") == Start(over=False, checkpoints=(None,), period=PERIOD)
    assert not has_begun(folder)
    assert board.post(folder, {"progress.jsonl": b'{"epoch": 0}\n{"epo', "beat": b"1\n"}) == GO_ON
    assert has_begun(folder)
    assert read_progress(folder) == [{"epoch": 0}]
    assert read_beat(folder) == "1\n"
    assert board.post(folder, {"beat": b"2\n"}) == GO_ON
    assert read_beat(folder) == "2\n"
    assert not is_whole(folder)
    assert board.post(folder, LEFT) == GO_ON
    assert content_of(folder) == {**LEFT, "beat": b"2\n"}
    assert is_whole(folder)


def test_nothing_to_post_is_a_question_too(board, folder):
    board.begin([folder], "node-1")
    assert board.post(folder, {}) == GO_ON
    board.stop()
    assert board.post(folder, {}) == Reply(stop=True, full=False, period=PERIOD)
    assert content_of(folder) == {}


def test_the_record_is_written_last_wherever_it_stands(board, folder, written):
    names, _ = written
    board.begin([folder], "node-1")
    board.post(folder, LEFT)
    # progress may be lost with the machine, so it is no durable write
    assert names == ["weights.safetensors", "logits.npz", "run.json"]
    assert content_of(folder) == LEFT


def test_after_the_wish_to_stop_what_is_posted_is_still_written(board, folder):
    board.begin([folder], "node-1")
    board.stop()
    assert board.post(folder, {"checkpoint.safetensors": b"here"}) == Reply(stop=True, full=False, period=PERIOD)
    assert content_of(folder) == {"checkpoint.safetensors": b"here"}


def test_a_full_disk_is_told_and_what_is_there_is_kept(board, folder, written):
    _, full = written
    board.begin([folder], "node-1")
    board.post(folder, {"checkpoint.safetensors": b"older"})
    full |= {"checkpoint.safetensors"}
    assert board.post(folder, {"checkpoint.safetensors": b"newer"}) == Reply(stop=False, full=True, period=PERIOD)
    assert content_of(folder) == {"checkpoint.safetensors": b"older"}


def test_on_a_full_disk_no_record_stands_beside_a_file_that_is_missing(board, folder, written):
    _, full = written
    board.begin([folder], "node-1")
    full |= {"logits.npz"}
    assert board.post(folder, LEFT).full
    assert not is_whole(folder)
    assert content_of(folder) == {"weights.safetensors": b"weights"}
    assert board.places() == {folder: ("node-1", True)}


def test_every_worker_hears_of_a_full_disk(board, folder, written):
    _, full = written
    other = folder.with_name("q.attempt-1")
    other.mkdir()
    full |= {"checkpoint.safetensors"}
    board.begin([folder], "node-1")
    board.begin([other], "node-2")
    board.post(folder, {"checkpoint.safetensors": b"x"})
    assert board.post(other, {"beat": b"1\n"}) == Reply(stop=False, full=True, period=PERIOD)


def test_a_disk_that_fails_otherwise_is_an_error(board, folder, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(boards, "write_into", broken)
    board.begin([folder], "node-1")
    with pytest.raises(OSError, match=r"^\[Errno 5\] Input/output error$"):
        board.post(folder, {"run.json": b"{}"})
    assert not is_whole(folder)


def test_an_attempt_whose_folder_is_gone_is_not_made_again(board, tmp_path):
    gone = tmp_path / "r.attempt-1"
    board.begin([gone], "node-1")
    with pytest.raises(FileNotFoundError):
        board.post(gone, {"run.json": b"{}"})
    with pytest.raises(FileNotFoundError):
        board.post(gone, {"beat": b"1\n"})
    assert list(tmp_path.iterdir()) == []


def test_begin_gives_back_the_checkpoint_of_each_run_of_a_stack(board, folder):
    other = folder.with_name("q.attempt-2")
    other.mkdir()
    (other / "checkpoint.safetensors").write_bytes(b"state")
    assert board.begin([folder, other], "node-1") == Start(over=False, checkpoints=(None, b"state"), period=PERIOD)
    # by a worker elsewhere, after the one that died
    board.post(folder, {"checkpoint.safetensors": b"first"})
    assert board.begin([folder, other], "node-2").checkpoints == (b"first", b"state")
    assert board.places() == {folder: ("node-2", True), other: ("node-2", True)}


def test_begin_says_that_there_is_nothing_left_to_do(board, folder):
    other = folder.with_name("q.attempt-1")
    other.mkdir()
    board.begin([folder, other], "node-1")
    board.post(folder, LEFT)
    # one of a stack is missing
    assert not board.begin([folder, other], "node-2").over
    board.post(folder, LEFT)
    board.post(other, LEFT)
    assert board.begin([folder, other], "node-3") == Start(over=True, checkpoints=(), period=PERIOD)
    assert board.places() == {}


def test_places_are_those_of_runs_under_way(board, folder):
    assert board.places() == {}
    board.begin([folder], "node-1")
    found = board.places()
    assert found == {folder: ("node-1", True)}
    # a copy, which can go to another process
    found.clear()
    assert board.places() == {folder: ("node-1", True)}
    board.post(folder, {"checkpoint.safetensors": b"x"})
    assert board.places() == {folder: ("node-1", True)}
    board.post(folder, LEFT)
    assert board.places() == {}


def test_one_that_is_not_heard_of_may_wait_to_be_begun_again(folder):
    now = [0.0]
    board = Board(clock=lambda: now[0])
    board.begin([folder], "node-1")
    now[0] = HEARD_POSTS * PERIOD + HEARD_SECONDS
    assert board.places() == {folder: ("node-1", True)}
    now[0] += 0.1
    assert board.places() == {folder: ("node-1", False)}
    # a word without a file is a sign of life
    board.post(folder, {})
    assert board.places() == {folder: ("node-1", True)}
    now[0] += 1000
    board.begin([folder], "node-2")
    assert board.places() == {folder: ("node-2", True)}


def test_a_later_attempt_of_a_run_takes_the_place_of_the_one_before(board, folder):
    board.begin([folder], "node-1")
    other, later = folder.with_name("q.attempt-1"), folder.with_name("r.attempt-2")
    other.mkdir()
    later.mkdir()
    board.begin([other], "node-2")
    board.begin([later], "node-2")
    assert board.places() == {other: ("node-2", True), later: ("node-2", True)}
    assert is_free(folder)
    assert not is_free(later)
    # a worker that was taken for dead is told to stop, and changes nothing
    assert board.post(folder, LEFT) == Reply(stop=True, full=False, period=PERIOD)
    assert content_of(folder) == {}


@pytest.mark.parametrize("name", ["store.sqlite", "../store.sqlite", "run.json.py", ""])
def test_a_file_that_no_worker_leaves_is_not_written(board, folder, name):
    board.begin([folder], "node-1")
    with pytest.raises(ValueError, match=rf"^no worker leaves {re.escape(name)}$"):
        board.post(folder, {name: b"x", "beat": b"1\n"})
    assert content_of(folder) == {}


def test_a_run_under_way_has_its_lock_and_its_record_gives_it_back(board, folder):
    assert is_free(folder)
    board.begin([folder], "node-1")
    assert not is_free(folder)
    # a second worker of the same attempt finds it held by the same board
    assert not board.begin([folder], "node-2").over
    assert not is_free(folder)
    board.post(folder, LEFT)
    assert is_free(folder)


@pytest.mark.parametrize("number", sorted(disk.NO_LOCKS), ids=errno.errorcode.get)
def test_a_file_system_without_locks(board, folder, monkeypatch, number):
    def none(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("doubleread.disk.fcntl.flock", none)
    assert board.begin([folder], "node-1") == Start(over=False, checkpoints=(None,), period=PERIOD)
    assert board.places() == {folder: ("node-1", True)}
    assert board.post(folder, LEFT) == GO_ON
    assert content_of(folder) == LEFT
    assert board.places() == {}


def test_with_many_runs_each_posts_less_often(board, tmp_path):
    few, many = 10, 3 * POSTS_A_SECOND
    folders = [tmp_path / f"r{number}.attempt-1" for number in range(many)]
    for folder in folders[:few]:
        assert board.begin([folder], "node").period == PERIOD
    assert board.begin(folders[few:], "node").period == many / POSTS_A_SECOND == 3.0
    # what is over is no longer counted
    for folder in folders[:POSTS_A_SECOND]:
        folder.mkdir()
        last = board.post(folder, {"run.json": b"{}"})
    assert last.period == 2.0
    assert PERIOD == 0.5


def test_a_record_with_everything_in_it_can_be_read_back(board, folder):
    board.begin([folder], "node-1")
    board.post(folder, {"run.json": json.dumps({"state": "done", "epochs": [{"epoch": 0}]}).encode()})
    assert json.loads((Path(folder) / "run.json").read_bytes()) == {"state": "done", "epochs": [{"epoch": 0}]}
    assert [path.name for path in folder.iterdir()] == ["run.json"]
