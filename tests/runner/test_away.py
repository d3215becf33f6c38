"""Runs on a machine without the store: what they leave comes home by a board, and makes the same store."""

import errno
import json
import signal
import threading
import time
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from doubleread import files, processes
from doubleread.dataset import open_prepared
from doubleread.nouns import State
from doubleread.processes import asked_to_stop, begin_anew
from doubleread.store import board as boards
from doubleread.store import read_progress, run_folder
from doubleread.store.board import Board, Reply, Start
from doubleread.worker import away
from doubleread.worker.away import Carrier, execute_away
from doubleread.worker.desk import Pauses
from tests.reliability.stores import assert_equal, content_of
from tests.runner.test_drive import InThisProcess, drive_here

PERIOD = 0.01
PLACE = "node-1"
EPOCHS = 12


@pytest.fixture(autouse=True)
def not_asked():
    """The wish to stop is this whole process's: no test leaves it to the next."""
    begin_anew()
    yield
    begin_anew()


class Quick(Board):
    """A board that is posted to without pauses, and remembers what it was posted; `folders` have been taken up."""

    def __init__(self, *folders):
        super().__init__()
        self.posts = []
        if folders:
            self.begin(folders, PLACE)

    def begin(self, folders, place):
        start = super().begin(folders, place)
        return Start(start.over, start.checkpoints, PERIOD)

    def post(self, folder, files):
        if files:
            self.posts.append((folder, dict(files)))
        reply = super().post(folder, files)
        return Reply(reply.stop, reply.full, PERIOD)

    def names(self, folder=None):
        return [name for at, files in self.posts for name in files if folder in (None, at)]


class Gone(Quick):
    """A board whose machine goes away after some posts."""

    def __init__(self, after, *folders):
        super().__init__(*folders)
        self._left = after

    def post(self, folder, files):
        if not self._left:
            raise ConnectionError("the board is gone")
        self._left -= 1
        return super().post(folder, files)


@pytest.fixture
def here(tmp_path):
    """The folder of a run, where it is trained."""
    return made(tmp_path / "here")


@pytest.fixture
def there(tmp_path):
    """The folder of the same run that the board knows."""
    return made(tmp_path / "r.attempt-1")


def made(folder):
    folder.mkdir()
    return folder


def wait_until(what, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.002)


def holds(folder, name, content):
    path = folder / name
    return path.is_file() and path.read_bytes() == content


def checkpoint(folder, content):
    files.write_into(folder / "checkpoint.safetensors", content)


def test_what_a_run_writes_arrives_while_it_runs(here, there):
    board = Quick(there)
    with Carrier(board, [(here, there)], PERIOD):
        (here / "progress.jsonl").write_text('{"epoch": 0}\n')
        (here / "beat").write_text("1\n")
        wait_until(lambda: read_progress(there) == [{"epoch": 0}])
        wait_until(lambda: holds(there, "beat", b"1\n"))
        with (here / "progress.jsonl").open("a") as progress:
            progress.write('{"epoch": 1}\n')
        wait_until(lambda: len(read_progress(there)) == 2)
        checkpoint(here, b"first")
        wait_until(lambda: holds(there, "checkpoint.safetensors", b"first"))
        checkpoint(here, b"other")
        wait_until(lambda: holds(there, "checkpoint.safetensors", b"other"))
    assert board.names().count("checkpoint.safetensors") == 2
    assert not asked_to_stop()


def test_what_has_not_changed_is_not_sent_again(here, there):
    board, asked = Quick(there), []
    board.post, post = lambda folder, files: (asked.append(1), post(folder, files))[1], board.post
    (here / "progress.jsonl").write_text('{"epoch": 0}\n')
    with Carrier(board, [(here, there)], PERIOD):
        wait_until(lambda: len(asked) > 5)
    assert board.names() == ["progress.jsonl"]


def test_what_a_run_leaves_arrives_when_it_is_over(here, there):
    board = Quick(there)
    with Carrier(board, [(here, there)], 60.0):
        for name in ("run.json", "logits.npz", "weights.safetensors", "progress.jsonl"):
            (here / name).write_bytes(name.encode())
        checkpoint(here, b"last")
        (here / "something else").write_bytes(b"its own")
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        "run.json": b"run.json",
        "logits.npz": b"logits.npz",
        "weights.safetensors": b"weights.safetensors",
        "progress.jsonl": b"progress.jsonl",
        "checkpoint.safetensors": b"last",
    }


def test_a_record_is_not_sent_before_the_run_is_over(here, there):
    board = Quick(there)
    with Carrier(board, [(here, there)], PERIOD):
        (here / "run.json").write_bytes(b"{}")
        (here / "beat").write_text("1\n")
        wait_until(lambda: (there / "beat").is_file())
        assert not (there / "run.json").exists()
    assert (there / "run.json").is_file()


def test_the_checkpoint_that_a_run_begins_with_is_not_sent_back(here, there):
    board = Quick(there)
    checkpoint(here, b"from the board")
    with Carrier(board, [(here, there)], PERIOD):
        (here / "beat").write_text("1\n")
        wait_until(lambda: (there / "beat").is_file())
    assert board.names() == ["beat"]
    with Carrier(board, [(here, there)], PERIOD):
        checkpoint(here, b"its own")
    assert holds(there, "checkpoint.safetensors", b"its own")


def test_the_runs_of_a_stack_go_each_its_own_way(tmp_path):
    ways = [(made(tmp_path / f"here-{number}"), made(tmp_path / f"r{number}.attempt-1")) for number in range(3)]
    board = Quick(*(there for _, there in ways))
    with Carrier(board, ways, PERIOD):
        for number, (here, _) in enumerate(ways):
            (here / "beat").write_text(f"{number}\n")
        for number, (_, there) in enumerate(ways):
            wait_until(lambda there=there, number=number: holds(there, "beat", f"{number}\n".encode()))
    assert sorted(board.names()) == ["beat"] * 3


def test_the_wish_to_stop_reaches_this_process_though_nothing_has_changed(here, there):
    board = Quick(there)
    with Carrier(board, [(here, there)], PERIOD) as carrier:
        time.sleep(5 * PERIOD)
        assert not asked_to_stop()
        board.stop()
        wait_until(asked_to_stop)
    assert not carrier.full
    begin_anew()
    assert not asked_to_stop()


def test_a_full_disk_beside_the_driver_stops_the_run(here, there, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(boards, "write_into", full)
    with Carrier(Quick(there), [(here, there)], PERIOD) as carrier:
        files.write_into(here / "checkpoint.safetensors", b"large")
        wait_until(asked_to_stop)
        assert carrier.full
    assert list(there.iterdir()) == []


def test_a_board_that_is_gone_stops_the_run_and_is_an_error_at_the_end(here, there):
    (here / "run.json").write_bytes(b"{}")
    carrier = Carrier(Gone(3, there), [(here, there)], PERIOD)
    carrier.__enter__()
    wait_until(asked_to_stop)
    with pytest.raises(ConnectionError, match=r"^the board is gone$"):
        carrier.__exit__(None, None, None)
    assert not (there / "run.json").exists()


def test_a_board_that_failed_and_is_back_has_lost_something_all_the_same(here, there):
    board = Gone(0)
    carrier = Carrier(board, [(here, there)], PERIOD)
    carrier.__enter__()
    wait_until(asked_to_stop)
    board._left = 100
    with pytest.raises(ConnectionError, match=r"^the board is gone$"):
        carrier.__exit__(None, None, None)
    assert board.names() == []


def test_a_board_that_is_gone_at_the_very_end_is_an_error_too(here, there):
    with pytest.raises(ConnectionError, match=r"^the board is gone$"), Carrier(Gone(0), [(here, there)], 60.0):
        (here / "run.json").write_bytes(b"{}")
    assert not (there / "run.json").exists()


def test_an_error_of_the_run_is_not_hidden_and_nothing_is_posted_after_it(here, there):
    board = Quick(there)
    (here / "run.json").write_bytes(b"{}")
    with pytest.raises(ZeroDivisionError), Carrier(board, [(here, there)], 60.0):
        raise ZeroDivisionError
    assert board.names() == []
    assert "carrier" not in {thread.name for thread in threading.enumerate()}


def test_the_board_says_how_often(here, there):
    board, times = Quick(there), []

    def post(folder, files):
        times.append(time.monotonic())
        return Reply(False, False, 0.2)

    board.post = post
    with Carrier(board, [(here, there)], PERIOD):
        wait_until(lambda: len(times) >= 3)
    assert times[2] - times[1] >= 0.19


class Away(Executor):
    """Has the driver's calls made in this process, as a machine would that does not see the store."""

    def __init__(self, store, board=None):
        self.board = board or Board()
        self._store, self._sets = store, {}

    def submit(self, fn, /, *args, **kwargs):
        (tasks,) = args
        key = tasks[0].data_hash
        if key not in self._sets:
            self._sets[key] = open_prepared(self._store / "data" / key).shared()
        future = Future()
        future.set_result(execute_away(self.board, PLACE, self._sets[key], tasks))
        return future


def test_a_study_that_is_trained_away_makes_the_same_store(study_dict, new_store):
    here, there = new_store("here"), new_store("there")
    counts, _ = drive_here(study_dict, here, InThisProcess())
    elsewhere = Away(there)
    assert drive_here(study_dict, there, elsewhere)[0] == counts
    assert counts.done == counts.planned == 8
    assert_equal(content_of(there), content_of(here))
    assert elsewhere.board.places() == {}


def test_so_does_one_whose_split_is_drawn_for_each_seed(study_dict, new_store):
    here, there = new_store("here"), new_store("there")
    study_dict["data"]["split"]["resample"] = "per_seed"
    study_dict["experiments"] = {"loss": {"factors": {"loss": ["bce"]}}}
    drive_here(study_dict, here, InThisProcess())
    drive_here(study_dict, there, Away(there))
    assert_equal(content_of(there), content_of(here))


def only_run(study_dict):
    study_dict["experiments"] = {"loss": {"factors": {"loss": ["bce"]}}}
    study_dict["seeds"] = 1
    study_dict["base"] |= {"epochs": EPOCHS}
    return study_dict


class StopsAll(Quick):
    """A board whose driver hears Ctrl-C when the first worker has posted two epochs."""

    def post(self, folder, files):
        if files.get("progress.jsonl", b"").count(b"\n") >= 2:
            self.stop()
        return super().post(folder, files)


class Interrupted(Away):
    """Is asked to stop as soon as it has a call."""

    def submit(self, fn, /, *args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        return super().submit(fn, *args, **kwargs)


@pytest.fixture
def slow(monkeypatch):
    """Between two stretches of training there is time for a post."""
    between = Pauses.between

    def later(self, takes):
        time.sleep(4 * PERIOD)
        between(self, takes)

    monkeypatch.setattr(Pauses, "between", later)


def test_a_run_that_is_stopped_away_goes_on_elsewhere_to_the_same_end(study_dict, new_store, slow):
    here, there = new_store("here"), new_store("there")
    raw = only_run(study_dict)
    drive_here(raw, here, InThisProcess())
    counts, rows = drive_here(raw, there, Interrupted(there, StopsAll()))
    assert (counts.done, counts.interrupted) == (0, 1)
    ((run_id, row),) = rows.items()
    assert row["reason"] == "interrupted by the user"
    # another board, another machine
    again = Quick()
    counts, _ = drive_here(raw, there, Away(there, again))
    assert counts.done == 1
    assert "checkpoint.safetensors" not in again.names()
    record = json.loads((run_folder(there, run_id) / "run.json").read_text())
    (resumed,) = record["resumed"]
    assert 2 <= resumed["epoch"] < EPOCHS
    assert record["checkpoint_unusable"] is None
    assert_equal(content_of(there), content_of(here))


def test_what_is_over_is_not_trained_again(study_dict, new_store, monkeypatch):
    root = new_store()

    def never(*_):
        raise AssertionError("it was trained twice")

    class Twice(Away):
        """Loses the first answer, as Ray does when a machine dies with it, and makes the call again."""

        def submit(self, fn, /, *args, **kwargs):
            super().submit(fn, *args, **kwargs)
            with monkeypatch.context() as patched:
                patched.setattr(away, "execute", never)
                return super().submit(fn, *args, **kwargs)

    counts, _ = drive_here(only_run(study_dict), root, Twice(root))
    assert (counts.done, counts.planned) == (1, 1)


def test_a_full_disk_beside_the_driver_halts_the_study(study_dict, new_store, monkeypatch):
    root = new_store()

    def full(path, content):
        if path.name == "weights.safetensors":
            raise OSError(errno.ENOSPC, "No space left on device")
        files.write_into(path, content)

    monkeypatch.setattr(boards, "write_into", full)
    counts, rows = drive_here(only_run(study_dict), root, Away(root))
    assert (counts.done, counts.interrupted) == (0, 1)
    assert counts.halted == f"the disk of {root} is full"
    assert [(row["state"], row["reason"]) for row in rows.values()] == [(State.INTERRUPTED, "the disk is full")]


def test_a_run_that_fails_away_says_why(study_dict, new_store, monkeypatch):
    root = new_store()

    def broken(*_args, **_more):
        raise ValueError("no such thing")

    monkeypatch.setattr("doubleread.worker.task.train", broken)
    _, rows = drive_here(only_run(study_dict), root, Away(root))
    assert [(row["state"], row["reason"]) for row in rows.values()] == [(State.FAILED, "ValueError: no such thing")]


def test_nothing_is_left_on_the_machine(study_dict, new_store, tmp_path, monkeypatch):
    root = new_store()
    scratch = made(tmp_path / "scratch")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    seen = []

    class Looks(Quick):
        def post(self, folder, files):
            seen.extend(path.name for path in Path(scratch).iterdir())
            return super().post(folder, files)

    drive_here(only_run(study_dict), root, Away(root, Looks()))
    assert seen
    assert all(name.startswith("doubleread-") for name in seen)
    assert list(scratch.iterdir()) == []


def test_a_process_makes_one_call_after_the_other_as_if_it_were_new(study_dict, new_store):
    root = new_store()
    processes.ask_to_stop()
    counts, _ = drive_here(only_run(study_dict), root, Away(root))
    assert counts.done == 1
