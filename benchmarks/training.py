"""Seconds an epoch of the reference loop beside the loop of a course notebook, in turns, in one process tree.

The notebook loop is written as a student would write it: TensorDataset, DataLoader, PyTorch's default Adam, all cores
in one process. The product trains one run a core, one thread each, so its seconds are those of as many runs at once as
there are cores, divided by their number.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from doubleread.nouns import RunData
from doubleread.recipe import Recipe
from doubleread.training import train

CASES, VALIDATION = 1600, 400
WORKLOADS = [(256, 32), (256, 8), (256, 128), (64, 32), (28, 32)]
TURNS = 3


def images(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images (N, size, size), uint8, and labels (N,)."""
    rng = np.random.default_rng(0)
    n = CASES + VALIDATION + 100
    return rng.integers(0, 256, (n, size, size), dtype=np.uint8), np.arange(n) % 2


def notebook_epoch(size: int, batch: int) -> float:
    """Return the seconds of one epoch, training and validation, of the loop in a notebook."""
    torch.set_num_threads(os.cpu_count() or 1)
    pixels, labels = images(size)
    x = torch.tensor(pixels, dtype=torch.float32) / 255
    y = torch.tensor(labels, dtype=torch.float32)
    train_loader = DataLoader(TensorDataset(x[:CASES], y[:CASES]), batch_size=batch, shuffle=True)
    val_loader = DataLoader(
        TensorDataset(x[CASES : CASES + VALIDATION], y[CASES : CASES + VALIDATION]), batch_size=batch
    )
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(size * size, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    spent = []
    for _ in range(2):
        began = time.perf_counter()
        model.train()
        for inputs, targets in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs).squeeze(1), targets)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for inputs, targets in val_loader:
                criterion(model(inputs).squeeze(1), targets)
        spent.append(time.perf_counter() - began)
    return min(spent)


def product_epoch(size: int, batch: int) -> float:
    """Return the seconds of one epoch of the reference loop in this process, one thread."""
    torch.set_num_threads(1)
    pixels, labels = images(size)
    rows = np.arange(len(labels))
    data = RunData(
        images=pixels,
        labels=labels.astype(np.int64),
        train=rows[:CASES],
        val=rows[CASES : CASES + VALIDATION],
        test=rows[CASES + VALIDATION :],
    )
    recipe = Recipe.model_validate(
        {
            "model": {"name": "mlp", "hidden": [64, 64]},
            "loss": "bce",
            "optimizer": {"name": "adam", "lr": 1e-3},
            "schedule": "constant",
            "batch_size": batch,
            "epochs": 2,
        }
    )
    return min(epoch.seconds for epoch in train(recipe, 0, "unit", data).epochs)


def main() -> None:
    """Print a table in Markdown, and the same as JSON."""
    cores = os.cpu_count() or 1
    rows = []
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context) as one, ProcessPoolExecutor(cores, context) as each:
        for size, batch in WORKLOADS:
            notebook, product = [], []
            for _ in range(TURNS):
                notebook.append(one.submit(notebook_epoch, size, batch).result())
                together = [each.submit(product_epoch, size, batch) for _ in range(cores)]
                product.append(statistics.mean(f.result() for f in together) / cores)
            ratio = statistics.median(a / b for a, b in zip(notebook, product, strict=True))
            rows.append(
                {
                    "size": size,
                    "batch": batch,
                    "notebook_seconds": statistics.median(notebook),
                    "product_seconds": statistics.median(product),
                    "ratio": ratio,
                }
            )
    print(f"{platform.machine()}, {cores} cores, torch {torch.__version__}; notebook: {cores} threads in one process;")
    print(
        f"doubleread: {cores} processes of one thread, seconds of one run's epoch divided by {cores}; {TURNS} turns\n"
    )
    print("| images | batch | notebook, s an epoch | doubleread, s an epoch | ratio |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['size']} × {row['size']} | {row['batch']} | {row['notebook_seconds']:.3f}"
            f" | {row['product_seconds']:.3f} | {row['ratio']:.2f} × |"
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
