"""Reading and preparing a folder of JPEGs to 256 × 256 pixels, beside a plain Pillow loop in one thread."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
from PIL import Image

from doubleread.dataset import prepare
from doubleread.images import open_source
from doubleread.recipe.data import DataSpec

SIZE = 256


def folder_of_films(folder: Path, n: int) -> Path:
    """Write `n` random grey JPEGs of two classes, as large as films in the Kermany set are; return their folder."""
    rng = np.random.default_rng(0)
    for i in range(n):
        name = ("NORMAL", "PNEUMONIA")[i % 2]
        height, width = rng.integers(700, 1200), rng.integers(1000, 1600)
        coarse = Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((int(width), int(height))))
        path = folder / ("test" if i % 5 == 0 else "train") / name / f"{i:05d}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth).save(path, quality=90)
    return folder


def pillow_loop(folder: Path) -> float:
    """Return the seconds in which a plain loop reads every image into one array."""
    began = time.perf_counter()
    paths = sorted(folder.rglob("*.jpeg"))
    images = np.empty((len(paths), SIZE, SIZE), dtype=np.uint8)
    for row, path in enumerate(paths):
        images[row] = np.asarray(Image.open(path).convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    return time.perf_counter() - began


def prepared(folder: Path, cache: Path) -> float:
    """Return the seconds in which every image is hashed, checked, resized, split and written, for the first time."""
    shutil.rmtree(cache, ignore_errors=True)
    data = DataSpec.model_validate(
        {
            "source": str(folder),
            "positive": "PNEUMONIA",
            "image_size": SIZE,
            "intensity": "unit",
            "split": {"val": 0.2, "by": "case", "seed": 0},
            "allow_leakage": "a benchmark",
        }
    )
    began = time.perf_counter()
    found = prepare(open_source(data.source, place="benchmark"), data, cache)
    assert len(found.cases) == sum(1 for _ in folder.rglob("*.jpeg"))
    return time.perf_counter() - began
