"""Peers, floor and product on the same work, in one process tree, in turns; a table in Markdown and JSON.

    python benchmarks/bench.py [--quick] [--images FOLDER] [--out FOLDER]

Each measurement of a turn follows the other contestants' of the same turn, so that what the machine does beside it
falls on all of them. Ratios are medians of the turns' ratios; the spread is the smallest and the largest. A peer has
all cores in one process; doubleread has a process of one thread on each core, and its seconds are those of one run's
epoch over the number of cores: what a study pays for an epoch.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from floor import bandwidth, floor_of, gemm_rates
from memory import worker_memory
from overhead import overhead
from peers import notebook, sklearn, skorch
from reading import folder_of_films, pillow_loop, prepared
from workloads import CORES, product

from doubleread.training import native
from doubleread.training.precision import keep_gain
from doubleread.worker.environment import processor

GOALS = {
    ("fp32", 256, 32): 4.5, ("bf16", 256, 32): 8.0, ("fp32", 256, 8): 4.5, ("fp32", 256, 128): 2.5,
    ("bf16", 256, 128): 4.5, ("fp32", 64, 32): 6.0, ("fp32", 28, 32): 10.0,
}  # fmt: skip
WORKLOADS = [(256, 32), (256, 8), (256, 128), (64, 32), (28, 32)]
Measured = dict[str, list[float]]


class Bench:
    """Has contestants run in processes that last: one for the peers, one on each core for the product."""

    def __init__(self, quick: bool) -> None:
        self.turns = 1 if quick else 5
        self.quick = quick
        context = get_context("spawn")
        self._one, self._each = ProcessPoolExecutor(1, context), ProcessPoolExecutor(CORES, context)

    def alone(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a call gives in a process that has all cores."""
        return self._one.submit(call, *arguments).result()

    def on_every_core(self, call: Callable[..., float], *arguments: Any) -> float:
        """Return the mean over as many processes at once as there are cores, over their number."""
        together = [self._each.submit(call, *arguments) for _ in range(CORES)]
        return statistics.mean(future.result() for future in together) / CORES

    def close(self) -> None:
        """End the processes."""
        self._one.shutdown()
        self._each.shutdown()

    def epochs(self, size: int) -> int:
        """Return how many epochs a measurement has; small ones need more to be told from noise."""
        few = {256: 3, 64: 8, 28: 12}[size]
        return max(2, few // 2) if self.quick else few


def training(bench: Bench, size: int, batch: int) -> Measured:
    """Return the seconds an epoch of every contestant, one number a turn."""
    epochs = bench.epochs(size)
    found: Measured = {}
    paths = [("native", "fp32"), ("native", "bf16")] if native.is_available() else []
    if native.is_available() and not native.native().has_bf16:
        paths.pop()
    for _ in range(bench.turns):
        found.setdefault("notebook", []).append(bench.alone(notebook, size, batch, epochs))
        for path, precision in [*paths, ("tiles", "fp32"), ("tiles", "bf16"), ("reference", "fp32")]:
            if bench.quick and path == "tiles" and ("native", precision) in paths:
                continue
            found.setdefault(f"{path} {precision}", []).append(
                bench.on_every_core(product, size, batch, epochs, path, precision)
            )
        if not bench.quick or (size, batch) == (256, 32):
            found.setdefault("skorch", []).append(bench.alone(skorch, size, batch, epochs))
            found.setdefault("scikit-learn", []).append(bench.alone(sklearn, size, batch, epochs))
    return found


def any_module(bench: Bench) -> Measured:
    """Return the seconds an epoch of a small convolutional network by the reference loop and by the notebook loop."""
    found: Measured = {"notebook": [], "reference fp32": []}
    for _ in range(bench.turns):
        found["notebook"].append(bench.alone(notebook, 64, 32, 3, "cnn"))
        found["reference fp32"].append(bench.on_every_core(product, 64, 32, 3, "reference", "fp32", "cnn"))
    return found


def reading(bench: Bench, folder: Path, scratch: Path) -> Measured:
    """Return the seconds of preparing a folder of images, and of the plain loop."""
    found: Measured = {"Pillow loop": [], "doubleread": []}
    bench.alone(pillow_loop, folder)  # the files are in the system's cache from here on
    for _ in range(min(bench.turns, 3)):
        found["Pillow loop"].append(bench.alone(pillow_loop, folder))
        found["doubleread"].append(bench.alone(prepared, folder, scratch / "cache"))
    return found


def ratio(found: Measured, peer: str, mine: str) -> tuple[float, float, float]:
    """Return how many times as long as `mine` the `peer` took: median, smallest and largest of the turns."""
    ratios = [a / b for a, b in zip(found[peer], found[mine], strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    return {
        "processor": processor(),
        "cores": CORES,
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
        "compiler": native.compiler_version(),
        "threads": f"peers: {CORES} in one process; doubleread: 1 in each of {CORES} processes",
        **{name: metadata.version(name) for name in ("torch", "numpy", "scikit-learn", "skorch", "pillow")},
    }


def mine_of(found: Measured, precision: str) -> str | None:
    """Return the contestant that a study would use at a precision, or None where there is none."""
    return next((name for name in (f"native {precision}", f"tiles {precision}") if name in found), None)


def verdict(value: float, goal: float, *, less: bool = False) -> str:
    """Return the goal and whether it is met."""
    met = value <= goal if less else value >= goal
    return f"{'≤' if less else '≥'} {goal:g} {'met' if met else 'missed'}"


def table_of_training(results: dict[str, Any]) -> list[str]:
    """Return the lines that compare the loops."""
    lines = [
        "| images | batch | contestant | s an epoch | notebook ÷ it | goal |",
        "|---|---|---|---|---|---|",
    ]
    for key, found in results["training"].items():
        size, batch = map(int, key.split("x"))
        for name, seconds in found.items():
            median, low, high = ratio(found, "notebook", name)
            precision = name.split()[-1]
            goal = GOALS.get((precision, size, batch)) if name == mine_of(found, precision) else None
            lines.append(
                f"| {size} × {size} | {batch} | {name} | {statistics.median(seconds):.4f} | {median:.2f}"
                f" ({low:.2f}–{high:.2f}) | {verdict(median, goal) if goal else ''} |"
            )
    return lines


def table_of_floors(results: dict[str, Any]) -> list[str]:
    """Return the lines that compare the product with the floor of each workload."""
    lines = [
        "| images | batch | floor by | floor, s an epoch | doubleread, s an epoch | it ÷ floor | goal |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, found in results["training"].items():
        size, batch = map(int, key.split("x"))
        for rate_name, rate in results["floor"]["rates"].items():
            name = mine_of(found, rate_name.split(",")[0])
            if name is None:
                continue
            seconds = statistics.median(found[name])
            floor = floor_of(size, batch, rate, results["floor"]["bandwidth"])
            goal = verdict(seconds / floor, 1.4, less=True) if (rate_name, size, batch) == ("fp32", 256, 32) else ""
            lines.append(
                f"| {size} × {size} | {batch} | {rate_name} | {floor:.4f} | {seconds:.4f} |"
                f" {seconds / floor:.2f} | {goal} |"
            )
    return lines


def table_of_the_rest(results: dict[str, Any]) -> list[str]:
    """Return the lines of everything else."""
    lines = ["| what | measured | goal |", "|---|---|---|"]
    median, low, high = ratio(results["any_module"], "notebook", "reference fp32")
    lines.append(
        f"| a small CNN on 64 × 64 by the reference loop, notebook ÷ it | {median:.2f} ({low:.2f}–{high:.2f}) |"
        f" {verdict(median, 1.3)} |"
    )
    for name, read in results["reading"].items():
        found = read["seconds"]
        median, low, high = ratio(found, "Pillow loop", "doubleread")
        lines.append(
            f"| reading and preparing {read['images']:,} JPEGs {name}, a Pillow loop of one thread"
            f" ({statistics.median(found['Pillow loop']):.1f} s) ÷ it ({statistics.median(found['doubleread']):.1f} s)"
            f" | {median:.2f} ({low:.2f}–{high:.2f}) | {verdict(median, 1.8)} |"
        )
    study = results["overhead"]
    goal = verdict(study["share"], 0.05, less=True) if study["runs"] >= 1000 else ""
    lines.append(
        f"| {study['runs']} runs of {study['seconds_a_run']:.2f} s: planning, starting, storing, analysing, beyond"
        f" their training ({study['training']:.0f} s) | {study['share']:.1%} | {goal} |"
    )
    for path, found in results["memory"].items():
        lines.append(
            f"| memory of a worker at 256 × 256, batch 32, {path} (planned with {found['planned']:.0f} MiB) |"
            f" {found['private']:.0f} MiB | {verdict(found['private'] / 1024, 1, less=True)} GiB |"
        )
    return lines


def told(what: str) -> None:
    """Say on standard error what is being measured."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


def run(quick: bool, folder: Path | None) -> dict[str, Any]:
    """Measure everything and return it."""
    bench = Bench(quick)
    results: dict[str, Any] = {"machine": machine(), "turns": bench.turns, "quick": quick}
    results["floor"] = {
        "rates": bench.alone(gemm_rates, 3 if quick else 9),
        "bandwidth": bench.alone(bandwidth, 3 if quick else 9),
    }
    results["training"] = {}
    for size, batch in WORKLOADS:
        told(f"training on {size} × {size}, batch {batch}")
        results["training"][f"{size}x{batch}"] = training(bench, size, batch)
    told("any module")
    results["any_module"] = any_module(bench)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        told("reading")
        films = folder_of_films(scratch / "films", 200 if quick else 1500)
        sources = {"of the size of films": films, **({"of the folder": folder} if folder else {})}
        results["reading"] = {
            name: {
                "images": sum(1 for _ in source.rglob("*.jpeg")),
                "seconds": reading(bench, source, scratch),
            }
            for name, source in sources.items()
        }
        told("many short runs")
        results["overhead"] = overhead(scratch / "study", 20 if quick else 1000)
    bench.close()
    paths = ["native", "tiles", "reference"] if native.is_available() else ["tiles", "reference"]
    results["memory"] = {path: worker_memory(256, 32, path) for path in paths}
    return results


def text_of(results: dict[str, Any]) -> str:
    """Return the tables in Markdown."""
    facts = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    rates = ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in results["floor"]["rates"].items())
    parts = [
        f"Machine: {facts}. Turns: {results['turns']}.",
        *table_of_training(results),
        "",
        f"Measured with all cores: {rates}; {results['floor']['bandwidth'] / 1e9:.0f} GB/s.",
        *table_of_floors(results),
        "",
        *table_of_the_rest(results),
    ]
    return "\n".join("\n" + part if part.startswith(("| images", "| what")) else part for part in parts)


def keep_gains(results: dict[str, Any]) -> None:
    """Keep what bf16 gains here, by path, for recipes that say `precision: auto`; the least gain of both batches."""
    for path in ("native", "tiles"):
        gains = []
        for key in ("256x32", "256x128"):
            found = results["training"][key]
            if f"{path} bf16" in found:
                gains.append(ratio(found, f"{path} fp32", f"{path} bf16")[0])
        if gains:
            keep_gain(path, min(gains))


def main() -> None:
    """Measure, print, and write the results under `--out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one turn, fewer epochs, images and runs: under 3 minutes")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="real JPEGs in class folders, to be read")
    parser.add_argument("--out", type=Path, default=Path("bench"), metavar="FOLDER", help="where the tables go")
    arguments = parser.parse_args()
    if arguments.images is not None and next(arguments.images.rglob("*.jpeg"), None) is None:
        parser.error(f"--images {arguments.images}: no .jpeg files there; expected a folder of class folders of JPEGs")
    results = run(arguments.quick, arguments.images)
    text = text_of(results)
    print(text)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.md").write_text(text + "\n", encoding="utf-8")
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if not arguments.quick:
        keep_gains(results)


if __name__ == "__main__":
    main()
