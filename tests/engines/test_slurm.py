"""Runs in the queue of a real Slurm with two nodes: the same table, whatever happens to jobs and to the driver."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.conftest import RUNS, Trained, resumed, wait_until
from tests.reliability.stores import assert_equal, content_of

ALL_DONE = {"planned": RUNS, "done": RUNS, "reused": 0, "failed": 0, "diverged": 0, "interrupted": 0}


@pytest.fixture
def in_queue(slurm, long_study, tmp_path):
    """A function that returns the training of a study by Slurm, as the site file asks for it."""
    made = []

    def make(study=long_study, **asked):
        site = tmp_path / "site.yaml"
        site.write_text(json.dumps({"slurm": {"partition": "low", **asked}}))
        made.append(Trained(study, tmp_path / "runs", "--engine", "slurm", DOUBLEREAD_SITE=str(site)))
        return made[-1]

    yield make
    for trained in made:
        if trained.process is not None and trained.process.poll() is None:
            trained.kill()
        for job in jobs_of(trained):
            subprocess.run(["scancel", "--signal=KILL", "--full", job], check=False, capture_output=True)
            subprocess.run(["scancel", job], check=False)


def manifests(trained: Trained) -> list[dict]:
    found = []
    for path in sorted(trained.store.glob("jobs/*/manifest.json")):
        found.append(json.loads(path.read_text()) | {"token": path.parent.name})
    return found


def jobs_of(trained: Trained) -> list[str]:
    return [manifest["job"] for manifest in manifests(trained) if manifest["job"]]


def queue(trained: Trained) -> dict[str, str]:
    """Return the states of the jobs of a store, by `17_3` or `17`."""
    tokens = ",".join(manifest["token"] for manifest in manifests(trained))
    if not tokens:
        return {}
    words = ["squeue", "-h", "-r", "-t", "all", f"--name={tokens}", "-o", "%F_%K %T"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return {name.removesuffix("_N/A"): state for name, state in (line.split() for line in said.splitlines())}


def running(trained: Trained) -> list[str]:
    return [job for job, state in queue(trained).items() if state == "RUNNING"]


def nothing_is_left(trained: Trained) -> bool:
    return not list(trained.store.glob("jobs/*/*.*"))


@pytest.mark.cluster
@pytest.mark.slow
def test_an_array_of_jobs_one_cancelled_and_one_requeued_gives_the_same_table(in_queue, same_as_calm):
    trained = in_queue(batch_minutes=0)
    trained.start()
    wait_until(lambda: len(trained.checkpoints()) >= 2)
    (manifest,) = manifests(trained)
    assert len(manifest["batches"]) == RUNS
    first, second = running(trained)[:2]
    subprocess.run(["scancel", first], check=True)
    subprocess.run(["scontrol", "requeue", second], check=True)
    assert trained.end()["runs"] == ALL_DONE
    same_as_calm(trained.store)
    assert resumed(trained.store) >= 2
    said = trained.file("err").read_text()
    assert re.search(rf"job {first} of Slurm ended \(CANCELLED\); it is tried again at the end\n", said)
    assert second not in said
    assert nothing_is_left(trained)


@pytest.mark.cluster
@pytest.mark.slow
def test_short_runs_share_a_job_status_shows_the_queue_and_a_killed_driver_picks_its_jobs_up(
    in_queue, same_as_calm, call
):
    trained = in_queue()
    trained.start()
    wait_until(trained.checkpoints)
    (manifest,) = manifests(trained)
    # runs of some seconds are one job of less than ten minutes
    assert [len(batch) for batch in manifest["batches"]] == [RUNS]
    trained.kill()
    code, out, _ = call("status", "--store", trained.store)
    assert code == 0
    assert re.search(r"\n  Slurm: 1 job running, \d runs to go\n", out)
    code, out, _ = call("status", "--store", trained.store, "--json")
    (job,) = json.loads(out)["studies"][0]["queue"]
    assert (job["job"], job["state"]) == (manifest["job"], "RUNNING")
    # what is in the queue is not trained anywhere else in the meantime
    code, _, err = call("run", trained.study, "--store", trained.store, "--engine", "local")
    assert code == 2
    assert re.fullmatch(
        rf"doubleread: --store {trained.store}: (1 run is|\d runs are) in the queue of Slurm, from an earlier start;"
        r" go on with --engine slurm, or end them with scancel\n",
        err,
    )
    trained.start()
    counts = trained.end()["runs"]
    assert counts["done"] == RUNS
    assert counts["reused"] < RUNS
    assert re.search(r"small: \d runs? of an earlier start (is|are) still at work\n", trained.file("err").read_text())
    # one attempt of each: nothing was begun twice
    records = [json.loads(path.read_text()) for path in trained.store.glob("artifacts/*/run.json")]
    assert [record["attempt"] for record in records] == [1] * RUNS
    same_as_calm(trained.store)
    assert nothing_is_left(trained)


@pytest.mark.cluster
@pytest.mark.slow
def test_a_job_that_is_preempted_and_a_node_that_loses_power(in_queue, same_as_calm, slurm):
    trained = in_queue(batch_minutes=0)
    trained.start()
    wait_until(lambda: on_node(trained, "n1") and trained.checkpoints())
    preempting = subprocess.run(
        ["sbatch", "--parsable", "-p", "high", "-w", "n1", "-o", "/dev/null", "--wrap", "sleep 1"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    wait_until(lambda: ended(preempting))
    # the one that had to make way is in the queue again
    wait_until(lambda: requeued(trained) == 1)
    # on a quick machine the runs of the other node may be over by now
    wait_until(lambda: node_of(trained) and trained.checkpoints())
    script = Path(__file__).parent.parent.parent / ".ci" / "slurm"
    try:
        subprocess.run([script, "crash", Path(slurm).parent, node_of(trained)], check=True, capture_output=True)
        wait_until(lambda: requeued(trained) == 2)
    finally:
        subprocess.run([script, "start", Path(slurm).parent], check=True, capture_output=True)
    assert trained.end()["runs"] == ALL_DONE
    same_as_calm(trained.store)
    assert resumed(trained.store) >= 1


def on_node(trained: Trained, node: str) -> bool:
    """Tell whether a job of a store runs on a node."""
    tokens = ",".join(manifest["token"] for manifest in manifests(trained))
    words = ["squeue", "-h", "-t", "running", "-w", node, f"--name={tokens or 'none'}"]
    return bool(subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip())


def node_of(trained: Trained) -> str:
    """Return a node on which a job of a store runs, "" where none does."""
    return next((node for node in ("n2", "n1") if on_node(trained, node)), "")


def requeued(trained: Trained) -> int:
    """Return how often jobs of a store were begun again."""
    return sum(restarts(job) for job in queue(trained))


def ended(job: str) -> bool:
    done = subprocess.run(
        ["squeue", "-h", "-j", job, "-t", "all", "-o", "%T"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() in ("COMPLETED", "")


@pytest.mark.cluster
@pytest.mark.slow
def test_through_a_time_limit(in_queue, long_study, tmp_path):
    """One run that takes longer than its job may: it leaves a checkpoint, the job is requeued, the run goes on."""
    raw = json.loads(long_study.read_text())
    # long epochs: a checkpoint holds what each of them gave, so that tens of thousands would be most of the work
    raw["data"]["image_size"] = 64
    raw["base"] |= {"epochs": 100, "model": {"name": "mlp", "hidden": [64]}}
    raw["seeds"] = 1
    raw["experiments"] = {"batch": {"factors": {"batch_size": [1]}}}
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(raw))
    short = Trained(study, tmp_path / "short", "--engine", "local")
    short.start()
    short.end()
    (record,) = short.store.glob("artifacts/*/run.json")
    # longer than the limit, also where the machine is busier now than it will be
    raw["base"]["epochs"] = round(raw["base"]["epochs"] * 90 / json.loads(record.read_text())["seconds"])
    # the file itself says where: `--engine` is for those who want it elsewhere
    raw["engine"] = {"name": "slurm", "minutes": 1}
    study.write_text(json.dumps(raw))
    trained = in_queue(study)
    trained.more = ()
    trained.start()
    wait_until(lambda: jobs_of(trained))
    (job,) = jobs_of(trained)
    wait_until(lambda: restarts(job) >= 1, what="the requeue")
    counts = trained.end(600)["runs"]
    assert (counts["done"], counts["failed"]) == (1, 0)
    assert resumed(trained.store) == 1
    here = Trained(trained.study, tmp_path / "here", "--engine", "local")
    here.start()
    here.end()
    assert_equal(content_of(trained.store), content_of(here.store))


def restarts(job: str) -> int:
    said = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Restarts=(\d+)", said)
    return int(found[1]) if found else 0


@pytest.mark.cluster
@pytest.mark.slow
def test_ctrl_c_cancels_the_jobs_which_leave_checkpoints_and_the_same_command_goes_on(in_queue, same_as_calm):
    trained = in_queue(batch_minutes=0)
    process = trained.start()
    wait_until(lambda: len(trained.checkpoints()) >= 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 1
    counts = json.loads(trained.file("out").read_text())["runs"]
    assert counts["interrupted"] + counts["done"] == RUNS
    assert not running(trained)
    assert len(trained.checkpoints()) >= 2
    trained.start()
    assert trained.end()["runs"]["done"] == RUNS
    same_as_calm(trained.store)
    assert resumed(trained.store) >= 2


@pytest.mark.slow
def test_what_slurm_does_not_take_is_said_in_its_words(in_queue):
    trained = in_queue(partition="no-such")
    process = trained.start()
    assert process.wait(120) == 1
    assert json.loads(trained.file("out").read_text())["runs"]["failed"] == RUNS
    said = trained.file("err").read_text()
    assert "Slurm does not take the job: invalid partition specified: no-such" in said
    assert "Traceback" not in said


@pytest.mark.cluster
@pytest.mark.slow
def test_a_job_that_cannot_start_gives_its_last_words(in_queue):
    trained = in_queue(batch_minutes=0, setup=["echo there is no such module >&2", "exit 1"])
    process = trained.start()
    assert process.wait(180) == 1
    assert json.loads(trained.file("out").read_text())["runs"]["failed"] == RUNS
    said = trained.file("err").read_text()
    assert re.search(r"job \d+_0 of Slurm ended \(FAILED\): there is no such module", said)


def test_no_slurm_here_is_said(long_study, tmp_path):
    trained = Trained(long_study, tmp_path / "runs", "--engine", "slurm", PATH=os.path.dirname(sys.executable))
    process = trained.start()
    assert process.wait(120) == 1
    assert trained.file("err").read_text().splitlines()[-1] == (
        "doubleread: Slurm does not answer: there is no squeue on this machine"
    )
