"""R8, R9, R10: a full disk, a worker that crashes, hangs or takes all memory, NaN at a step, a clock that jumps."""

import json
import math
import os
import subprocess
import sys
import time
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from doubleread.errors import UserError
from doubleread.runner import Care, Silent, engines, prepare_study, train_study
from doubleread.runner.care import Hearing
from doubleread.store import open_store, recover
from doubleread.store.verify import damaged_runs
from doubleread.study import parse_study
from doubleread.training import Diverged
from doubleread.training.paths import make_trainer
from doubleread.training.records import RunSpec, record_epoch
from tests.conftest import ROOT, small_study
from tests.reliability.stores import assert_equal, content_of
from tests.runner.test_drive import InThisProcess, drive_here
from tests.training.conftest import on, paths, recipe, run_data

BROKEN = "tests.reliability.broken_worker"


class Heard(Silent):
    def __init__(self):
        self.remarks = []

    def remark(self, text):
        self.remarks.append(text)


@pytest.fixture
def faulty(monkeypatch):
    """Let the workers of a study load faults, by seed."""
    preload = engines.preload_for

    def set_faults(**faults):
        monkeypatch.setenv("DOUBLEREAD_TEST_FAULTS", json.dumps({seed[1:]: fault for seed, fault in faults.items()}))
        monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
        monkeypatch.setattr(engines, "preload_for", lambda *kinds: [*preload(*kinds), BROKEN])
        # the server of an earlier test has no faults, and one with faults must not serve a later one
        _end_server()

    yield set_faults
    _end_server()


def _end_server():
    from multiprocessing import forkserver

    server = forkserver._forkserver
    if server._forkserver_pid is not None:
        server._stop()


def go(raw, root, **more):
    study, heard = parse_study(raw, place="s"), Heard()
    with open_store(root, write=True) as store:
        recover(store)
        ready = prepare_study(study, store.data_folder, heard)
        counts = train_study(ready, store, workers=2, show=heard, **more)
        return counts, {(row["arm"], row["seed"]): row for row in store.runs_of(study.name)}, heard.remarks


@pytest.mark.slow
def test_a_fault_in_one_worker_fails_that_run_alone_with_its_reason(study_dict, tmp_path, faulty):
    study_dict["experiments"] = {"loss": {"factors": {"loss": ["bce"]}}}
    study_dict["seeds"] = 7
    faulty(s0="segfault", s1="abort", s2="exit", s3="memory", s4="raise", s5="hang")
    counts, rows, remarks = go(study_dict, tmp_path, care=Care(give_up_after=2.0))
    assert (counts.done, counts.failed, counts.interrupted) == (1, 6, 0)
    assert {seed: row["reason"] for (_, seed), row in rows.items()} == {
        0: "the process was ended by SIGSEGV, a crash in compiled code, 2 times",
        1: "the process was ended by SIGABRT, a crash in compiled code, 2 times",
        2: "the process ended with exit code 7 and no answer, 2 times",
        3: "MemoryError (out of memory: fewer --workers leave more to each)",
        4: "ValueError: no such thing",
        5: "no sign of life for 2 s (--give-up-after), so the process was ended, 2 times",
        6: None,
    }
    tried_again = "; it is tried again at the end"
    assert f"loss/bce, seed 0: the process was ended by SIGSEGV, a crash in compiled code{tried_again}" in remarks
    assert (
        f"loss/bce, seed 5: no sign of life for 2 s (--give-up-after), so the process was ended{tried_again}" in remarks
    )
    assert {seed: row["attempts"] for (_, seed), row in rows.items()} == {0: 2, 1: 2, 2: 2, 3: 1, 4: 1, 5: 2, 6: 1}
    # mended, the same call goes on
    faulty()
    counts, rows, _ = go(study_dict, tmp_path)
    assert (counts.done, counts.reused) == (7, 1)
    assert {row["reason"] for row in rows.values()} == {None}


def test_silence_is_measured_by_a_clock_that_nobody_can_set():
    now = 0.0
    hearing = Hearing(10.0, lambda: now)
    assert not hearing.is_silent("a", "1")
    now = 9.0
    assert not hearing.is_silent("a", "1")
    assert not hearing.is_silent("b", "")
    now = 9.5
    assert not hearing.is_silent("a", "2")
    now = 19.0
    assert not hearing.is_silent("a", "2")
    assert hearing.is_silent("b", "")
    now = 19.5
    assert hearing.is_silent("a", "2")
    hearing.forget("a")
    assert not hearing.is_silent("a", "2")


def test_seconds_must_be_seconds():
    for bad, shown in ((0.0, "0"), (-1.0, "-1"), (math.nan, "nan"), (math.inf, "inf")):
        with pytest.raises(UserError) as error:
            Care(give_up_after=bad)
        assert str(error.value) == f"--give-up-after: got {shown}; expected a number of seconds above 0"


@pytest.mark.parametrize("path", ["reference", *paths()])
def test_nan_at_a_step_ends_the_run_before_the_optimizer_takes_it(path):
    data = run_data(8)
    plan = recipe(model={"name": "mlp", "hidden": [6]})
    spec = RunSpec(recipe=plan, seed=0, intensity="unit", data=data)
    rows, rates = spec.rows(0), spec.rates(0)
    trainer = make_trainer(spec, on(path))
    first = trainer.train(rows[: 2 * plan.batch_size], rates[:2])
    state = {name: tensor.clone() for name, tensor in trainer.state().items()}
    name = next(name for name in state if (state[name].ndim >= 1 and "bias" in name) or name == "rest")
    state[name].view(-1)[0] = math.nan
    trainer.restore(state)
    before = {name: tensor.clone() for name, tensor in trainer.weights().items()}
    second = trainer.train(rows[2 * plan.batch_size :], rates[2:])
    assert len(second.losses) == 1
    assert math.isnan(second.losses[0])
    after = trainer.weights()
    assert all(torch.equal(torch.nan_to_num(before[n], 9.0), torch.nan_to_num(after[n], 9.0)) for n in before)
    with pytest.raises(Diverged) as error:
        record_epoch(spec, 0, rows, rates[-1], first.then(second), np.zeros(1), 0.0)
    assert str(error.value) == "the loss is nan in epoch 1, step 3"


def test_a_clock_that_jumps_changes_nothing(study_dict, tmp_path, monkeypatch):
    study_dict["seeds"] = 1
    drive_here(study_dict, tmp_path / "calm", InThisProcess())
    jumps = iter(range(10_000))

    def now():
        # a day back, ten years on, and so on
        jump = next(jumps)
        return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=(-1) ** jump * jump * 100)).isoformat()

    for place in ("store.store", "worker.task"):
        monkeypatch.setattr(f"doubleread.{place}.now", now)
    monkeypatch.setattr("time.time", lambda: float(next(jumps)))
    counts, _ = drive_here(study_dict, tmp_path / "jumping", InThisProcess())
    assert counts.done == counts.planned == 4
    assert_equal(content_of(tmp_path / "jumping"), content_of(tmp_path / "calm"))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 3 MiB, of its own; mounting takes the rights to do so."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no small disk could be mounted: {done.stderr}")
        pytest.skip(f"no small disk can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def command(study: Path, store: Path, *more: str):
    return subprocess.run(
        [sys.executable, "-m", "doubleread", "run", str(study), "--store", str(store), "--json", *more],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def wide_study(images, tmp_path, seeds):
    """A study whose runs leave a quarter of a megabyte each."""
    raw = small_study(images)
    raw["data"]["image_size"] = 32
    raw["base"]["model"]["hidden"] = [64]
    raw["experiments"] = {"loss": {"factors": {"loss": ["bce"]}}}
    raw["seeds"] = seeds
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(raw))
    return study


@pytest.mark.slow
def test_a_full_disk_pauses_the_study_and_keeps_every_finished_run(image_folder, small_disk, tmp_path):
    study, store = wide_study(image_folder, tmp_path, 16), small_disk / "runs"
    full = command(study, store)
    assert full.returncode == 1
    counts = json.loads(full.stdout)["runs"]
    assert 2 <= counts["done"] < 16
    assert counts["failed"] == 0
    assert full.stderr.splitlines()[-1] == (
        f"doubleread: the disk of {store} is full: {counts['done']} of 16 runs are done and kept; free some space, then"
        " the same command goes on from here"
    )
    with open_store(store) as opened:
        assert damaged_runs(opened) == {}
        assert {row["state"] for row in opened.runs_of("small")} <= {"done", "planned", "interrupted"}
    again = command(study, store)
    assert again.returncode == 1
    assert json.loads(again.stdout)["runs"]["done"] == counts["done"]
    subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
    mended = command(study, store)
    assert mended.returncode == 0
    assert json.loads(mended.stdout)["runs"] == {
        "planned": 16, "done": 16, "reused": counts["done"], "failed": 0, "diverged": 0, "interrupted": 0
    }  # fmt: skip
    assert command(study, tmp_path / "calm").returncode == 0
    assert_equal(content_of(store), content_of(tmp_path / "calm"))


@pytest.mark.slow
def test_a_disk_that_is_filled_by_someone_else_in_the_midst_of_a_run(image_folder, small_disk, tmp_path):
    study, store = wide_study(image_folder, tmp_path, 2), small_disk / "runs"
    text = json.loads(study.read_text())
    text["base"]["epochs"] = 3000
    study.write_text(json.dumps(text))
    line = [sys.executable, "-m", "doubleread", "run", str(study), "--store", str(store), "--json"]
    driver = subprocess.Popen(
        [*line, "--checkpoint-every", "0.2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(store.glob("artifacts/*/checkpoint.safetensors")):
        time.sleep(0.02)
    with (small_disk / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 4096)
        except OSError:
            pass
        out, err = driver.communicate(timeout=60)
    assert driver.returncode == 1, err
    assert f"the disk of {store} is full: 0 of 2 runs are done and kept; free some space" in err
    assert json.loads(out)["runs"]["failed"] == 0
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
    mended = command(study, store)
    assert json.loads(mended.stdout)["runs"]["done"] == 2, mended.stderr
    records = [json.loads(path.read_text()) for path in store.glob("artifacts/*/run.json")]
    assert any(record["resumed"] for record in records)
    assert command(study, tmp_path / "calm").returncode == 0
    assert_equal(content_of(store), content_of(tmp_path / "calm"))


def test_a_disk_that_is_full_before_anything_is_prepared(image_folder, small_disk, tmp_path):
    study = wide_study(image_folder, tmp_path, 1)
    (small_disk / "ballast").write_bytes(b"x" * (3 * 2**20 - 8192))
    done = command(study, small_disk / "runs")
    assert done.returncode == 1
    assert "the disk is full; what has finished is kept; free some space, then the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr


def test_images_that_do_not_fit_on_the_disk(image_folder, small_disk, tmp_path):
    """The array is mapped into memory: without space taken beforehand, a full disk would end the process by SIGBUS."""
    study = wide_study(image_folder, tmp_path, 1)
    done = command(study, small_disk / "runs", "--set", "data.image_size=512")
    assert done.returncode == 1
    assert "the disk is full; what has finished is kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((small_disk / "runs" / "data").glob(".draft*"))


def test_a_read_only_store_can_be_read_and_is_refused_for_writing(image_folder, small_disk, tmp_path):
    study, store = wide_study(image_folder, tmp_path, 1), small_disk / "runs"
    assert command(study, store).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = command(study, store)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"doubleread: --store {store}: is on a read-only file system; give another path"
    )
    for words in (["status"], ["status", "--verify"], ["report", "small"]):
        seen = subprocess.run(
            [sys.executable, "-m", "doubleread", *words, "--store", str(store)], capture_output=True, text=True
        )
        assert seen.returncode == 0, seen.stderr


class Dying:
    """An engine in which nothing ever answers."""

    capacity = 1

    def submit(self, _fn, _tasks):
        future = Future()
        future.set_result("stopped")
        return future


def test_a_worker_that_someone_else_asks_to_stop_is_tried_again(study_dict, tmp_path):
    counts, rows = drive_here({**study_dict, "seeds": 1}, tmp_path, Dying())
    assert counts.failed == counts.planned == 4
    assert {row["reason"] for row in rows.values()} == {"the process was asked to stop, 2 times"}
