"""A study that three back ends train, a cluster of Ray of two nodes, and the queue of a real Slurm."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import needed, small_study
from tests.reliability.stores import assert_equal, content_of

PATIENCE = 120.0
RUNS = 4


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE, what: str = "it") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.05)


def resumed(store: Path) -> int:
    """Return how many runs went on from a checkpoint."""
    records = [json.loads(path.read_text()) for path in store.glob("artifacts/*/run.json")]
    return sum(bool(record["resumed"]) for record in records)


class Trained:
    """The command that trains a study into a store of its own, by one engine, in a process of its own."""

    def __init__(self, study: Path, store: Path, *more: str, **variables: str) -> None:
        self.study, self.store, self.more, self.variables = study, store, more, variables
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        """Start it; its standard output and error are kept in files beside the store."""
        self.store.parent.mkdir(parents=True, exist_ok=True)
        line = [sys.executable, "-m", "doubleread", "run", str(self.study), "--store", str(self.store), "--json"]
        with self.file("out").open("w") as out, self.file("err").open("w") as err:
            self.process = subprocess.Popen(
                [*line, "--checkpoint-every", "0.3", *self.more],
                stdout=out,
                stderr=err,
                env={**os.environ, **self.variables},
                text=True,
                # as from a shell: a signal to us is none to it
                start_new_session=True,
            )
        return self.process

    def file(self, what: str) -> Path:
        return self.store.with_name(f"{self.store.name}.{what}")

    def end(self, seconds: float = 300) -> dict:
        """Wait for its end, which must be a good one; return its JSON."""
        assert self.process is not None
        assert self.process.wait(seconds) == 0, self.file("err").read_text()
        return json.loads(self.file("out").read_text())

    def kill(self) -> None:
        """Kill the driver; what it started lives on as it would."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def checkpoints(self) -> list[Path]:
        """Return the checkpoints that are there now."""
        return list(self.store.glob("artifacts/*.attempt-*/checkpoint.safetensors"))

    def done(self) -> int:
        """Return how many runs have left what they had to."""
        return len([path for path in self.store.glob("artifacts/*/run.json") if ".attempt-" not in path.parent.name])


@pytest.fixture(scope="module")
def long_study(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of `RUNS` runs of some seconds each."""
    raw = small_study(image_folder, seeds=RUNS // 2)
    raw["data"]["image_size"] = 16
    raw["base"] |= {"epochs": 5000, "model": {"name": "mlp", "hidden": [32]}}
    raw["experiments"] = {"batch": {"factors": {"batch_size": [8, 16]}}}
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(json.dumps(raw))
    return path


@pytest.fixture(scope="module")
def calm(long_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store when the study is trained on this machine, with nothing in its way."""
    store = tmp_path_factory.mktemp("calm") / "runs"
    trained = Trained(long_study, store)
    trained.start()
    assert trained.end()["runs"]["done"] == RUNS
    return store


@pytest.fixture
def same_as_calm(calm: Path) -> Callable[[Path], None]:
    """Return a function that compares a store with the calm one, to the bit; nothing may stand there twice."""

    def compare(store: Path) -> None:
        assert_equal(content_of(store), content_of(calm))

    return compare


@pytest.fixture
def two_nodes() -> Iterator[object]:
    """A cluster of Ray with two nodes of one core each, on this machine."""
    needed("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.second = cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def slurm() -> Iterator[str]:
    """The configuration of a real Slurm, which one test has at a time; `.ci/slurm` starts one."""
    needed("submitit")
    conf = os.environ.get("SLURM_CONF")
    up = conf and shutil.which("sinfo") and subprocess.run(["sinfo", "-h"], capture_output=True, check=False)
    if not up or up.returncode:
        why = "no Slurm answers: .ci/slurm start DIR, as root, then export the SLURM_CONF that it prints"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with Path(str(conf)).open() as file:
        # its nodes are few, and one of them is taken away
        fcntl.flock(file, fcntl.LOCK_EX)
        yield str(conf)
