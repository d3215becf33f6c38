"""A study whose runs are stacked: the runs of one device, the same numbers as alone."""

from concurrent.futures import Executor, Future
from dataclasses import replace

import numpy as np
import pytest

from doubleread.engines import WorkerDied
from doubleread.nouns import REFERENCE, Compute, State
from doubleread.runner import Silent, prepare_study
from doubleread.runner.drive import drive
from doubleread.runner.units import MOST_STACKED, units_of
from doubleread.store import open_store, read_logits
from doubleread.study import document_of, parse_study, plan_runs
from doubleread.study.plan import data_key
from doubleread.worker import task

STACKED = Compute(device="cpu", precision="fp32", path="stacked")
PLENTY = 2**40


class Here(Executor):
    """Runs tasks at once, in this process, and counts them."""

    def __init__(self):
        self.sizes = []

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.sizes.append(len(args[0]))
        future.set_result(fn(*args, **kwargs))
        return future


def go(raw, root, compute, room=PLENTY, executor=None):
    study = parse_study(raw, place="s")
    executor = executor or Here()
    with open_store(root, write=True) as store:
        ready = prepare_study(study, store.data_folder, Silent(), device="cpu")
        (data_hash,) = ready.sets
        plan = plan_runs(study, {data_key(arm.data): data_hash for arm in study.arms}, lambda *_: compute)
        rows = [
            {"run_id": r.run_id, "identity": r.identity, "recipe": r.recipe.complete(), "seed": r.seed,
             "data_hash": r.data_hash}
            for r in plan.runs
        ]  # fmt: skip
        facts = {"data": {data_hash: ready.sets[data_hash].meta}}
        claims = {claim.id: claim.canonical() for claim in study.claims}
        store.save_plan(study.name, {**document_of(study), **facts}, rows, plan.run_of, claims)
        counts = drive(plan, ready.sets, store, executor, keep_weights="all", room=room)
        return counts, plan, {(row["arm"], row["seed"]): row for row in store.runs_of(study.name)}, executor.sizes


def test_a_stacked_study_has_the_numbers_of_runs_alone(study_dict, tmp_path):
    counts, plan, rows, sizes = go(study_dict, tmp_path / "stacked", STACKED)
    assert (counts.done, counts.failed) == (8, 0)
    # batch 8 with two losses and two seeds is one shape; batches 4 and 16 are others
    assert sorted(sizes) == [2, 2, 4]
    _, alone, rows_alone, _ = go(study_dict, tmp_path / "alone", REFERENCE)
    for key in plan.run_of:
        together = read_logits(tmp_path / "stacked", plan.run_of[key])
        by_itself = read_logits(tmp_path / "alone", alone.run_of[key])
        assert together.test == pytest.approx(by_itself.test, rel=1e-3, abs=1e-4)
        assert np.array_equal(together.test_rows, by_itself.test_rows)
        assert rows[key]["run_id"] != rows_alone[key]["run_id"]
        assert rows[key]["state"] == State.DONE


def test_a_run_that_diverges_is_recorded_and_the_others_are_done(study_dict, tmp_path):
    study_dict["data"]["intensity"] = "raw"
    study_dict["experiments"] = {"rate": {"factors": {"optimizer.lr": [1e-3, 1e38]}}}
    counts, _, rows, sizes = go(study_dict, tmp_path, STACKED)
    assert sizes == [4]
    assert (counts.done, counts.diverged, counts.failed) == (2, 2, 0)
    assert rows["rate/1e+38", 0]["reason"].startswith("the loss is ")


def test_an_exception_fails_every_run_of_a_stack_with_its_reason(study_dict, tmp_path, monkeypatch):
    def broken(*_args, **_more):
        raise MemoryError("no room")

    monkeypatch.setattr("doubleread.worker.task.train_together", broken)
    counts, _, rows, _ = go({**study_dict, "seeds": 1}, tmp_path, STACKED)
    assert counts.failed == counts.planned == 4
    assert {row["reason"] for row in rows.values()} == {
        "MemoryError: no room (out of memory: fewer --workers leave more to each)"
    }


def test_what_a_stack_has_written_is_kept_when_its_process_is_gone(study_dict, tmp_path):
    class Dies(Here):
        """The process of a stack writes its first run and is gone, and so is that of the second attempt."""

        def submit(self, fn, /, tasks):
            future = Future()
            if tasks[0].attempt == 1:
                fn(tasks[:1])
            future.set_exception(WorkerDied("the process was ended by SIGKILL, perhaps out of memory"))
            return future

    counts, _, rows, _ = go({**study_dict, "seeds": 1}, tmp_path, STACKED, executor=Dies())
    # one shape has two runs, the others have one each
    assert (counts.done, counts.failed) == (3, 1)
    (failed,) = {row["reason"] for row in rows.values() if row["state"] == "failed"}
    assert failed == "the process was ended by SIGKILL, perhaps out of memory, 2 times"


def test_a_run_that_cannot_be_written_harms_no_other_of_its_stack(study_dict, tmp_path, monkeypatch):
    write, calls = task.write_attempt, []

    def full(folder, record, logits, weights):
        calls.append(folder)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")
        write(folder, record, logits, weights)

    monkeypatch.setattr(task, "write_attempt", full)
    study_dict["experiments"] = {"loss": {"factors": {"loss": ["bce", "ce"]}}}
    counts, _, rows, _ = go({**study_dict, "seeds": 1}, tmp_path, STACKED)
    assert (counts.done, counts.failed) == (1, 1)
    assert [row["reason"] for row in rows.values() if row["state"] == "failed"] == [
        "OSError: [Errno 5] Input/output error"
    ]


def test_stacks_are_as_large_as_their_room(study_dict, tmp_path):
    study = parse_study({**study_dict, "seeds": 300}, place="s")
    with open_store(tmp_path, write=True) as store:
        ready = prepare_study(parse_study(study_dict, place="s"), store.data_folder, Silent(), device="cpu")
    (data_hash,) = ready.sets
    plan = plan_runs(study, {data_key(arm.data): data_hash for arm in study.arms}, lambda *_: STACKED)
    assert max(len(unit) for unit in units_of(plan.runs, ready.sets, PLENTY)) == MOST_STACKED
    assert {len(unit) for unit in units_of(plan.runs, ready.sets, 0)} == {1}
    every = [run.run_id for unit in units_of(plan.runs, ready.sets, 2**20) for run in unit]
    assert sorted(every) == sorted(run.run_id for run in plan.runs)
    one_by_one = [replace(run, compute=REFERENCE) for run in plan.runs]
    assert units_of(one_by_one, ready.sets, PLENTY) == [(run,) for run in one_by_one]
