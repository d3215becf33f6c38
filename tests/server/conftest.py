"""A trained store behind a server: inside the test for what it answers, as a process for what a browser sees."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from doubleread.runner import Silent, prepare_study, train_study
from doubleread.server import Allowed, create_app
from doubleread.server.serving import hosts_of
from doubleread.store import open_store
from doubleread.study import parse_study
from tests.conftest import small_study
from tests.hostile import hostile_folder, result

__all__ = ["hostile_folder", "result"]

PORT = 8000


@pytest.fixture(scope="session")
def served_store(image_folder, tmp_path_factory) -> Path:
    """A store with a study of two experiments, six seeds and a claim; no test may change it."""
    root = tmp_path_factory.mktemp("served") / "runs"
    raw = small_study(image_folder, seeds=6)
    raw["data"] = {**raw["data"], "intensity": "standard"}
    raw["experiments"]["batch"]["claims"] = [{"id": "b", "metric": "accuracy", "better": 4, "than": 16}]
    study = parse_study(raw, place="study.yaml")
    with open_store(root, write=True) as store:
        train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=Silent())
    return root


@pytest.fixture
def client(served_store, tmp_path) -> Iterator[TestClient]:
    """A client of the application, as a browser on this machine would be."""
    app = create_app(served_store, Allowed(hosts=hosts_of("127.0.0.1", PORT)), studies_folder=tmp_path)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False) as found:
        yield found


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def serving(store: Path, folder: Path, *more: str) -> Iterator[str]:
    """Run `doubleread serve` as a process; yield its address."""
    port = free_port()
    words = [sys.executable, "-m", "doubleread", "serve", "--store", str(store), "--port", str(port), *more]
    with subprocess.Popen([*words, "--studies", str(folder), "--json"], stdout=subprocess.PIPE, text=True) as process:
        try:
            address = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")["address"]
            wait_for(lambda: answers(address))
            yield address.rstrip("/")
        finally:
            process.terminate()


def answers(address: str) -> bool:
    """Tell whether a server answers."""
    try:
        return httpx.get(f"{address}healthz", timeout=5).status_code in (200, 401)
    except httpx.TransportError:
        return False


def wait_for(there, seconds: float = 60.0):
    """Return what `there()` gives as soon as it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := there():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")
