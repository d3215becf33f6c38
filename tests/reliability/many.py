"""Many tiny runs, trained for real into one store: how long, and how much memory the driver takes on its way.

As a program: python -m tests.reliability.many RUNS FOLDER
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import small_study, write_folder

ARMS = 10


@dataclass(frozen=True)
class Course:
    """How it went: seconds, and the driver's memory in MiB after a tenth of the runs and at the end."""

    runs: int
    seconds: float
    early_mib: float
    late_mib: float


def train_many(runs: int, folder: Path, *more: str) -> Course:
    """Train so many runs, a multiple of `ARMS`, with `more` options of `run`; raises if one of them is missing."""
    raw = small_study(write_folder(folder / "images"))
    raw["seeds"] = runs // ARMS
    raw["experiments"] = {"batch": {"factors": {"batch_size": list(range(8, 8 + ARMS))}}}
    raw["base"] |= {"epochs": 2}
    study, store = folder / "study.yaml", folder / "runs"
    study.write_text(json.dumps(raw))
    line = [sys.executable, "-m", "doubleread", "run", str(study), "--store", str(store), "--json", *more]
    began = time.monotonic()
    memory = []
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
        while driver.poll() is None:
            time.sleep(0.25)
            if mib := _mib(driver.pid):
                memory.append((_done(store), mib))
        counts = json.loads(driver.stdout.read())["runs"]
    assert counts["done"] == counts["planned"] == runs, counts
    training = [(done, mib) for done, mib in memory if done > 0]
    early = [mib for done, mib in training if done <= runs // 10]
    late = [mib for done, mib in training if done >= runs - runs // 10]
    return Course(runs, time.monotonic() - began, max(early), max(late))


def _mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def _done(store: Path) -> int:
    folder = store / "artifacts"
    return sum("." not in path.name for path in folder.iterdir()) if folder.is_dir() else 0


if __name__ == "__main__":
    course = train_many(int(sys.argv[1]), Path(sys.argv[2]))
    print(
        f"{course.runs} runs in {course.seconds:.0f} s; the driver had {course.early_mib:.0f} MiB early and"
        f" {course.late_mib:.0f} MiB in the last tenth of them"
    )
