"""`status`: a line for each study, and below it what is under way, in the queue, to come and not done."""

import json
import stat

import pytest

from doubleread.engines.manifest import new_manifest
from doubleread.nouns import State
from doubleread.store import JOBS, make_attempt, open_store
from tests.store.test_store import EPOCH, RUN, attempted

RUNS = [{**RUN, "run_id": f"r{n}", "recipe": {"epochs": 4}, "seed": n % 2} for n in range(1, 6)]
ARMS = {("e/a", 1): "r1", ("e/a", 0): "r2", ("e/b", 1): "r3", ("e/b", 0): "r4", ("e/c", 1): "r5"}


@pytest.fixture
def store(tmp_path):
    """A store with a study of five runs, one in each state that a run can be in, and one of which nothing is done."""
    root = tmp_path / "runs"
    with open_store(root, write=True) as opened:
        opened.save_plan("small", {"file": {}}, RUNS, ARMS, {})
        later = [{**RUN, "run_id": "r6"}, {**RUN, "run_id": "r7"}]
        opened.save_plan("later", {"file": {}}, later, {("e/a", 0): "r6", ("e/b", 0): "r7"}, {})
        opened.record("r1", attempted(opened))
        folder = make_attempt(root, "r2", opened.begin("r2"), None)
        # the second epoch's line is still being written
        (folder / "progress.jsonl").write_text(f"{json.dumps(EPOCH)}\n{json.dumps(EPOCH)[:20]}")
        opened.set_state("r3", State.FAILED, "the process was ended by SIGSEGV, 2 times")
        opened.set_state("r4", State.DIVERGED, "the loss is not finite in epoch 2")
    return root


@pytest.fixture
def queue(monkeypatch, tmp_path):
    """Return a function that puts a `squeue` on the path which prints these lines."""

    def fake(*lines):
        path = tmp_path / "bin" / "squeue"
        path.parent.mkdir()
        path.write_text("\n".join(["#!/bin/sh", "cat <<'END'", *lines, "END", ""]))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")

    return fake


SMALL = """\
small: 5 runs: 1 running, 1 done, 1 failed, 1 diverged, 1 waiting
  e/a, seed 0: epoch 1 of 4
"""
REST = """\
  about 3 s of training left for each worker at work
  e/b, seed 0: diverged, the loss is not finite in epoch 2
  e/b, seed 1: failed, the process was ended by SIGSEGV, 2 times
"""
LATER = "later: 2 runs: 2 waiting\n"


def test_one_run_is_one(call, tmp_path):
    with open_store(tmp_path / "runs", write=True) as opened:
        opened.save_plan("small", {"file": {}}, RUNS[:1], {("e/a", 1): "r1"}, {})
    assert call("status", "--store", tmp_path / "runs") == (0, "small: 1 run: 1 waiting\n", "")


def test_every_study_with_what_is_under_way_and_what_is_not_done(call, store):
    assert call("status", "--store", store) == (0, f"{LATER}{SMALL}{REST}", "")
    assert call("status", "small", "--store", store) == (0, f"{SMALL}{REST}", "")


def test_a_study_that_the_store_has_not(call, store):
    assert call("status", "smal", "--store", store) == (
        2,
        "",
        f"doubleread: --store {store}: no study smal; it has later, small\n",
    )


def test_the_jobs_in_the_queue_are_counted_by_state_and_reason(call, store, queue):
    many = new_manifest(store / JOBS, [["r2.attempt-1"], ["r5.attempt-1", "r3.attempt-2"], ["r4.attempt-1"]])
    many.submitted("17")
    other = new_manifest(store / JOBS, [["r6.attempt-1"]])
    other.submitted("18")
    queue(
        f"{many.token}|17|0|RUNNING|None|2026-01-02T03:04:05",
        f"{many.token}|17|1|PENDING|Priority|N/A",
        f"{many.token}|17|2|PENDING|Priority|N/A",
        f"{other.token}|18|N/A|PENDING|Resources|2026-01-02T05:00:00",
    )
    small = "  Slurm: 2 jobs pending (Priority), 3 runs to go\n  Slurm: 1 job running, 1 run to go\n"
    later = "  Slurm: 1 job pending (Resources), 1 run to go\n"
    assert call("status", "--store", store) == (0, f"{LATER}{later}{SMALL}{small}{REST}", "")
    found = json.loads(call("status", "later", "--store", store, "--json")[1])
    assert [study["queue"] for study in found["studies"]] == [
        [{"job": "18", "state": "PENDING", "reason": "Resources", "starts": "2026-01-02T05:00:00", "runs": 1}]
    ]
