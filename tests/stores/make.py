"""Makes the store of a release, once, when it is released; afterwards it only has to open.

As a program, from an empty folder: python -m tests.stores.make FOLDER
"""

import sys
from pathlib import Path

import numpy as np

from doubleread.nouns import REFERENCE
from tests.conftest import draw_images, small_study
from tests.runner.test_stacks import go

IMAGES = "images.npz"


def write_images(folder: Path) -> Path:
    """Write the images that the frozen stores were trained on, in the MedMNIST format; their pixels never change."""
    parts = {"train": (16, 0), "val": (8, 2), "test": (12, 1)}
    arrays = {}
    for part, (n, seed) in parts.items():
        arrays[f"{part}_images"] = np.concatenate([draw_images(n, label, seed, 28) for label in (0, 1)])
        arrays[f"{part}_labels"] = np.repeat([0, 1], n)[:, None].astype(np.uint8)
    np.savez(folder / IMAGES, **arrays)
    return folder / IMAGES


def frozen_study() -> dict:
    """Return the study of the frozen stores: two arms, two seeds, a claim."""
    study = small_study(IMAGES)
    study["data"] |= {"positive": "1", "image_size": 28, "split": "given"}
    study["base"] |= {"epochs": 20, "optimizer": {"name": "adam", "lr": 3e-3}}
    study["margin"] = {"accuracy": 0.05}
    claims = [{"id": "bce-or-ce", "metric": "accuracy", "better": "bce", "than": "ce"}]
    study["experiments"] = {"loss": {"factors": {"loss": ["bce", "ce"]}, "claims": claims}}
    return study


if __name__ == "__main__":
    write_images(Path.cwd())
    go(frozen_study(), Path(sys.argv[1]).resolve(), REFERENCE)
