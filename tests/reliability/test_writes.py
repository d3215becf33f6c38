"""R1: whatever breaks at whatever operation, a reader finds the old file or the new one, and a store its runs."""

import shutil
from contextlib import suppress

import numpy as np
import pytest

from doubleread import files
from doubleread.nouns import State
from doubleread.store import (
    Damaged,
    attempt_folder,
    make_attempt,
    newest_checkpoint,
    open_store,
    read_checkpoint,
    read_logits,
    recover,
    run_folder,
    write_attempt,
    write_checkpoint,
)
from doubleread.store.verify import damaged_runs
from tests.reliability.faults import BROKEN, FULL, Counting, Failing, PowerCut, Volatile, in_a_killed_process, using
from tests.store.test_store import LOGITS, RECORD, RUN, WEIGHTS

OLD, NEW = b"old" * 1000, b"new" * (files.PIECE // 2)


def operations(work) -> int:
    """Return how many operations `work` takes on a disk that is well."""
    with using(Counting()) as counted:
        work()
    return len(counted.names)


def left_over(folder):
    return [path.name for path in folder.rglob("*") if path.name.startswith(".") or path.name.startswith("attic")]


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "top" / "folder"
    folder.mkdir(parents=True)
    return folder / "a.bin"


def test_a_write_that_fails_anywhere_leaves_the_old_file_and_nothing_else(path):
    total = operations(lambda: files.write_bytes(path, NEW))
    assert total >= 6
    for number in range(1, total + 1):
        for code in (FULL, BROKEN):
            for lasting in (False, True):
                path.write_bytes(OLD)
                with (
                    using(Failing(number, code, lasting=lasting)) as double,
                    pytest.raises(OSError, match="Errno") as error,
                ):
                    files.write_bytes(path, NEW)
                assert error.value.errno == code
                assert double.failed >= 1
                # only the folder's fsync comes after the rename
                assert path.read_bytes() == (NEW if number == total else OLD)
                assert list(path.parent.iterdir()) == [path]


def test_a_write_that_is_killed_anywhere_leaves_the_old_file_or_the_new_one(path):
    total = operations(lambda: files.write_bytes(path, NEW))
    found = set()
    for number in range(1, total + 1):
        path.write_bytes(OLD)
        assert in_a_killed_process(number, lambda: files.write_bytes(path, NEW))
        found.add(path.read_bytes())
        files.remove_leftovers(path.parent)
        assert list(path.parent.iterdir()) == [path]
    assert found == {OLD, NEW}


@pytest.mark.parametrize("kept", [True, False])
def test_a_power_cut_anywhere_leaves_the_old_file_or_the_new_one(path, kept):
    total = operations(lambda: files.write_bytes(path, NEW))
    found = set()
    for number in range(1, total + 2):
        path.write_bytes(OLD)
        double = Volatile(number)
        with using(double), suppress(PowerCut):
            files.write_bytes(path, NEW)
            assert number == total + 1
        double.settle(path.parent.parent, kept=kept)
        found.add(path.read_bytes())
        if number == total + 1:
            assert path.read_bytes() == NEW, "a write that has returned is durable"
        files.remove_leftovers(path.parent)
        assert list(path.parent.iterdir()) == [path]
        for attic in path.parent.parent.glob("attic-*"):
            attic.unlink()
    assert found == {OLD, NEW}


@pytest.mark.parametrize("left_out", ["fsync", "fsync_folder"])
def test_the_power_cut_finds_a_write_that_leaves_out_an_fsync(path, left_out):
    """The double has teeth: without either fsync a part, or the old file after a write that has returned."""
    states = []
    for kept in (True, False):
        path.write_bytes(OLD)
        double = Volatile(100)
        setattr(double, left_out, lambda *_args: None)
        with using(double):
            files.write_bytes(path, NEW)
        double.settle(path.parent.parent, kept=kept)
        states.append(path.read_bytes())
    assert any(state != NEW for state in states)


def plan(root):
    with open_store(root, write=True) as store:
        store.save_plan("s", {"file": {}}, [RUN], {("e/a", 0): "r1"}, {})


def train_one(root):
    """Everything that a run writes, as driver and worker do it: two attempts, a checkpoint, the artifacts, the rows."""
    with open_store(root, write=True) as store:
        recover(store)
        if store.states(["r1"])["r1"] is State.DONE:
            return
        for _ in range(2):
            attempt = store.begin("r1")
            folder = make_attempt(root, "r1", attempt, newest_checkpoint(root, "r1", attempt - 1))
            write_checkpoint(folder, {"epochs": []}, {"x": np.arange(5000.0)})
        write_attempt(folder, {**RECORD, "attempt": attempt}, LOGITS, WEIGHTS)
        store.record("r1", attempt)


def check(root):
    """Open what is left, finish it, and compare it with what should be there."""
    with open_store(root, write=True) as store:
        recover(store)
        state = store.states(["r1"])["r1"]
        assert state in (State.PLANNED, State.INTERRUPTED, State.DONE)
        assert damaged_runs(store) == {}
        folder = newest_checkpoint(root, "r1", 50)
        if state is not State.DONE and folder is not None:
            assert np.array_equal(read_checkpoint(folder)[1]["x"], np.arange(5000.0))
    train_one(root)
    with open_store(root, write=True) as store:
        recover(store)
        assert store.states(["r1"]) == {"r1": State.DONE}
        assert damaged_runs(store) == {}
        assert len(store.epochs_of(["r1"])["r1"]) == 1
    assert np.array_equal(read_logits(root, "r1").val, LOGITS.val)
    assert sorted(p.name for p in (root / "artifacts").iterdir()) == ["r1"]
    assert sorted(p.name for p in run_folder(root, "r1").iterdir()) == ["logits.npz", "run.json", "weights.safetensors"]
    assert left_over(root) == []
    return state


def fresh(root):
    shutil.rmtree(root, ignore_errors=True)
    plan(root)
    return root


def operations_of_a_run(tmp_path):
    root = fresh(tmp_path / "runs")
    return operations(lambda: train_one(root))


@pytest.mark.slow
def test_a_run_killed_at_every_operation(tmp_path):
    total = operations_of_a_run(tmp_path)
    assert total > 30
    states = set()
    for number in range(1, total + 1):
        root = fresh(tmp_path / "runs")
        assert in_a_killed_process(number, lambda root=root: train_one(root))
        states.add(check(root))
    assert states == {State.INTERRUPTED, State.DONE}


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_a_run_whose_power_is_cut_at_every_operation(tmp_path, kept):
    total = operations_of_a_run(tmp_path)
    states = set()
    for number in range(1, total + 2):
        root = fresh(tmp_path / "runs")
        double = Volatile(number)
        with using(double), suppress(PowerCut):
            train_one(root)
        double.settle(root, kept=kept)
        for attic in [*tmp_path.glob("attic-*"), *root.rglob("attic-*")]:
            shutil.rmtree(attic, ignore_errors=True)
            attic.unlink(missing_ok=True)
        states.add(check(root))
    assert states == {State.INTERRUPTED, State.DONE}


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [True, False])
def test_a_run_whose_disk_fails_at_every_operation(tmp_path, lasting):
    total = operations_of_a_run(tmp_path)
    silent = 0
    for number in range(1, total + 1):
        root = fresh(tmp_path / "runs")
        with using(Failing(number, FULL, lasting=lasting)), suppress(OSError):
            train_one(root)
            silent += 1
        check(root)
    # the removal of what nobody needs, and a link that is copied instead, may fail without a word
    assert silent < total / 2


def test_a_checkpoint_that_is_not_what_was_written_is_noticed(tmp_path):
    folder, noticed = tmp_path, 0
    write_checkpoint(folder, {"epochs": []}, {"x": np.arange(100.0)})
    whole = (folder / "checkpoint.safetensors").read_bytes()
    for place in range(0, len(whole), 7):
        spoiled = bytearray(whole)
        spoiled[place] ^= 0x10
        (folder / "checkpoint.safetensors").write_bytes(spoiled)
        try:
            header, tensors = read_checkpoint(folder)
        except Damaged:
            noticed += 1
            continue
        # a bit that nothing depends on
        assert header == {"epochs": []}
        assert np.array_equal(tensors["x"], np.arange(100.0))
    assert noticed > 0.95 * len(range(0, len(whole), 7))
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        (folder / "checkpoint.safetensors").write_bytes(whole[:length])
        with pytest.raises(Damaged):
            read_checkpoint(folder)


def test_an_attempts_folder_that_is_gone_is_not_made_again(tmp_path):
    """A worker that outlived its driver must not leave folders behind."""
    with pytest.raises(FileNotFoundError):
        write_attempt(attempt_folder(tmp_path, "r1", 1), RECORD, LOGITS, WEIGHTS)
