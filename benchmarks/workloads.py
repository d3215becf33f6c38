"""The work that peers and product do, and the product's part: seconds an epoch with training and validation."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from doubleread.models import BUILDERS
from doubleread.nouns import Compute, RunData
from doubleread.processes import usable_cores
from doubleread.recipe import Recipe
from doubleread.training import train

TRAIN, VALIDATION, TEST = 1600, 400, 100
HIDDEN = (64, 64)
CORES = usable_cores()


def images(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, size, size), uint8, of two classes that differ, and labels (N,), int64."""
    rng = np.random.default_rng(0)
    n = TRAIN + VALIDATION + TEST
    labels = np.arange(n) % 2
    pixels = rng.integers(0, 200, (n, size, size), dtype=np.uint8)
    pixels[labels == 1, size // 2 :] += 40
    return pixels, labels


class SmallCnn(nn.Module):
    """Two convolutions and a linear layer, for images of `size` × `size`, flat or not; gives (B, 1)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(32 * (size // 4) ** 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x.reshape(-1, 1, self._size, self._size)))


def perceptron(size: int) -> nn.Module:
    """Return the perceptron of both reports."""
    widths = [size * size, *HIDDEN]
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


MODELS: dict[str, Callable[[int], nn.Module]] = {"mlp": perceptron, "cnn": SmallCnn}


def product(size: int, batch: int, epochs: int, path: str, precision: str = "fp32", model: str = "mlp") -> float:
    """Return our seconds an epoch on a path, one thread in this process."""
    torch.set_num_threads(1)
    before = BUILDERS["mlp"]
    if model != "mlp":
        BUILDERS["mlp"] = lambda **_options: MODELS[model](size)
    try:
        compute = Compute(device="cpu", precision=precision, path=path)
        result = train(recipe_of(batch, epochs), 0, "unit", run_data(size), compute=compute)
    finally:
        BUILDERS["mlp"] = before
    return median_of([epoch.seconds for epoch in result.epochs])


def recipe_of(batch: int, epochs: int) -> Recipe:
    return Recipe.model_validate(
        {
            "model": {"name": "mlp", "hidden": list(HIDDEN)},
            "loss": "bce",
            "optimizer": {"name": "adam", "lr": 1e-3},
            "schedule": "constant",
            "batch_size": batch,
            "epochs": epochs,
        }
    )


def run_data(size: int) -> RunData:
    pixels, labels = images(size)
    rows = np.arange(len(labels))
    cut = TRAIN + VALIDATION
    return RunData(images=pixels, labels=labels, train=rows[:TRAIN], val=rows[TRAIN:cut], test=rows[cut:])


def median_of(seconds: list[float]) -> float:
    """Return the median of the epochs but the first, which warms up."""
    return statistics.median(seconds[1:] or seconds)
