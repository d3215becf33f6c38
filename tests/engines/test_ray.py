"""Runs on a real cluster of Ray with two nodes: the same table, whatever is taken away in the midst of it."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import needed
from tests.engines.conftest import RUNS, Trained, resumed, wait_until


@pytest.fixture
def on_ray(two_nodes, long_study, tmp_path):
    return Trained(long_study, tmp_path / "runs", "--engine", "ray", RAY_ADDRESS=two_nodes.address)


def workers_of(cluster) -> list[int]:
    """Return the processes that make calls in a cluster now."""
    raylets = [raylet.process.pid for node in cluster.list_all_nodes() for raylet in node.all_processes["raylet"]]
    found = [pid for raylet in raylets for pid in descendants(raylet)]
    return [pid for pid in found if command_of(pid).startswith("ray::_task")]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
    except OSError:
        return ""


@pytest.mark.cluster
@pytest.mark.slow
def test_a_node_is_removed_in_the_midst_and_the_table_is_the_same(two_nodes, on_ray, same_as_calm):
    on_ray.start()
    wait_until(lambda: len(on_ray.checkpoints()) >= 2)
    two_nodes.remove_node(two_nodes.second, allow_graceful=False)
    assert on_ray.end()["runs"] == {
        "planned": RUNS, "done": RUNS, "reused": 0, "failed": 0, "diverged": 0, "interrupted": 0
    }  # fmt: skip
    assert "small: a machine of the cluster is gone; Ray makes what was there again\n" in on_ray.file("err").read_text()
    same_as_calm(on_ray.store)
    assert resumed(on_ray.store) >= 1


@pytest.mark.cluster
@pytest.mark.slow
def test_a_worker_and_then_the_driver_are_killed_and_the_table_is_the_same(two_nodes, on_ray, same_as_calm):
    on_ray.start()
    wait_until(lambda: len(on_ray.checkpoints()) >= 2)
    os.kill(workers_of(two_nodes)[0], signal.SIGKILL)
    wait_until(lambda: on_ray.done() >= 1)
    wait_until(on_ray.checkpoints)
    on_ray.kill()
    on_ray.start()
    counts = on_ray.end()["runs"]
    assert counts["done"] == RUNS
    assert counts["failed"] == 0
    assert 1 <= counts["reused"] < RUNS
    same_as_calm(on_ray.store)
    assert resumed(on_ray.store) >= 2


@pytest.mark.cluster
@pytest.mark.slow
def test_ctrl_c_leaves_checkpoints_and_the_same_command_goes_on(on_ray, same_as_calm):
    process = on_ray.start()
    wait_until(lambda: len(on_ray.checkpoints()) >= 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 1
    counts = json.loads(on_ray.file("out").read_text())["runs"]
    assert counts["interrupted"] >= 2
    assert on_ray.file("err").read_text().splitlines()[-1] == (
        f"doubleread: interrupted: {counts['done']} of {RUNS} runs are done and kept; the same command goes on from"
        " here"
    )
    assert len(on_ray.checkpoints()) >= 2
    on_ray.start()
    assert on_ray.end()["runs"]["done"] == RUNS
    same_as_calm(on_ray.store)
    assert resumed(on_ray.store) >= 2


@pytest.mark.cluster
@pytest.mark.slow
def test_a_local_cluster_listens_to_this_machine_alone_wants_a_token_and_has_no_dashboard(long_study, tmp_path):
    needed("ray")
    trained = Trained(long_study, tmp_path / "runs", "--engine", "ray", "--workers", "2")
    process = trained.start()
    wait_until(lambda: len(trained.checkpoints()) >= 2)
    family = descendants(process.pid)
    ports = listening(family)
    assert ports
    assert {address for address, _ in ports} <= {"127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"}
    names = {command_of(pid) for pid in family}
    assert not any("dashboard" in name.lower() and "agent" not in name.lower() for name in names)
    environment = dict(
        entry.split("=", 1) for entry in Path(f"/proc/{family[-1]}/environ").read_text().split("\0") if "=" in entry
    )
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environment["RAY_AUTH_MODE"] == "token"
    assert re.fullmatch(r"[0-9a-f]{64}", environment["RAY_AUTH_TOKEN"])
    (head,) = [pid for pid in family if "gcs_server" in command_of(pid)]
    assert [refuses_without_the_token(port) for _, port in listening([head])] == [True]
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 1
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), what="the end of the cluster")


def descendants(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
    return found


def listening(pids: list[int]) -> list[tuple[str, int]]:
    """Return the addresses and ports that processes listen at."""
    said = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    found = []
    for line in said.splitlines():
        owners = {int(pid) for pid in re.findall(r"pid=(\d+)", line)}
        if owners & set(pids):
            address, _, port = line.split()[3].rpartition(":")
            found.append((address, int(port)))
    return found


def refuses_without_the_token(port: int) -> bool:
    """Tell whether the head of a cluster has nothing to say to one that does not know its token."""
    code = f"from ray._raylet import GcsClient; GcsClient(address='127.0.0.1:{port}')"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode == 1 and "InvalidAuthToken" in done.stderr


def said_by(program: str) -> dict:
    """Return what a program prints at its end, as JSON; Ray is connected to once a process."""
    needed("ray")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


EXECUTOR = """
import json, os, sys, time
from doubleread.engines.ray_environment import settle_ray
settle_ray(local=True)
from doubleread.engines import CallRaised, WorkerDied
from doubleread.engines.ray_cluster import Needs, RayExecutor
from doubleread.engines.ray_connection import Cluster
import numpy as np
import ray

class Desk:
    def __init__(self):
        self.found, self.asked, self.now, self.most = {}, False, 0, 0
    def stop(self):
        self.asked = True
    def places(self):
        return {key: (place, True) for key, place in self.found.items()}
    def enter(self, key, place):
        self.found[key] = place
        self.now += 1
        self.most = max(self.most, self.now)
        return self.asked
    def leave(self):
        self.now -= 1
    def asked_to(self):
        return self.asked
    def busiest(self):
        return self.most

def mapped(desk, place, images):
    # what lies in memory that processes share is not a copy; nobody may write to it
    address = images.ctypes.data
    for line in open("/proc/self/maps"):
        low, high = (int(part, 16) for part in line.split()[0].split("-"))
        if low <= address < high:
            return " ".join(line.split()[5:]), bool(images.flags.writeable), int(images.sum())

def part(desk, place, number):
    desk.enter(number, place)
    time.sleep(1.5)
    desk.leave()
    return number

def fail(desk, place):
    raise ValueError("no such thing")

def die(desk, place):
    os._exit(3)

def endless(desk, place, number):
    desk.enter(number, place)
    time.sleep(600)

found = {}
cluster = Cluster(workers=4)
needs = Needs(cpus=1, gpus=0.5, retries=0)
ray.init(address="local", num_cpus=4, num_gpus=1, include_dashboard=False, log_to_driver=False)
with RayExecutor(cluster, needs, Desk, key_of=lambda *args: args[-1] if args else None) as executor:
    found["capacity"] = executor.capacity
    images = np.arange(4_000_000, dtype=np.uint8)
    shared = executor.share(images)
    ones = [executor.submit(mapped, shared) for _ in range(3)]
    found["mapped"] = [one.result() for one in ones]
    found["sum"] = int(images.sum())
    parts = [executor.submit(part, number) for number in range(5)]
    found["parts"] = [one.result() for one in parts]
    found["busiest"] = executor.board.busiest()
    for name, call in (("raised", fail), ("died", die)):
        try:
            executor.submit(call).result()
        except (CallRaised, WorkerDied) as error:
            found[name] = [type(error).__name__, str(error).splitlines()[0]]
    one = executor.submit(endless, 77)
    while 77 not in executor.board.places():
        time.sleep(0.1)
    time.sleep(2.1)
    found["at work"] = executor.is_at_work(one)
    executor.end(one)
    try:
        one.result(60)
    except WorkerDied as error:
        found["ended"] = str(error)
print(json.dumps(found))
"""


@pytest.mark.slow
def test_the_executor_shares_without_a_copy_gives_fractions_of_a_gpu_and_says_how_calls_end():
    found = said_by(EXECUTOR)
    # one GPU in halves: two at once, and as many ahead, though there are four cores
    assert found["capacity"] == 4
    assert found["busiest"] == 2
    assert found["parts"] == [0, 1, 2, 3, 4]
    for place, writeable, total in found["mapped"]:
        assert "plasma" in place
        assert not writeable
        assert total == found["sum"]
    assert found["raised"] == ["CallRaised", "ValueError: no such thing"]
    assert found["died"] == ["WorkerDied", "its process ended without an answer, again and again"]
    assert found["at work"] is True
    assert found["ended"] == "the call was cancelled"


WANTS = """
import json, os
from doubleread.engines.ray_environment import settle_ray
settle_ray(local=True)
from doubleread.engines.ray_cluster import Needs, RayExecutor
from doubleread.engines.ray_connection import Cluster, NoCluster
import ray

class Desk:
    def __init__(self):
        self.found = {}
    def stop(self):
        pass
    def places(self):
        return self.found
    def put(self, key, place, heard):
        self.found[key] = (place, heard)

def process(desk, place, key):
    return os.getpid()

def waits(desk, place, key):
    desk.put(key, place, False)
    import time
    time.sleep(600)

found, remarks = {}, []
def opened(cluster, needs, **more):
    return RayExecutor(cluster, needs, Desk, key_of=lambda key: key, remark=remarks.append, **more)

try:
    opened(Cluster(workers=1), Needs(cpus=2, gpus=0.5, memory=2**62))
except NoCluster as error:
    found["here"] = str(error)
found["left"] = not ray.is_initialized()
ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
there = ray.get_runtime_context().gcs_address
try:
    opened(Cluster(address="10.0.0.4:6379"), Needs())
except NoCluster as error:
    found["another"] = str(error).replace(there, "HERE")
with opened(Cluster(address=there), Needs(cpus=3), most=5) as executor:
    # machines may come: what is asked for is what the user bounds it to
    found["capacity"] = executor.capacity
    executor._looked = 0.0
    executor.capacity
    found["remarks"] = list(remarks)
with opened(Cluster(workers=2), Needs(gpus=0.5)) as executor:
    found["processes"] = len({executor.submit(process, number).result() for number in range(3)})
with opened(Cluster(workers=2), Needs()) as executor:
    found["kept"] = len({executor.submit(process, number).result() for number in range(3)})
with opened(Cluster(workers=2), Needs(cpus=2, retries=0)) as executor:
    one = executor.submit(waits, 7)
    import time
    while not executor.board.places():
        time.sleep(0.1)
    time.sleep(1.0)
    executor._looked = 0.0
    # nothing is heard of it, and there is no room for another: it may wait
    found["no room"] = executor.is_at_work(one)
    executor._room = True
    found["room"] = executor.is_at_work(one)
    executor.end(one)
print(json.dumps(found))
"""


@pytest.mark.slow
def test_what_no_machine_has_is_said_and_no_call_waits_for_it_in_silence():
    found = said_by(WANTS)
    assert found["here"] == f"a run takes 2 cores, 0.5 GPU and {2**32:.1f} GiB, which this machine has not"
    assert found["left"] is True
    assert found["another"] == "this process is connected to the one at HERE: leave that first, by ray.shutdown()"
    assert found["capacity"] == 5
    assert found["remarks"] == ["no machine of the cluster has 3 cores, which a run takes; it waits until one comes"]
    # memory of a GPU is free when its process is gone; without one a process serves for many
    assert (found["processes"], found["kept"]) == (3, 1)
    assert (found["no room"], found["room"]) == (False, True)


@pytest.mark.slow
def test_no_cluster_where_one_should_be_is_said(long_study, tmp_path, call, monkeypatch):
    needed("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    trained = Trained(long_study, tmp_path / "runs", "--engine", "ray", RAY_ADDRESS="127.0.0.1:1")
    process = trained.start()
    assert process.wait(120) == 1
    last = trained.file("err").read_text().splitlines()[-1]
    assert last.startswith("doubleread: Ray does not give a cluster at 127.0.0.1:1: ")
    assert "Traceback" not in last
