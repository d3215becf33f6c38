"""The CUDA path beside one eager run at a time on the same device; needs a CUDA device.

    python benchmarks/gpu.py [--out FOLDER]

Measured: both course reports at ten seeds, every different run once, on random images of their sizes (goal: under 60 s
on one H100); and seconds an epoch of one run in a stack, on 28 × 28 and 256 × 256, beside a plain PyTorch loop that
trains one run, its data on the device already (goals: 15 and 8 times as fast).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn
from workloads import TRAIN, VALIDATION, images, perceptron, recipe_of, run_data

from doubleread.recipe import Recipe
from doubleread.runner.units import room_on_device, stack_size
from doubleread.study import load_study
from doubleread.training.precision import settle_arithmetic
from doubleread.training.records import RunSpec
from doubleread.training.stacked import stack_key
from doubleread.training.together import train_together

BATCH, EPOCHS, TURNS, SEEDS = 32, 3, 3, 10
STACKS = {28: 256, 256: 64}
GOALS = {28: 15.0, 256: 8.0}
REPORT_SECONDS = 60.0


def eager_epoch(size: int) -> float:
    """Return the seconds an epoch of one run by a plain PyTorch loop with its data on the device."""
    pixels, labels = images(size)
    x = torch.tensor(pixels, dtype=torch.float32, device="cuda") / 255
    y = torch.tensor(labels, dtype=torch.float32, device="cuda")
    model, criterion = perceptron(size).cuda(), nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    spent = []
    for _ in range(EPOCHS + 1):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for rows in torch.randperm(TRAIN, device="cuda").split(BATCH):
            optimizer.zero_grad()
            criterion(model(x[rows]).squeeze(1), y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            criterion(model(x[TRAIN : TRAIN + VALIDATION]).squeeze(1), y[TRAIN : TRAIN + VALIDATION]).item()
        torch.cuda.synchronize()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent[1:])


def stacked_epoch(size: int, runs: int) -> float:
    """Return the seconds an epoch of one run in a stack of `runs`: the stack's over their number."""
    recipe, data = recipe_of(BATCH, EPOCHS + 1), run_data(size)
    specs = [RunSpec(recipe=recipe, seed=seed, intensity="unit", data=data) for seed in range(runs)]
    seconds: list[float] = []
    train_together(specs, "cuda", on_epoch=lambda run, epoch: seconds.append(epoch.seconds) if run == 0 else None)
    return statistics.median(seconds[1:])


def both_reports() -> dict[str, float]:
    """Return the seconds of every different run of both reports at ten seeds, on random images of their sizes."""
    data = run_data(256)
    recipes = {
        arm.recipe.model_dump_json(): arm.recipe for name in ("report-a", "report-b") for arm in load_study(name).arms
    }
    groups: dict[object, list[Recipe]] = {}
    for recipe in recipes.values():
        groups.setdefault(stack_key(recipe), []).append(recipe)
    began = time.perf_counter()
    for group in groups.values():
        specs = [
            RunSpec(recipe=recipe, seed=seed, intensity="unit", data=data) for recipe in group for seed in range(SEEDS)
        ]
        most = stack_size(group[0], data.images, room_on_device())
        for start in range(0, len(specs), most):
            train_together(specs[start : start + most], "cuda")
    torch.cuda.synchronize()
    return {"runs": len(recipes) * SEEDS, "stacks": len(groups), "seconds": time.perf_counter() - began}


def main() -> None:
    """Measure, print, and write the results under `--out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("bench"), metavar="FOLDER", help="where the results go")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu.py: PyTorch finds no CUDA device here; nothing was measured")
    settle_arithmetic()
    results: dict[str, object] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    print(f"{results['device']}, torch {torch.__version__}, batch {BATCH}, {TURNS} turns\n")
    print("| images | stack | eager, s an epoch | stacked, s an epoch of one run | ratio | goal |")
    print("|---|---|---|---|---|---|")
    for size, runs in STACKS.items():
        pairs = [(eager_epoch(size), stacked_epoch(size, runs)) for _ in range(TURNS)]
        ratio = statistics.median(eager / stacked for eager, stacked in pairs)
        results[f"{size}"] = {"stack": runs, "turns": pairs, "ratio": ratio}
        eager, stacked = (statistics.median(column) for column in zip(*pairs, strict=True))
        met = "met" if ratio >= GOALS[size] else "missed"
        print(f"| {size} × {size} | {runs} | {eager:.4f} | {stacked:.5f} | {ratio:.1f} | ≥ {GOALS[size]:g} {met} |")
    results["reports"] = reports = both_reports()
    met = "met" if reports["seconds"] < REPORT_SECONDS else "missed"
    print(f"\nboth reports, {reports['runs']} runs: {reports['seconds']:.1f} s; goal < {REPORT_SECONDS:g} s {met}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "gpu.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
