"""A study whose driver, server and workers are killed at random moments, until it is done.

As a program: python -m tests.reliability.kills KILLS SEED FOLDER
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from doubleread.seeds import stream
from tests.conftest import small_study, write_folder
from tests.reliability.stores import assert_equal, content_of

STUDY_SEEDS = 3


@dataclass
class Tally:
    """What has been done to studies, and what came of it."""

    kills: Counter = field(default_factory=Counter)
    starts: int = 0
    studies: int = 0
    resumed: int = 0


def study_text(images: Path, first_seed: int) -> str:
    """Return a study of twelve runs of about a second, on several paths, with dropout."""
    raw = small_study(images)
    raw["seeds"] = list(range(first_seed, first_seed + STUDY_SEEDS))
    raw["base"] |= {"epochs": 1500, "model": {"name": "mlp", "hidden": [16, 8], "dropout": 0.2}}
    # two threads are the tiled path's
    raw["experiments"] = {
        "batch": {"factors": {"batch_size": [4, 8]}},
        "threads": {
            "factors": {"batch_size": [8]},
            "base": {
                "threads": 2,
                "epochs": 80,
                "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
            },
        },
        "bf16": {"factors": {"precision": ["bf16"]}, "base": {"epochs": 300}},
    }
    return json.dumps(raw)


def command(study: Path, store: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "doubleread", "run", str(study), "--store", str(store), "--json", "--workers", "2"),
        *("--checkpoint-every", "0.1"),
    ]


def survive(kills: int, seed: int, folder: Path, tally: Tally) -> None:
    """Kill until `kills` are reached, over as many studies as it takes; compare each with an undisturbed one."""
    rng = stream("kills", seed)
    images = write_folder(folder / "images")
    while tally.kills.total() < kills:
        number = tally.studies
        place = folder / f"study-{number}"
        place.mkdir()
        study = place / "study.yaml"
        study.write_text(study_text(images, number * STUDY_SEEDS))
        while not _finished_before_a_kill(command(study, place / "disturbed"), rng, kills, tally):
            pass
        subprocess.run(command(study, place / "calm"), check=True, capture_output=True, timeout=300)
        assert_equal(content_of(place / "disturbed"), content_of(place / "calm"))
        tally.resumed += sum(
            len(json.loads(path.read_text())["resumed"]) for path in (place / "disturbed").glob("artifacts/*/run.json")
        )
        tally.studies += 1


def _finished_before_a_kill(line: list[str], rng, kills: int, tally: Tally) -> bool:
    """Run the command once more, with a kill at a random moment while there are kills left; tell whether it is done."""
    driver = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    tally.starts += 1
    try:
        while tally.kills.total() < kills:
            # most of the time in the midst of training, sometimes while the program starts or ends
            if rng.random() < 0.8:
                _wait_for_workers(driver)
            time.sleep(float(rng.uniform(0.0, 1.5)))
            if driver.poll() is not None:
                break
            whom = ("driver", "worker", "server", "all")[rng.choice(4, p=[0.4, 0.4, 0.1, 0.1])]
            if not _kill(driver.pid, whom, rng):
                continue
            tally.kills[whom] += 1
            if whom in ("driver", "all"):
                break
        out, err = driver.communicate(timeout=300)
    finally:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
    if driver.returncode == -signal.SIGKILL:
        return False
    assert driver.returncode in (0, 1), err
    counts = json.loads(out)["runs"]
    assert "Traceback" not in err, err
    # a run whose process was killed twice in one call has failed; the same command tries again
    assert counts["done"] + counts["failed"] == counts["planned"], counts
    assert driver.returncode == (1 if counts["failed"] else 0)
    return counts["failed"] == 0


def _wait_for_workers(driver: subprocess.Popen) -> None:
    while driver.poll() is None and not any(_children(child) for child in _children(driver.pid)):
        time.sleep(0.02)


def _kill(driver: int, whom: str, rng) -> bool:
    if whom == "all":
        os.killpg(driver, signal.SIGKILL)
        return True
    if whom == "driver":
        os.kill(driver, signal.SIGKILL)
        return True
    servers = [pid for pid in _children(driver) if "forkserver" in _line(pid)]
    found = servers if whom == "server" else [pid for server in servers for pid in _children(server)]
    if not found:
        return False
    try:
        os.kill(int(rng.choice(found)), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _children(pid: int) -> list[int]:
    found = []
    # each thread has its own
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in path.read_text().split()]
    return found


def _line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    found = Tally()
    began = time.monotonic()
    survive(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), found)
    print(
        f"{found.kills.total()} kills ({', '.join(f'{n} of {whom}' for whom, n in sorted(found.kills.items()))}) over"
        f" {found.studies} studies, {found.starts} starts, {found.resumed} went on from a checkpoint, no difference,"
        f" {time.monotonic() - began:.0f} s"
    )
