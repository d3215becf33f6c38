"""An epoch of ResNet-18 beside a plain PyTorch loop, and what augmentation costs; in turns, in one process.

    python benchmarks/networks.py [--turns 5] [--size 96] [--steps 12] [--threads 1]

The plain loop is what a good notebook has: the whole set in one tensor, a random order, channels-last, fused Adam. Both
train the same network on the same images at the same batch size; a turn is the same number of steps of each. Ratios are
medians of the turns' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from doubleread.models import build
from doubleread.nouns import REFERENCE, RunData
from doubleread.recipe import Recipe
from doubleread.training.paths import make_trainer
from doubleread.training.precision import settle_arithmetic
from doubleread.training.records import RunSpec

BATCH, IMAGES = 32, 1600
AUGMENTATION = {"flip": "horizontal", "rotate": 12.0, "shift": 0.06, "zoom": 0.15, "contrast": 0.3, "gamma": 0.4,
                "brightness": 0.1, "noise": 0.04}  # fmt: skip
"""That of the study `strong`."""


def images_of(size: int) -> RunData:
    """Return noise of the right shape: what the pixels are makes no difference to the time."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, size, size), dtype=np.uint8)
    rows = np.arange(IMAGES)
    return RunData(images=pixels, labels=rows % 2, train=rows, val=rows[:100], test=rows[:100])


def plain_loop(data: RunData, steps: int) -> Callable[[], float]:
    """Return what takes so many steps of a plain loop and gives the seconds of one."""
    size = data.images.shape[1]
    model = build("resnet18", {}, channels=1, image_size=size, outputs=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    criterion = nn.BCEWithLogitsLoss()
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)

    def take() -> float:
        model.train()
        order = torch.randperm(len(images))
        began = time.perf_counter()
        for step in range(steps):
            rows = order[step * BATCH : (step + 1) * BATCH]
            batch = images[rows].unsqueeze(1).float().div(255).to(memory_format=torch.channels_last)
            loss = criterion(model(batch)[:, 0], labels[rows].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
        return (time.perf_counter() - began) / steps

    return take


def product(data: RunData, steps: int, **changes: Any) -> Callable[[], float]:
    """Return the same of a run of the product."""
    recipe = Recipe.model_validate(
        {
            "model": "resnet18",
            "loss": "bce",
            "optimizer": {"name": "adam", "lr": 1e-3},
            "schedule": "constant",
            "batch_size": BATCH,
            "epochs": 1000,
            **changes,
        }
    )
    spec = RunSpec(recipe=recipe, seed=0, intensity="unit", data=data)
    trainer, epochs = make_trainer(spec, REFERENCE), iter(range(1000))

    def take() -> float:
        epoch, cases = next(epochs), slice(steps * BATCH)
        began = time.perf_counter()
        # the order, the rates and the changes are drawn once for a whole epoch: their part of these steps counts
        rows, rates, changes = spec.rows(epoch), spec.rates(epoch), spec.changes(epoch)
        drawn = (time.perf_counter() - began) * steps / spec.steps
        began = time.perf_counter()
        trainer.train(rows[cases], rates[:steps], None if changes is None else changes.at(cases))
        return (drawn + time.perf_counter() - began) / steps

    return take


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("turns", 5), ("size", 96), ("steps", 12), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    settle_arithmetic()
    data = images_of(asked.size)
    contestants = {
        "plain loop": plain_loop(data, asked.steps),
        "doubleread": product(data, asked.steps),
        "doubleread, augmented": product(data, asked.steps, augmentation=AUGMENTATION),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(asked.turns + 1):
        for name, take in contestants.items():
            found = take()
            if turn:
                # the first turn warms everything up
                seconds[name].append(found)
    plain, ours, augmented = seconds.values()
    result = {
        "size": asked.size, "batch": BATCH, "threads": asked.threads,
        "milliseconds_a_step": {name: 1000 * statistics.median(found) for name, found in seconds.items()},
        "plain_over_doubleread": statistics.median(p / o for p, o in zip(plain, ours, strict=True)),
        "augmentation_share": statistics.median(1 - o / a for o, a in zip(ours, augmented, strict=True)),
    }  # fmt: skip
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
