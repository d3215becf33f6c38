"""Verifying a store: what is wrong with runs from before their files had hashes, and with those that are in use."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from doubleread.nouns import State
from doubleread.store import make_attempt, open_store, read_logits, run_folder, write_attempt
from doubleread.store.artifacts import hash_weights
from doubleread.store.verify import Verified, damaged_runs, verify_store
from tests.store.test_store import LOGITS, RECORD, RUN, WEIGHTS


def finish(store, run_id, weights=WEIGHTS):
    attempt = store.begin(run_id)
    record = {**RECORD, "attempt": attempt, "weights_hash": hash_weights(WEIGHTS)}
    write_attempt(make_attempt(store.root, run_id, attempt, None), record, LOGITS, weights)
    store.record(run_id, attempt)


@pytest.fixture
def older(tmp_path):
    """A store with two runs that an older program trained, which did not write down what its files were."""
    runs = [{**RUN, "run_id": run_id, "seed": seed} for seed, run_id in enumerate(("r0", "r1"))]
    with open_store(tmp_path, write=True) as store:
        store.save_plan("small", {"file": {}}, runs, {("e/a", 0): "r0", ("e/a", 1): "r1"}, {})
        finish(store, "r0")
        finish(store, "r1", weights=None)
    with sqlite3.connect(tmp_path / "store.sqlite") as database:
        database.execute("UPDATE runs SET files = NULL")
    return tmp_path


def test_older_runs_that_are_well_and_weights_that_were_not_kept(older):
    assert verify_store(older) == Verified(runs=2, sets=0, damaged_runs={}, damaged_sets={}, marked=True)


def unreadable(path):
    path.write_bytes(b"hello")


def not_text(path):
    path.write_bytes(b'{"state": "\xff"}')


def empty(path):
    path.write_bytes(b"")


def cut_off(path):
    path.write_bytes(path.read_bytes()[:300])


def without_test(path):
    np.savez(path, val_rows=LOGITS.val_rows, val=LOGITS.val)


def one_array(path):
    with path.open("wb") as handle:
        np.save(handle, LOGITS.val)


def other_weights(path):
    path.write_bytes(save({"a": WEIGHTS["a"] + 1}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"run.json": Path.unlink}, "run.json is gone"),
        ({"run.json": unreadable}, "run.json cannot be read"),
        ({"run.json": not_text}, "run.json cannot be read"),
        ({"logits.npz": empty}, "logits.npz cannot be read (No data left in file)"),
        ({"logits.npz": cut_off}, "logits.npz cannot be read (File is not a zip file)"),
        ({"logits.npz": without_test}, "logits.npz cannot be read (test_rows is not a file in the archive)"),
        ({"weights.safetensors": other_weights}, "weights.safetensors has other content than was written"),
        ({"run.json": Path.unlink, "weights.safetensors": other_weights},
         "run.json is gone, weights.safetensors has other content than was written"),
    ],
)  # fmt: skip
def test_an_older_run_is_compared_with_what_is_known_of_it(older, damage, said):
    for name, how in damage.items():
        how(run_folder(older, "r0") / name)
    seen = []
    checked = verify_store(older, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    assert (checked.damaged_runs, checked.marked) == ({"small: e/a, seed 0": f"damaged: {said}"}, True)
    with open_store(older) as store:
        assert store.states(["r0", "r1"]) == {"r0": State.FAILED, "r1": State.DONE}
        assert store.runs_of("small")[0]["reason"] == f"damaged: {said}"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (empty, "No data left in file"),
        (cut_off, "File is not a zip file"),
        (without_test, "test_rows is not a file in the archive"),
        (one_array, "'numpy.ndarray' object does not support the context manager protocol"),
    ],
)
def test_logits_that_are_damaged_are_one_kind_of_error(older, how, said):
    how(run_folder(older, "r0") / "logits.npz")
    with pytest.raises(ValueError, match=f"^{said}$"):
        read_logits(older, "r0")


def test_of_a_sealed_study_no_logits_of_test_are_read(older):
    without_test(run_folder(older, "r0") / "logits.npz")
    assert len(read_logits(older, "r0", sealed=True).test) == 0


@pytest.mark.parametrize(
    ("name", "how"), [("logits.npz", Path.unlink), ("logits.npz", unreadable), ("weights.safetensors", unreadable)]
)
def test_arrays_of_an_older_run_must_be_readable(older, name, how):
    how(run_folder(older, "r0") / name)
    ((run, why),) = verify_store(older).damaged_runs.items()
    assert run == "small: e/a, seed 0"
    assert why.startswith(f"damaged: {name} cannot be read (")


def test_to_ask_what_is_damaged_changes_nothing(older):
    (run_folder(older, "r0") / "run.json").unlink()
    with open_store(older) as store:
        assert damaged_runs(store) == {"r0": "damaged: run.json is gone"}
        assert store.states(["r0"]) == {"r0": State.DONE}


def test_while_another_process_writes_nothing_is_marked(older):
    (run_folder(older, "r0") / "run.json").unlink()
    with open_store(older, write=True) as store:
        checked = verify_store(older)
        assert store.states(["r0"]) == {"r0": State.DONE}
    assert (checked.damaged_runs, checked.marked) == ({"small: e/a, seed 0": "damaged: run.json is gone"}, False)


def test_a_run_that_no_study_uses_is_called_by_its_number(older):
    with sqlite3.connect(older / "store.sqlite") as database:
        database.execute("DELETE FROM uses WHERE run_id = 'r0'")
    (run_folder(older, "r0") / "run.json").unlink()
    assert verify_store(older).damaged_runs == {"r0": "damaged: run.json is gone"}
