"""A small set of images, and recipes of a small perceptron on it."""

import os

import numpy as np
import pytest

from doubleread.nouns import Compute, RunData
from doubleread.recipe import Recipe
from doubleread.training import native
from tests.conftest import draw_images


@pytest.fixture(scope="module")
def data():
    return run_data(8)


def run_data(size: int, n: int = 40) -> RunData:
    """Return 2·n noisy images of two classes, 9/16 of them for training."""
    images = np.concatenate([draw_images(n, label, 3, size) for label in (0, 1)])
    labels = np.repeat([0, 1], n)
    order = np.random.default_rng(1).permutation(2 * n)
    cut, end = 9 * n // 8, 12 * n // 8
    return RunData(images=images, labels=labels, train=order[:cut], val=order[cut:end], test=order[end:])


def recipe(**changes) -> Recipe:
    base = {
        "model": {"name": "mlp", "hidden": [6, 5]},
        "loss": "bce",
        "optimizer": {"name": "adam", "lr": 1e-2},
        "schedule": "constant",
        "batch_size": 8,
        "epochs": 4,
    }
    return Recipe.model_validate({**base, **changes})


def on(path: str, precision: str = "fp32") -> Compute:
    return Compute(device="cpu", precision=precision, path=path)


@pytest.fixture(scope="session", autouse=True)
def _compiled_where_it_must_be():
    """In continuous integration a missing compiler is a failure, not one path fewer."""
    if os.environ.get("CI") == "true":
        native.native()


def paths() -> list[str]:
    """Return the paths of a perceptron on this machine that are not the reference."""
    return ["tiles", "native"] if native.is_available() else ["tiles"]
