"""What a study of many short runs takes beside their training: planning, starting, storing, analysing."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from workloads import CORES, images

EPOCHS = 70
"""About half a second of training on 28 × 28 pixels."""
ARMS = 10


def overhead(folder: Path, runs: int) -> dict[str, float]:
    """Train and report a study of `runs` runs; return the seconds of training and of everything, and their ratio.

    `training` is the runs' own training time over the number of cores: the time that perfect use of them would take.
    `share` is what everything takes beyond it, as a fraction of it.
    """
    study = _write_study(folder, runs)
    store = folder / "runs"
    began = time.perf_counter()
    _doubleread("run", study, "--store", store, "--json")
    trained = time.perf_counter()
    _doubleread("report", study, "--store", store, "--json")
    ended = time.perf_counter()
    (total, count) = sqlite3.connect(store / "store.sqlite").execute(
        "SELECT sum(seconds), count(*) FROM runs WHERE state = 'done'"
    ).fetchone()  # fmt: skip
    assert count == runs, f"{count} of {runs} runs are done"
    training = total / CORES
    return {
        "runs": runs,
        "seconds_a_run": total / runs,
        "training": training,
        "run": trained - began,
        "report": ended - trained,
        "share": (ended - began) / training - 1,
    }


def _write_study(folder: Path, runs: int) -> Path:
    pixels, labels = images(28)
    source = folder / "images"
    source.mkdir(parents=True)
    for label, name in enumerate(("normal", "pneumonia")):
        np.save(source / f"{name}.npy", pixels[labels == label])
    rates = [round(1e-3 * (1 - 0.05 * arm), 6) for arm in range(ARMS)]
    study = {
        "study": "overhead",
        "question": "How much time goes beside training?",
        "data": {
            "source": str(source),
            "positive": "pneumonia",
            "image_size": 28,
            "intensity": "unit",
            "split": {"val": 0.2, "test": 0.05, "by": "case", "seed": 0},
        },
        "base": {
            "model": {"name": "mlp", "hidden": [64, 64]},
            "loss": "bce",
            "optimizer": {"name": "adam", "lr": 1e-3},
            "schedule": "constant",
            "batch_size": 32,
            "epochs": EPOCHS,
        },
        "seeds": runs // ARMS,
        "experiments": {
            "rate": {
                "factors": {"optimizer.lr": rates},
                "claims": [{"id": "faster", "metric": "accuracy", "better": rates[0], "than": rates[-1]}],
            }
        },
    }
    path = folder / "study.yaml"
    path.write_text(json.dumps(study))
    return path


def _doubleread(*arguments: object) -> None:
    command = [sys.executable, "-m", "doubleread", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
