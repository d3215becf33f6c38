"""Whole studies on small images: trained once, the same with any number of workers, going on after a stop."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future

import numpy as np
import pytest

from doubleread.engines import LocalExecutor, WorkerDied
from doubleread.nouns import State
from doubleread.runner import Silent, prepare_study, train_study
from doubleread.runner.drive import Counts, drive
from doubleread.runner.progress import in_words
from doubleread.store import open_store, read_logits, recover, run_folder
from doubleread.study import parse_study
from doubleread.training import Diverged
from tests.conftest import small_study


def go(raw, root, workers=2):
    study = parse_study(raw, place="s")
    with open_store(root, write=True) as store:
        counts = train_study(prepare_study(study, store.data_folder, Silent()), store, workers=workers, show=Silent())
        return counts, {row["run_id"]: row for row in store.runs_of(study.name)}


class InThisProcess(Executor):
    """Runs tasks at once, in this process; `broken` maps the number of a call to what it raises."""

    workers = 1

    def __init__(self, broken=None):
        self.calls = 0
        self.broken = broken or {}

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.calls += 1
        error = self.broken.get(self.calls)
        if error == "Ctrl-C":
            signal.raise_signal(signal.SIGINT)
        if isinstance(error, Exception):
            future.set_exception(error)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def drive_here(raw, root, executor):
    study = parse_study(raw, place="s")
    with open_store(root, write=True) as store:
        prepared = prepare_study(study, store.data_folder, Silent())
        recover(store)
        store.save_plan(study.name, {}, [run.row() for run in prepared.plan.runs], prepared.plan.run_of, {})
        counts = drive(prepared.plan, prepared.sets, store, executor, keep_weights="all")
        return counts, {row["run_id"]: row for row in store.runs_of(study.name)}


@pytest.mark.slow
def test_equal_weights_with_one_and_with_two_workers_and_nothing_twice(study_dict, tmp_path):
    one, rows_one = go(study_dict, tmp_path / "one", workers=1)
    two, rows_two = go(study_dict, tmp_path / "two", workers=2)
    assert one == two == Counts(planned=8, done=8, reused=0, failed=0, diverged=0, interrupted=0)
    hashes = {run_id: row["weights_hash"] for run_id, row in rows_one.items()}
    assert hashes == {run_id: row["weights_hash"] for run_id, row in rows_two.items()}
    assert len(set(hashes.values())) == 8
    for run_id in hashes:
        assert np.array_equal(read_logits(tmp_path / "one", run_id).test, read_logits(tmp_path / "two", run_id).test)

    again, _ = go(study_dict, tmp_path / "one")
    assert again == Counts(planned=8, done=8, reused=8, failed=0, diverged=0, interrupted=0)
    assert all(row["attempts"] == 1 for row in rows_one.values())

    more, rows_more = go({**study_dict, "seeds": 3}, tmp_path / "one")
    assert more == Counts(planned=12, done=12, reused=8, failed=0, diverged=0, interrupted=0)
    assert {run_id: row["weights_hash"] for run_id, row in rows_more.items() if run_id in hashes} == hashes


def test_what_is_trained_anew_is_said_with_its_reason(study_dict, tmp_path):
    study_dict["experiments"] = {"batch": {"factors": {"batch_size": [4, 8]}}}
    heard = []

    class Heard(Silent):
        def remark(self, text):
            heard.append(text)

    def go(**base):
        study = parse_study({**study_dict, "base": {**study_dict["base"], **base}}, place="s")
        with open_store(tmp_path / "runs", write=True) as store:
            train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=Heard())
        return [text for text in heard if "anew" in text]

    assert go() == []
    assert go() == []
    assert go(epochs=2) == ["4 runs are trained anew, because of another epochs"]


def test_a_process_of_its_own_gives_the_weights_of_this_process(study_dict, tmp_path):
    study_dict["experiments"] = {"loss": {"factors": {"loss": ["bce", "ce"]}}}
    _, forked = go({**study_dict, "seeds": 1}, tmp_path / "forked")
    _, here = drive_here({**study_dict, "seeds": 1}, tmp_path / "here", InThisProcess())
    assert {k: row["weights_hash"] for k, row in forked.items()} == {k: row["weights_hash"] for k, row in here.items()}


def test_a_run_that_raises_fails_with_its_reason_and_the_others_go_on(study_dict, tmp_path):
    counts, rows = drive_here(
        study_dict, tmp_path, InThisProcess({n: WorkerDied("the process was ended by SIGKILL") for n in (2, 9)})
    )
    assert counts == Counts(planned=8, done=7, reused=0, failed=1, diverged=0, interrupted=0)
    (failed,) = [row for row in rows.values() if row["state"] == "failed"]
    assert failed["reason"] == "the process was ended by SIGKILL, 2 times"
    again, _ = drive_here(study_dict, tmp_path, InThisProcess())
    assert again == Counts(planned=8, done=8, reused=7, failed=0, diverged=0, interrupted=0)


def test_an_exception_inside_a_run_is_its_reason(study_dict, tmp_path, monkeypatch):
    def broken(*_args, **_more):
        raise MemoryError("no room")

    monkeypatch.setattr("doubleread.worker.task.train", broken)
    counts, rows = drive_here({**study_dict, "seeds": 1}, tmp_path, InThisProcess())
    assert counts.failed == counts.planned == 4
    assert {row["reason"] for row in rows.values()} == {
        "MemoryError: no room (out of memory: fewer --workers leave more to each)"
    }
    record = json.loads((run_folder(tmp_path, next(iter(rows))) / "run.json").read_text())
    assert "in broken" in record["trace"]


def test_a_diverged_run_is_a_result_and_is_not_trained_again(study_dict, tmp_path, monkeypatch):
    def diverges(*_args, **_more):
        raise Diverged(1, 4, math.nan)

    monkeypatch.setattr("doubleread.worker.task.train", diverges)
    counts, rows = drive_here({**study_dict, "seeds": 1}, tmp_path, InThisProcess())
    assert counts == Counts(planned=4, done=0, reused=0, failed=0, diverged=4, interrupted=0)
    assert {row["reason"] for row in rows.values()} == {"the loss is nan in epoch 2, step 5"}
    executor = InThisProcess()
    drive_here({**study_dict, "seeds": 1}, tmp_path, executor)
    assert executor.calls == 0


def test_an_interrupt_keeps_what_is_done_and_the_same_call_goes_on(study_dict, tmp_path):
    counts, _ = drive_here(study_dict, tmp_path, InThisProcess({4: "Ctrl-C"}))
    assert not counts.finished
    assert counts.done == 4
    again, _ = drive_here(study_dict, tmp_path, InThisProcess())
    assert (again.done, again.reused) == (8, 4)


def test_weights_are_left_out_where_none_are_kept(study_dict, tmp_path):
    _, rows = go({**study_dict, "seeds": 1, "keep_weights": "none"}, tmp_path)
    for run_id, row in rows.items():
        assert row["weights_hash"]
        assert not (run_folder(tmp_path, run_id) / "weights.safetensors").exists()


def test_an_executor_says_how_a_process_ended():
    with LocalExecutor(2, []) as executor:
        futures = {
            "exit": executor.submit(os._exit, 3),
            "kill": executor.submit(signal.raise_signal, signal.SIGKILL),
            "raise": executor.submit(int, "no good"),
            "fine": executor.submit(int, "7"),
        }
        assert futures["fine"].result() == 7
        reasons = {how: str(f.exception()).splitlines()[0] for how, f in futures.items() if how != "fine"}
    assert reasons == {
        "exit": "the process ended with exit code 3 and no answer",
        "kill": "the process was ended by SIGKILL, perhaps out of memory",
        "raise": "ValueError: invalid literal for int() with base 10: 'no good'",
    }


@pytest.fixture(scope="module")
def long_study(image_folder):
    raw = small_study(image_folder)
    raw["base"]["epochs"] = 2000
    return raw


@pytest.fixture(scope="module")
def undisturbed(long_study, tmp_path_factory):
    _, rows = go(long_study, tmp_path_factory.mktemp("undisturbed") / "runs")
    return {run_id: row["weights_hash"] for run_id, row in rows.items()}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_driver_that_is_stopped_and_started_again(long_study, undisturbed, tmp_path, how):
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(long_study))
    command = [sys.executable, "-m", "doubleread", "run", str(study), "--store", str(tmp_path / "runs"), "--json"]
    driver = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(finished(tmp_path)) < 2:
        time.sleep(0.05)
    if how == signal.SIGINT:
        os.killpg(driver.pid, how)
    else:
        driver.send_signal(how)
    out, err = driver.communicate(timeout=60)
    before = finished(tmp_path)
    assert 2 <= len(before) < 8
    if how != signal.SIGKILL:
        assert driver.returncode == 1
        assert json.loads(out)["runs"]["done"] == len(before)
        assert "the same command goes on from here" in err
        states = {state for _, state in states_of(tmp_path)}
        assert "running" not in states
        assert "interrupted" in states
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    counts = json.loads(done.stdout)["runs"]
    assert counts["done"] == counts["planned"] == 8
    assert counts["reused"] >= len(before)
    with open_store(tmp_path / "runs") as store:
        resumed = {row["run_id"]: row["weights_hash"] for row in store.runs_of("small")}
    assert resumed == undisturbed


def states_of(root):
    try:
        with open_store(root / "runs") as store:
            return [(row["run_id"], row["state"]) for row in store.runs_of("small")]
    except Exception:
        return []


def finished(root):
    return {run_id for run_id, state in states_of(root) if state == State.DONE}


def test_durations_in_words():
    assert [in_words(s) for s in (3.4, 89, 100, 5000, 7300)] == ["3 s", "89 s", "2 min", "83 min", "2 h 2 min"]
