"""The store: round trips, one writer, recovery, and refusals."""

import sqlite3

import numpy as np
import pytest

from doubleread.errors import UserError
from doubleread.nouns import State
from doubleread.store import (
    Logits,
    attempt_folder,
    make_attempt,
    open_store,
    read_logits,
    recover,
    run_folder,
    write_attempt,
)
from doubleread.store.schema import MIGRATIONS, VERSION
from tests.refusals import refusal

RUN = {"run_id": "r1", "identity": {"seed": 0}, "recipe": {"epochs": 1}, "seed": 0, "data_hash": "d"}
EPOCH = {
    "epoch": 0,
    "rate": 0.1,
    "train_loss": 0.7,
    "train_accuracy": 0.5,
    "val_loss": 0.6,
    "val_accuracy": 0.75,
    "seconds": 0.01,
    "val_auroc": 0.8,
}
RECORD = {
    "state": "done",
    "attempt": 1,
    "epochs": [EPOCH],
    "finished": "2026-01-01T00:00:00+00:00",
    "environment": {"python": "3.11"},
    "health": {"collapsed": False, "undertrained": True, "overfit": False},
    "seconds": 1.5,
    "cpu_seconds": 1.25,
    "peak_bytes": 1000,
    "weights_hash": "w",
}
LOGITS = Logits(
    val_rows=np.array([1, 2]),
    val=np.array([0.1, -1 / 3], np.float32),
    test_rows=np.array([3]),
    test=np.array([1e-7], np.float32),
)
WEIGHTS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}


def planned(root):
    store = open_store(root, write=True)
    store.save_plan("s", {"file": {}}, [RUN], {("e/a", 0): "r1", ("f/b", 0): "r1"}, {})
    return store


def finish(store):
    return store.record("r1", attempted(store))


def attempted(store, record=RECORD, logits=LOGITS, weights=WEIGHTS):
    """Begin an attempt and leave all that it leaves; return its number."""
    attempt = store.begin("r1")
    folder = make_attempt(store.root, "r1", attempt, None)
    write_attempt(folder, {**record, "attempt": attempt}, logits, weights)
    return attempt


def test_round_trip(tmp_path):
    with planned(tmp_path) as store:
        assert store.states(["r1", "r2"]) == {"r1": State.PLANNED}
        assert finish(store) is State.DONE
        (one, two) = store.runs_of("s")
        assert (one["arm"], two["arm"]) == ("e/a", "f/b")
        assert {key: one[key] for key in ("state", "seconds", "peak_bytes", "undertrained", "weights_hash")} == {
            "state": "done",
            "seconds": 1.5,
            "peak_bytes": 1000,
            "undertrained": 1,
            "weights_hash": "w",
        }
        assert store.epochs_of(["r1"])["r1"] == [{"run_id": "r1", **EPOCH}]
        assert store.environments(["r1"]) == [{"python": "3.11"}]
    back = read_logits(tmp_path, "r1")
    for name in ("val_rows", "val", "test_rows", "test"):
        assert np.array_equal(getattr(back, name), getattr(LOGITS, name))
    assert sorted(path.name for path in run_folder(tmp_path, "r1").iterdir()) == [
        "logits.npz",
        "run.json",
        "weights.safetensors",
    ]


def test_a_plan_that_is_saved_again_keeps_what_is_done(tmp_path):
    with planned(tmp_path) as store:
        finish(store)
        store.save_plan("s", {"file": {}}, [RUN, {**RUN, "run_id": "r2"}], {("e/a", 0): "r1", ("e/b", 0): "r2"}, {})
        assert store.states(["r1", "r2"]) == {"r1": State.DONE, "r2": State.PLANNED}
        assert [row["arm"] for row in store.runs_of("s")] == ["e/a", "e/b"]


def test_a_worker_that_left_no_record_failed(tmp_path):
    with planned(tmp_path) as store:
        attempt = store.begin("r1")
        attempt_folder(tmp_path, "r1", attempt).mkdir()
        assert store.record("r1", attempt) is State.FAILED
        assert store.runs_of("s")[0]["reason"] == "the worker left no record"


def test_a_driver_that_died_in_the_middle_of_a_run(tmp_path):
    with planned(tmp_path) as store:
        attempt = store.begin("r1")
        attempt_folder(tmp_path, "r1", attempt).mkdir()
    with open_store(tmp_path, write=True) as store:
        assert recover(store) == []
        assert store.states(["r1"]) == {"r1": State.INTERRUPTED}
        assert list((tmp_path / "artifacts").iterdir()) == []


def test_a_driver_that_died_between_the_folder_and_the_rows(tmp_path):
    with planned(tmp_path) as store:
        attempt = attempted(store)
        attempt_folder(tmp_path, "r1", attempt).rename(run_folder(tmp_path, "r1"))
    with open_store(tmp_path, write=True) as store:
        assert recover(store) == ["r1"]
        assert store.states(["r1"]) == {"r1": State.DONE}
        assert len(store.epochs_of(["r1"])["r1"]) == 1


def test_a_driver_that_died_before_it_took_a_whole_attempt(tmp_path):
    with planned(tmp_path) as store:
        attempted(store)
    with open_store(tmp_path, write=True) as store:
        assert recover(store) == ["r1"]
        assert store.states(["r1"]) == {"r1": State.DONE}


def test_an_older_failure_is_not_taken_for_the_attempt_that_was_lost(tmp_path):
    with planned(tmp_path) as store:
        attempt = attempted(store, {**RECORD, "state": "failed"}, None, None)
        assert store.record("r1", attempt) is State.FAILED
        store.begin("r1")
    with open_store(tmp_path, write=True) as store:
        assert recover(store) == []
        assert store.states(["r1"]) == {"r1": State.INTERRUPTED}


def test_a_store_that_cannot_be_opened_is_not_left_locked(tmp_path):
    with planned(tmp_path) as store:
        store._db.execute(f"PRAGMA user_version = {VERSION + 1}")
    for _ in range(2):
        with pytest.raises(UserError, match="schema version"):
            open_store(tmp_path, write=True)


def test_a_second_attempt_replaces_the_first(tmp_path):
    with planned(tmp_path) as store:
        finish(store)
        assert finish(store) is State.DONE
        assert store.runs_of("s")[0]["attempts"] == 2
        assert len(store.epochs_of(["r1"])["r1"]) == 1


def test_one_writer_any_number_of_readers(tmp_path):
    with planned(tmp_path), open_store(tmp_path) as one, open_store(tmp_path) as two:
        assert one.studies() == two.studies()
        with pytest.raises(UserError) as error:
            open_store(tmp_path, write=True)
    assert str(error.value) == (
        f"--store {tmp_path}: another doubleread is training into this store; wait for it, or give another path"
    )


def test_reading_never_makes_a_store(tmp_path):
    with pytest.raises(UserError) as error:
        open_store(tmp_path / "none")
    assert str(error.value) == (
        f"--store {tmp_path}/none: there is no store at {tmp_path}/none; train a study first, with doubleread run,"
        " or give another path"
    )
    assert not (tmp_path / "none").exists()


def test_a_store_of_a_newer_program_is_refused(tmp_path):
    with planned(tmp_path) as store:
        store._db.execute(f"PRAGMA user_version = {VERSION + 1}")
    assert refusal(open_store, tmp_path) == (
        f"--store {tmp_path}: schema version {VERSION + 1}; this program knows {VERSION}; install a newer doubleread"
    )


CLAIMS = {"c": {"role": "primary", "margin": 0.02, "contrasts": [{"e/a": 1.0, "f/b": -1.0}]}}


def test_claims_are_kept_as_they_were_at_the_first_run(tmp_path):
    with open_store(tmp_path, write=True) as store:
        assert store.registered_claims("s") is None
        store.save_plan("s", {}, [RUN], {("e/a", 0): "r1"}, CLAIMS)
        first = store.registered_claims("s")
        store.save_plan("s", {}, [RUN], {("e/a", 0): "r1"}, {"c": {**CLAIMS["c"], "margin": 0.5}})
        assert store.registered_claims("s") == first
    assert first["document"] == CLAIMS
    assert first["done_before"] == 0
    assert len(first["hash"]) == 64


def test_claims_that_come_after_the_runs_are_marked_so(tmp_path):
    with planned(tmp_path) as store:
        finish(store)
        store.save_plan("late", {}, [RUN], {("e/a", 0): "r1"}, CLAIMS)
        assert store.registered_claims("late")["done_before"] == 1


def test_variants_of_an_earlier_plan_stay(tmp_path):
    with open_store(tmp_path, write=True) as store:
        uses = {("e/a", 0): "r1", ("e/a@epochs=2", 0): "r1"}
        store.save_plan("s", {}, [RUN], uses, {})
        store.save_plan("s", {}, [RUN], {("e/a", 0): "r1"}, {})
        assert {row["arm"] for row in store.runs_of("s")} == {"e/a", "e/a@epochs=2"}
        store.save_plan("s", {}, [RUN], {("e/b", 0): "r1", ("e/b@x=1", 0): "r1"}, {})
        assert {row["arm"] for row in store.runs_of("s")} == {"e/b", "e/b@x=1"}


def test_a_store_from_before_claims_opens_and_is_brought_up_to_date(tmp_path):
    with planned(tmp_path) as store:
        finish(store)
    connection = sqlite3.connect(tmp_path / "store.sqlite")
    connection.executescript(
        "DROP TABLE claims; DROP TABLE unsealings; ALTER TABLE runs DROP COLUMN files;"
        " ALTER TABLE epochs DROP COLUMN val_auroc; PRAGMA user_version = 1;"
    )
    connection.close()
    with open_store(tmp_path) as store:
        assert store.registered_claims("s") is None
        assert store.unsealings("s") == []
        assert [row["state"] for row in store.runs_of("s")] == ["done", "done"]
    with open_store(tmp_path, write=True) as store:
        store.save_plan("s", {}, [RUN], {("e/a", 0): "r1"}, CLAIMS)
        assert store.registered_claims("s")["done_before"] == 1
    assert len(MIGRATIONS) == VERSION
