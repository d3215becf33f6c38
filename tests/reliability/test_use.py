"""R3, R5, R6, R7, R14: interrupted runs, other versions, many readers, two writers, any number of workers."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from doubleread.errors import UserError
from doubleread.nouns import REFERENCE, State
from doubleread.store import (
    attempt_folder,
    has_checkpoint,
    make_attempt,
    newest_checkpoint,
    open_store,
    read_checkpoint,
    recover,
    run_folder,
    write_attempt,
    write_checkpoint,
)
from doubleread.worker import environment
from doubleread.worker.environment import ARITHMETIC_VARIABLES
from tests.conftest import ROOT, small_study
from tests.reliability.stores import assert_equal, content_of
from tests.reliability.test_faults import command, go

PROGRAM = [sys.executable, "-m", "doubleread"]


def one_run(images, tmp_path, epochs, **base):
    """Write a study of one run; return its file."""
    raw = small_study(images)
    raw["base"] |= {"epochs": epochs, **base}
    raw["experiments"] = {"loss": {"factors": {"loss": ["bce"]}}}
    raw["seeds"] = 1
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(raw))
    return study


def start(study, store, *more):
    return subprocess.Popen(
        [*PROGRAM, "run", str(study), "--store", str(store), "--json", *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def wait_until(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def checkpoints(store):
    return list(store.glob("artifacts/*/checkpoint.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("base", [{"threads": 2, "epochs": 120}, {"epochs": 3000}], ids=["tiles", "native"])
def test_a_real_run_killed_in_its_midst_goes_on_from_its_checkpoint(image_folder, tmp_path, base):
    study = one_run(image_folder, tmp_path, **base, model={"name": "mlp", "hidden": [6], "dropout": 0.2})
    driver = start(study, tmp_path / "runs", "--checkpoint-every", "0.1")
    wait_until(lambda: checkpoints(tmp_path / "runs"))
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()
    done = command(study, tmp_path / "runs")
    assert json.loads(done.stdout)["runs"]["done"] == 1, done.stderr
    (record,) = [json.loads(path.read_text()) for path in tmp_path.glob("runs/artifacts/*/run.json")]
    (resumed,) = record["resumed"]
    assert resumed["epoch"] + resumed["step"] > 0
    assert record["checkpoint_unusable"] is None
    assert record["attempt"] == 2
    assert command(study, tmp_path / "calm").returncode == 0
    assert_equal(content_of(tmp_path / "runs"), content_of(tmp_path / "calm"))


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_however_young_the_run(image_folder, tmp_path):
    study = one_run(image_folder, tmp_path, 8000)
    driver = start(study, tmp_path / "runs")
    wait_until(lambda: list(tmp_path.glob("runs/artifacts/*/progress.jsonl")))
    os.killpg(driver.pid, signal.SIGINT)
    _out, err = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert err.splitlines()[-1] == (
        "doubleread: interrupted: 0 of 1 runs are done and kept; the same command goes on from here"
    )
    assert len(checkpoints(tmp_path / "runs")) == 1
    assert json.loads(command(study, tmp_path / "runs").stdout)["runs"]["done"] == 1
    assert checkpoints(tmp_path / "runs") == []
    (record,) = [json.loads(path.read_text()) for path in tmp_path.glob("runs/artifacts/*/run.json")]
    assert len(record["resumed"]) == 1


@pytest.mark.slow
def test_a_run_that_is_shorter_than_the_interval_leaves_no_checkpoint(image_folder, tmp_path):
    study = one_run(image_folder, tmp_path, 3000)
    driver, seen = start(study, tmp_path / "runs"), []
    while driver.poll() is None:
        seen += checkpoints(tmp_path / "runs")
        time.sleep(0.005)
    driver.communicate()
    assert driver.returncode == 0
    assert seen == []


def interrupted_run(study_dict, tmp_path):
    """Return a study's only run after an attempt that left a checkpoint."""
    study_dict["experiments"] = {"loss": {"factors": {"loss": ["bce"]}}}
    study_dict["seeds"] = 1
    _, rows, _ = go(study_dict, tmp_path)
    ((_, row),) = rows.items()
    record = json.loads((run_folder(tmp_path, row["run_id"]) / "run.json").read_text())
    folder = attempt_folder(tmp_path, row["run_id"], 1)
    folder.mkdir()
    with open_store(tmp_path, write=True) as store:
        store.set_state(row["run_id"], State.INTERRUPTED, "interrupted by the user")
    return row["run_id"], record["environment"], folder


def test_a_checkpoint_of_another_version_is_not_used_and_that_is_said(study_dict, tmp_path):
    run_id, now, folder = interrupted_run(study_dict, tmp_path)
    then = {**now, "packages": {**now["packages"], "torch": "2.12.0"}, "processor": "an older one"}
    write_checkpoint(folder, {"environment": then, "epochs": []}, {})
    counts, _, remarks = go(study_dict, tmp_path)
    assert counts.done == 1
    assert remarks == [
        f"loss/bce, seed 0 begins again, not from its checkpoint: it had processor an older one, now"
        f" {now['processor']}; torch 2.12.0, now {now['packages']['torch']}"
    ]
    assert newest_checkpoint(tmp_path, run_id, 5) is None


def test_a_damaged_checkpoint_is_not_used_and_that_is_said(study_dict, tmp_path):
    _, now, folder = interrupted_run(study_dict, tmp_path)
    write_checkpoint(folder, {"environment": now, "epochs": []}, {})
    spoiled = bytearray((folder / "checkpoint.safetensors").read_bytes())
    spoiled[spoiled.index(b"processor")] ^= 1
    (folder / "checkpoint.safetensors").write_bytes(spoiled)
    counts, _, remarks = go(study_dict, tmp_path)
    assert counts.done == 1
    assert remarks == [
        "loss/bce, seed 0 begins again, not from its checkpoint: its header is not the one that was written"
    ]


def test_a_checkpoint_that_does_not_fit_is_not_used_and_that_is_said(study_dict, tmp_path):
    run_id, now, folder = interrupted_run(study_dict, tmp_path)
    header = {"environment": now, "epochs": [], "epoch_seconds": 0.0, "seconds": 0.0, "cpu_seconds": 0.0}
    tensors = {"part.losses": np.empty(0), "part.logits": np.empty(0, np.float32)}
    write_checkpoint(folder, header, tensors)
    counts, _, remarks = go(study_dict, tmp_path)
    assert counts.done == 1
    (remark,) = remarks
    assert remark.startswith("loss/bce, seed 0 began again, not from its checkpoint: it does not fit the run (")
    record = json.loads((run_folder(tmp_path, run_id) / "run.json").read_text())
    assert record["resumed"] == []


def test_a_study_that_goes_on_under_another_version_says_so(study_dict, tmp_path):
    study_dict["experiments"] = {"loss": {"factors": {"loss": ["bce"]}}}
    go({**study_dict, "seeds": 2}, tmp_path)
    connection = sqlite3.connect(tmp_path / "store.sqlite")
    ((key, text),) = connection.execute("SELECT id, document FROM environments").fetchall()
    then = json.loads(text)
    now, then["packages"]["torch"], then["flags"]["tf32"] = then["packages"]["torch"], "2.12.0", "on"
    connection.execute("UPDATE environments SET document = ? WHERE id = ?", (json.dumps(then), key))
    connection.commit()
    connection.close()
    assert go({**study_dict, "seeds": 2}, tmp_path)[2] == []
    assert go({**study_dict, "seeds": 3}, tmp_path)[2] == [
        f"2 runs that are done had tf32 on, now off; torch 2.12.0, now {now}: a difference between arms may come from"
        " that too"
    ]


def test_an_environment_says_what_numbers_depend_on(monkeypatch):
    for flag in ARITHMETIC_VARIABLES:
        monkeypatch.delenv(flag, raising=False)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    now = environment(1, REFERENCE)
    assert {"python", "system", "processor", "cores", "vector_instructions", "threads_per_run", "computed"} <= set(now)
    assert set(now["packages"]) >= {"doubleread", "torch", "numpy"}
    assert now["flags"] == {"denormal_numbers": "zero", "tf32": "off", "ATEN_CPU_CAPABILITY": "avx2"}


@pytest.mark.slow
def test_equal_weights_with_one_two_and_four_workers(image_folder, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(small_study(image_folder)))
    found = []
    for workers in (1, 2, 4):
        assert command(study, tmp_path / str(workers), "--workers", str(workers)).returncode == 0
        found.append(content_of(tmp_path / str(workers)))
    assert_equal(found[0], found[1])
    assert_equal(found[0], found[2])


def read_once(store):
    """Read a study as a page would; return how many of its runs are done."""
    with open_store(store) as opened:
        done = [row["run_id"] for row in opened.runs_of("small") if row["state"] == "done"]
        assert all(len(of_run) == 3 for of_run in opened.epochs_of(done).values())
        return len(done)


def read_for_ever(store):
    while True:
        read_once(Path(store))


@pytest.mark.slow
def test_eight_readers_during_a_run_and_a_second_run(image_folder, tmp_path):
    raw = small_study(image_folder)
    raw["seeds"] = 40
    study, store = tmp_path / "study.yaml", tmp_path / "runs"
    study.write_text(json.dumps(raw))
    driver = start(study, store)
    wait_until(lambda: (store / "store.sqlite").is_file() and list(store.glob("artifacts/*")))
    second = start(study, store)
    wrong, reads, stop = [], [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                reads.append(read_once(store))
            except Exception as error:
                wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    line = "from tests.reliability.test_use import read_for_ever as go; import sys; go(sys.argv[1])"
    others = [
        subprocess.Popen([sys.executable, "-c", line, str(store)], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(4)
    ]
    try:
        wait_until(lambda: driver.poll() is not None, 240)
        assert [other.poll() for other in others] == [None] * 4
    finally:
        # whatever came of it: they would read on beside every test that follows
        stop.set()
        for reader in readers:
            reader.join()
        for other in others:
            other.kill()
            other.communicate()
    out, err = driver.communicate()
    assert driver.returncode == 0, err
    assert json.loads(out)["runs"]["done"] == 160
    assert wrong == []
    assert len(reads) > 50
    assert max(reads) > min(reads)
    _, refused = second.communicate()
    assert second.returncode == 2
    assert refused.splitlines()[-1] == (
        f"doubleread: --store {store}: another doubleread is training into this store; wait for it, or give another"
        " path"
    )


def test_a_reader_mends_what_a_writer_that_was_killed_left_half_done(study_dict, tmp_path):
    study_dict["seeds"] = 1
    go(study_dict, tmp_path)
    child = os.fork()
    if not child:
        connection = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
        # a page at a time goes to the file, so that it is half written when the process ends
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE runs SET state = 'planned', reason = ?", ("x" * 20_000,))
        connection.execute("DELETE FROM epochs")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / "store.sqlite-journal").is_file()
    with open_store(tmp_path) as store:
        assert {row["state"] for row in store.runs_of("small")} == {"done"}
    assert not (tmp_path / "store.sqlite-journal").exists()


def test_a_reader_cannot_write(study_dict, tmp_path):
    study_dict["seeds"] = 1
    go(study_dict, tmp_path)
    with open_store(tmp_path) as store, pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.set_state("r", State.FAILED)


def test_a_worker_that_outlived_its_driver_is_waited_for_and_named(study_dict, tmp_path, monkeypatch):
    run_id, _, folder = interrupted_run(study_dict, tmp_path)
    (folder / "progress.jsonl").touch()
    monkeypatch.setattr("doubleread.store.recovery.ORPHAN_SECONDS", 0.3)
    line = "import sys, time; from pathlib import Path; from doubleread import disk; disk.lock(Path(sys.argv[1]));"
    orphan = subprocess.Popen(
        [sys.executable, "-c", line + "print('held', flush=True); time.sleep(60)", str(folder)], stdout=subprocess.PIPE
    )
    assert orphan.stdout.readline() == b"held\n"
    with open_store(tmp_path, write=True) as store:
        store._db.execute("UPDATE runs SET state = 'running', attempts = 1 WHERE run_id = ?", (run_id,))
        # the run was done before: what its folder says is another attempt's
        record = run_folder(tmp_path, run_id) / "run.json"
        record.write_text(record.read_text().replace('"attempt": 1', '"attempt": 0'))
        with pytest.raises(UserError) as error:
            recover(store)
        assert str(error.value) == (
            f"--store {tmp_path}: a process of an earlier doubleread still trains into {run_id}.attempt-1; wait for it,"
            " or end it"
        )
        orphan.kill()
        orphan.communicate()
        assert recover(store) == []
        assert store.states([run_id]) == {run_id: State.INTERRUPTED}
        assert not folder.exists()


@pytest.mark.slow
def test_workers_end_with_a_driver_that_is_killed(image_folder, tmp_path):
    study = one_run(image_folder, tmp_path, 1_000_000)
    driver = start(study, tmp_path / "runs")
    wait_until(lambda: list(tmp_path.glob("runs/artifacts/*/progress.jsonl")))
    (folder,) = tmp_path.glob("runs/artifacts/*")
    driver.kill()
    driver.wait()
    time.sleep(1.5)
    settled = (folder / "beat").read_text(), (folder / "progress.jsonl").stat().st_size
    time.sleep(1.0)
    assert ((folder / "beat").read_text(), (folder / "progress.jsonl").stat().st_size) == settled
    driver.communicate()


def test_a_failed_attempt_keeps_its_checkpoint_for_the_next(study_dict, tmp_path):
    run_id, now, folder = interrupted_run(study_dict, tmp_path)
    with open_store(tmp_path, write=True) as store:
        for number in (2, 3):
            assert store.begin(run_id) == number
            made = make_attempt(tmp_path, run_id, number, newest_checkpoint(tmp_path, run_id, number - 1))
            if number == 2:
                write_checkpoint(made, {"environment": now, "epochs": [1, 2]}, {})
            assert has_checkpoint(made)
            assert read_checkpoint(made)[0]["epochs"] == [1, 2]
            record = {"state": "failed", "attempt": number, "epochs": [], "finished": "", "environment": now}
            write_attempt(made, record, None, None)
            store.record(run_id, number)
            assert newest_checkpoint(tmp_path, run_id, number) == run_folder(tmp_path, run_id)
    assert not folder.exists()
