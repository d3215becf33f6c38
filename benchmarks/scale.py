"""How far one driver goes: a run through Ray, two nodes beside two local workers, and the single writer alone.

    python benchmarks/scale.py [overhead] [efficiency] [replay] [board] [--runs 2000] [--turns 3]

overhead    many tiny runs on local workers and through a cluster of Ray of two one-core nodes, which live on this
            machine: seconds a run, and the driver's memory early and late
efficiency  runs of some five seconds on two local workers and on the two nodes, in turns: the ratio of the two, the
            start of the processes that Ray's first runs wait for included
replay      recorded results handed to the driver as fast as it takes them: runs a minute that the single writer can
            begin, follow and record, with small and with large weights, in small and large studies
board       the same for what comes home from machines of Ray
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
sys.path.insert(0, str(Path(__file__).parent.parent))

from doubleread.engines import Engine
from doubleread.runner import Prepared, Silent, prepare_study
from doubleread.runner.drive import drive
from doubleread.runner.engines import open_engine
from doubleread.store import Store, open_store, run_folder
from doubleread.store.board import Board
from doubleread.study import Study, engine_of, parse_study
from doubleread.worker import Task
from tests.conftest import small_study, write_folder
from tests.reliability.many import train_many

FILES = ("logits.npz", "weights.safetensors")


@contextmanager
def two_nodes() -> Iterator[str]:
    """Start two nodes of Ray of one core each on this machine; yield the address."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def overhead(runs: int) -> dict[str, Any]:
    """Train tiny runs locally and through Ray, each in a process of its own."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place, two_nodes() as address:
        for name, more in (("local", ["--workers", "2"]), ("ray", ["--engine", "ray"])):
            os.environ["RAY_ADDRESS"] = address
            course = train_many(runs, Path(place) / name, *more)
            found[name] = {
                "runs": runs,
                "seconds": round(course.seconds, 1),
                "milliseconds a run": round(1000 * course.seconds / runs, 1),
                "driver MiB early": round(course.early_mib),
                "driver MiB late": round(course.late_mib),
            }
            print(name, found[name], flush=True)
    return found


def efficiency(turns: int) -> dict[str, Any]:
    """Train 24 runs of some five seconds in turns on two local workers and on two nodes."""
    found: dict[str, list[float]] = {"local": [], "ray": []}
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as place, two_nodes() as address:
        os.environ["RAY_ADDRESS"] = address
        raw = small_study(write_folder(Path(place) / "images", train=60), seeds=12)
        raw["data"]["image_size"] = 16
        raw["base"] |= {"epochs": 6400, "model": {"name": "mlp", "hidden": [32]}}
        raw["experiments"] = {"batch": {"factors": {"batch_size": [8, 9]}}}
        study = parse_study(raw, place="scale")
        for turn in range(turns):
            for name in ("local", "ray"):
                with open_store(Path(place) / f"{name}-{turn}", write=True) as store:
                    prepared = prepare_study(study, store.data_folder, Silent())
                    _save(prepared, store)
                    found[name].append(_driven(prepared, store, name))
                    seconds += [
                        row["seconds"] for row in store.rows_of([r.run_id for r in prepared.plan.runs]).values()
                    ]
                print(name, f"{found[name][-1]:.1f} s", flush=True)
    ratios = [local / ray for local, ray in zip(found["local"], found["ray"], strict=True)]
    return {
        "seconds of a run": round(statistics.median(seconds), 2),
        "local": [round(one, 1) for one in found["local"]],
        "ray": [round(one, 1) for one in found["ray"]],
        "efficiency": round(statistics.median(ratios), 3),
    }


def _driven(prepared: Prepared, store: Store, name: str) -> float:
    """Return the seconds from the first run that is handed over to the last that is written down."""
    engine = engine_of(None, name, "scale")
    with open_engine(engine, prepared.plan, prepared.sets, store, 2, Silent()) as executor:
        began = time.monotonic()
        counts = drive(prepared.plan, prepared.sets, store, executor, keep_weights="all")
        assert counts.done == len(prepared.plan.runs), counts
        return time.monotonic() - began


def _save(prepared: Prepared, store: Store) -> None:
    plan = prepared.plan
    store.save_plan(plan.study.name, {}, [run.row() for run in plan.runs], plan.run_of, {})


class Replayed(Engine):
    """Answers every call with what one recorded run left: links to its files, and its record under another name."""

    capacity = 64

    def __init__(self, recorded: Path) -> None:
        self._recorded = recorded
        self._record = json.loads((recorded / "run.json").read_text())

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Leave what the run of a task would have left."""
        future: Future[Any] = Future()
        for task in args[0]:
            self._leave(task)
        future.set_result("finished")
        return future

    def end(self, future: Future[Any]) -> None:
        """Nothing is under way that could be ended."""

    def _leave(self, task: Task) -> None:
        for name in FILES:
            if (self._recorded / name).exists():
                os.link(self._recorded / name, task.folder / name)
        record = self._record | {"run_id": task.run_id, "attempt": task.attempt, "identity": task.identity}
        (task.folder / "run.json").write_text(json.dumps(record))


def replay(sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Hand recorded runs to the driver: of two sizes of weights, in studies of several sizes."""
    found = []
    for side, hidden, epochs in ((8, 6, 30), (256, 64, 30)):
        for runs in sizes:
            # the disk that a store would have, and not one in memory
            with tempfile.TemporaryDirectory(dir=".") as place:
                found.append(_replayed(Path(place), side, hidden, epochs, runs))
                print(found[-1], flush=True)
    return found


def boards(runs: int) -> list[dict[str, Any]]:
    """Post what recorded runs left to the board as fast as it takes it: what comes home from machines of Ray."""
    found = []
    for side, hidden in ((8, 6), (256, 64)):
        with tempfile.TemporaryDirectory(dir=".") as place:
            recorded = _recorded(Path(place), side, hidden, 30)
            files = {name: (recorded / name).read_bytes() for name in (*FILES, "run.json")}
            folders = [Path(place) / f"{number}.attempt-1" for number in range(runs)]
            for folder in folders:
                folder.mkdir()
            board, began = Board(), time.monotonic()
            for folder in folders:
                board.begin([folder], "here")
                board.post(folder, files)
            seconds = time.monotonic() - began
            found.append({"weights": _mib(recorded), "runs": runs, "runs a minute": round(60 * runs / seconds)})
            print(found[-1], flush=True)
    return found


def _mib(recorded: Path) -> str:
    return f"{(recorded / FILES[1]).stat().st_size / 2**20:.1f} MiB"


def _recorded(place: Path, side: int, hidden: int, epochs: int) -> Path:
    """Train one run and return its folder."""
    with open_store(place / "recorded", write=True) as store:
        prepared = prepare_study(_one_arm(place, side, hidden, epochs, 1), store.data_folder, Silent())
        _save(prepared, store)
        _driven(prepared, store, "local")
        return run_folder(store.root, prepared.plan.runs[0].run_id).resolve()


def _one_arm(place: Path, side: int, hidden: int, epochs: int, runs: int) -> Study:
    images = place / "images"
    raw = small_study(images if images.is_dir() else write_folder(images), seeds=runs)
    raw["data"]["image_size"] = side
    raw["base"] |= {"epochs": epochs, "model": {"name": "mlp", "hidden": [hidden, hidden]}}
    raw["experiments"] = {"batch": {"factors": {"batch_size": [8]}}}
    return parse_study(raw, place="scale")


def _replayed(place: Path, side: int, hidden: int, epochs: int, runs: int) -> dict[str, Any]:
    recorded = _recorded(place, side, hidden, epochs)
    with open_store(place / "runs", write=True) as store:
        prepared = prepare_study(_one_arm(place, side, hidden, epochs, runs), store.data_folder, Silent())
        _save(prepared, store)
        began, cpu = time.monotonic(), time.process_time()
        counts = drive(prepared.plan, prepared.sets, store, Replayed(recorded), keep_weights="all")
        seconds, spent = time.monotonic() - began, time.process_time() - cpu
    assert counts.done == runs, counts
    return {
        "weights": _mib(recorded),
        "epochs": epochs,
        "runs": runs,
        "runs a minute": round(60 * runs / seconds),
        "milliseconds a run": round(1000 * seconds / runs, 2),
        "of them processor": round(1000 * spent / runs, 2),
    }


def main() -> None:
    """Measure what is asked for, and print it as JSON at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["overhead", "efficiency", "replay", "board"])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=[500, 2000, 8000])
    given = parser.parse_args()
    parts = {
        "overhead": lambda: overhead(given.runs),
        "efficiency": lambda: efficiency(given.turns),
        "replay": lambda: replay(given.sizes),
        "board": lambda: boards(min(given.runs, 500)),
    }
    print(json.dumps({part: parts[part]() for part in given.parts}, indent=1))


if __name__ == "__main__":
    main()
