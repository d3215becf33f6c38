"""What the driver does where Slurm does not take its jobs, or not now; the commands of Slurm are scripts here."""

import errno
import os
import shutil
import threading
import time
from concurrent.futures import Future, wait
from importlib import import_module

import pytest

from doubleread.engines import CallRaised
from doubleread.engines.batch import Jobs
from doubleread.engines.manifest import Manifest, manifests, outcome_path
from doubleread.engines.squeue import Unanswered
from doubleread.files import write_json
from tests.conftest import needed
from tests.engines.conftest import wait_until

TAKEN = 'echo "Submitted batch job 17"'
BUSY = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
TOO_LONG = "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)"
TOO_MANY = (
    "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size"
    " and/or time limits)"
)


def refused(text):
    return f"echo {text!r} >&2; exit 1" if "'" not in text else f'echo "{text}" >&2; exit 1'


class Commands:
    """The commands of Slurm: each is a script that notes its call, and does what `says` makes it do."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        for name in ("sbatch", "squeue", "scancel"):
            self.says(name, TAKEN if name == "sbatch" else "true")
        self.says("srun", "true")

    def says(self, name, *lines):
        """Let a command do what each of the lines says, one line a call, the last one from then on."""
        body = "\n".join(f"{number}) {line} ;;" for number, line in enumerate(lines[:-1], start=1))
        script = self.folder / f"{name}.new"
        script.write_text(
            f'#!/bin/bash\necho "$*" >> {self.folder}/{name}.calls\nenv > {self.folder}/{name}.env\n'
            f"case $(wc -l < {self.folder}/{name}.calls) in\n{body}\n*) {lines[-1]} ;;\nesac\n"
        )
        script.chmod(0o755)
        (self.folder / f"{name}.calls").unlink(missing_ok=True)
        script.replace(self.folder / name)

    def calls(self, name):
        path = self.folder / f"{name}.calls"
        return path.read_text().splitlines() if path.is_file() else []

    def environment(self, name):
        lines = (self.folder / f"{name}.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Commands of Slurm, first on the path."""
    needed("submitit")
    made = Commands(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    return made


@pytest.fixture
def opened(commands, tmp_path):
    """A function that opens an executor whose waits are short; it is shut down with the test."""
    from doubleread.engines.slurm import SlurmExecutor

    made = []

    def make(**more):
        how = Jobs(**{"sbatch": {"time": 5}, "batch_seconds": 0, "gather": 0.1, "look": 0.1, "patience": 0.3, **more})
        remarks = []
        # a second each: with no seconds for a job each call has its own
        executor = SlurmExecutor(tmp_path / "jobs", how, name_of=str, seconds_of=lambda _: 1.0, remark=remarks.append)
        made.append(executor)
        made[-1].remarks = remarks
        return made[-1]

    yield make
    commands.says("squeue", "true")
    for executor in made:
        executor.shutdown(wait=False, cancel_futures=True)


def answer(tmp_path, value="finished"):
    """Leave an outcome of every call that has been submitted, as its job would."""
    for manifest in manifests(tmp_path / "jobs"):
        if manifest.job is not None:
            for number, names in enumerate(manifest.batches):
                for place, _ in enumerate(names):
                    write_json(outcome_path(manifest.folder, number, place), {"value": value})


def test_a_controller_that_is_busy_is_asked_again_and_what_it_may_have_taken_is_cancelled(commands, opened, tmp_path):
    commands.says("sbatch", refused(BUSY), refused(BUSY), TAKEN)
    executor = opened()
    futures = [executor.submit(str, number) for number in range(3)]
    wait_until(lambda: len(commands.calls("sbatch")) == 3, 20)
    wait_until(lambda: any(manifest.job == "17" for manifest in manifests(tmp_path / "jobs")), 20)
    answer(tmp_path)
    assert [future.result(20) for future in futures] == ["finished"] * 3
    names = [call for call in commands.calls("scancel") if call.startswith("--name=doubleread-")]
    assert len(set(names)) == 2
    (left,) = manifests(tmp_path / "jobs")
    assert f"--name={left.token}" not in names
    assert executor.remarks == [
        "Slurm does not answer (Batch job submission failed: Unable to contact slurm controller (connect failure));"
        " asking again"
    ]


def test_while_nobody_says_whether_it_was_taken_it_is_not_submitted_again(commands, opened, tmp_path):
    commands.says("sbatch", refused(BUSY), TAKEN)
    commands.says("scancel", *[refused("scancel: error: Unable to contact slurm controller")] * 3, "true")
    executor = opened()
    future = executor.submit(str, 1)
    wait_until(lambda: len(commands.calls("sbatch")) == 2, 20)
    assert len(commands.calls("scancel")) == 4
    wait_until(lambda: [manifest.job for manifest in manifests(tmp_path / "jobs")] == ["17"], 20)
    answer(tmp_path)
    assert future.result(20) == "finished"


def test_a_time_limit_that_is_too_long_is_said_at_once(commands, opened, tmp_path):
    commands.says("sbatch", refused(TOO_LONG))
    executor = opened()
    futures = [executor.submit(str, number) for number in range(4)]
    for future in futures:
        with pytest.raises(CallRaised) as error:
            future.result(20)
        assert str(error.value) == f"Slurm does not take the job: {TOO_LONG.removeprefix('sbatch: error: ')}"
    assert len(commands.calls("sbatch")) == 1
    assert manifests(tmp_path / "jobs") == []


def test_of_too_many_half_are_tried_and_the_rest_later(commands, opened, tmp_path):
    # four at once, then two and two: of the second two one, and the other after a while
    commands.says("sbatch", refused(TOO_MANY), TAKEN, refused(TOO_MANY), 'echo "Submitted batch job 18"',
                  refused(TOO_MANY), 'echo "Submitted batch job 19"')  # fmt: skip
    executor = opened()
    futures = [executor.submit(str, number) for number in range(4)]
    wait_until(lambda: len(commands.calls("sbatch")) == 6, 30)
    wait_until(lambda: len([m for m in manifests(tmp_path / "jobs") if m.job]) == 3, 20)
    sizes = {manifest.job: len(manifest.batches) for manifest in manifests(tmp_path / "jobs")}
    assert sizes == {"17": 2, "18": 1, "19": 1}
    answer(tmp_path)
    assert not wait(futures, 20).not_done
    assert executor.remarks == []


def test_ctrl_c_in_the_midst_of_a_submission_ends_it_though_the_first_scancel_fails(commands, opened, tmp_path):
    commands.says("sbatch", f"sleep 1; {TAKEN}")
    commands.says("scancel", refused("scancel: error: Unable to contact slurm controller"), "true")
    executor = opened(grace=0.1)
    future = executor.submit(str, 1)
    wait_until(lambda: commands.calls("sbatch"), 20)

    (token,) = [path.name for path in (tmp_path / "jobs").iterdir()]
    commands.says("squeue", f"echo '{token}|17|N/A|PENDING|Priority|N/A'")
    # once it has been cancelled the queue no longer knows it
    watch = threading.Thread(target=lambda: (wait_until(lambda: commands.calls("scancel").count("17") >= 2, 20),
                                             commands.says("squeue", "true")))  # fmt: skip
    watch.start()
    began = time.monotonic()
    executor.shutdown(wait=True, cancel_futures=True)
    watch.join()
    assert future.done()
    assert time.monotonic() - began < 15
    assert commands.calls("scancel").count("17") == 2


def test_on_a_full_disk_whoever_waits_hears_of_it(commands, opened, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("doubleread.engines.slurm.new_manifest", full)
    future = opened().submit(str, 1)
    with pytest.raises(OSError, match="No space left on device") as error:
        future.result(20)
    assert error.value.errno == errno.ENOSPC
    assert commands.calls("sbatch") == []


def test_jobs_hear_what_the_user_has_set_and_not_what_a_job_around_the_driver_was_told(commands, opened, monkeypatch):
    told = {"SLURM_CONF": "/c", "SLURM_CLUSTERS": "far", "SLURM_JWT": "secret", "SLURM_JOB_ID": "3", "SLURM_MEM": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    opened().submit(str, 1)
    wait_until(lambda: commands.calls("sbatch"), 20)
    wait_until(lambda: "SLURM_JWT" in commands.environment("sbatch"), 20)
    heard = {name: value for name, value in commands.environment("sbatch").items() if name in told}
    assert heard == {"SLURM_CONF": "/c", "SLURM_CLUSTERS": "far", "SLURM_JWT": "secret"}


def test_a_machine_with_a_queue_and_no_srun(commands, opened, monkeypatch):
    (commands.folder / "srun").unlink()
    for name in ("bash", "env", "wc"):
        (commands.folder / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(commands.folder))
    with pytest.raises(Unanswered, match=r"^there is no srun on this machine$"):
        opened()


def test_what_a_job_cannot_write_down_does_not_keep_it(tmp_path, monkeypatch, capsys):
    needed("submitit")
    batch = import_module("doubleread.engines.batch")

    def full(path, _content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(batch, "write_json", full)
    how = Jobs(sbatch={}, workers=1)
    began = time.monotonic()
    batch.Batch(tmp_path, 0, [(str, (1,)), (str, (2,))], how)()
    assert time.monotonic() - began < 60
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["0-0.begun", "0-1.begun"]
    assert capsys.readouterr().err.count("No space left on device") == 2


def test_the_last_words_are_those_of_the_job_itself(tmp_path):
    needed("submitit")
    in_hand = import_module("doubleread.engines.in_hand")
    manifest = Manifest(folder=tmp_path, batches=tuple((str(number),) for number in range(11)), job="17")
    manifest.logs.mkdir()
    (manifest.logs / "17_10_0_log.err").write_text("of another\n")
    entry = in_hand.InHand(Future(), "1", None, manifest=manifest, batch=1)
    assert in_hand.last_words(entry) == ""
    (manifest.logs / "17_1_0_log.err").write_text("first\nlast\n")
    assert in_hand.last_words(entry) == "last"
