"""What a worker has in memory for itself while it trains on 256 × 256 pixels; the images are shared."""

from __future__ import annotations

from pathlib import Path

import torch
from workloads import recipe_of, run_data

from doubleread.engines import LocalExecutor
from doubleread.nouns import Compute
from doubleread.runner.workers import preload_for
from doubleread.training import train
from doubleread.training.memory import worker_bytes
from doubleread.training.result import peak_bytes


def worker_memory(size: int, batch: int, path: str) -> dict[str, float]:
    """Return MiB of a worker: private (its own), planned (what the number of workers is worked out with)."""
    with LocalExecutor(1, preload_for([path])) as executor:
        private = executor.submit(_private_after_training, size, batch, path).result()
    planned = worker_bytes(recipe_of(batch, 1), Compute(device="cpu", precision="fp32", path=path), (1, size, size))
    return {"private": private / 2**20, "planned": planned / 2**20}


def _private_after_training(size: int, batch: int, path: str) -> int:
    torch.set_num_threads(1)
    data = run_data(size)
    before = data.images.nbytes
    peak = 0

    def look(_epoch: object) -> None:
        nonlocal peak
        peak = max(peak, _private())

    train(recipe_of(batch, 2), 0, "unit", data, look, Compute(device="cpu", precision="fp32", path=path))
    # here the images are the process's own, in a study they are a memory-mapped file
    return max(peak, _private()) - before


def _private() -> int:
    rollup = Path("/proc/self/smaps_rollup")
    if not rollup.is_file():
        return peak_bytes()
    lines = [line.split() for line in rollup.read_text().splitlines()]
    return sum(int(line[1]) * 1024 for line in lines if line[0] in ("Private_Clean:", "Private_Dirty:"))
