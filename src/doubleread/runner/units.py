"""How runs are handed out: one at a time to a process, or stacked where they share a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from doubleread.dataset import PreparedSet
from doubleread.nouns import shape_of
from doubleread.recipe import Recipe
from doubleread.study import PlannedRun
from doubleread.training.memory import stack_bytes
from doubleread.training.stacked import stack_key

Unit = tuple[PlannedRun, ...]
"""Runs that one process trains."""

MOST_STACKED = 256
SHARE = 0.6
"""The part of a device's free memory that a stack may plan with; libraries take some of the rest."""


def units_of(
    runs: Sequence[PlannedRun],
    prepared: Mapping[str, PreparedSet],
    room: int,
    positions: Mapping[str, int] | None = None,
) -> list[Unit]:
    """Return the units of `runs`, in the order in which their first runs stand.

    `room` is how many bytes a stack may take, `positions` after how many epochs each run goes on, by its id (0 where it
    is left out); both matter to runs on the stacked path only.
    """
    groups: dict[tuple[object, ...], list[PlannedRun]] = {}
    for run in runs:
        key: tuple[object, ...] = (run.run_id,)
        if run.compute.path == "stacked":
            data = prepared[run.data_hash].run_data(run.seed)
            sizes = (len(data.train), len(data.val), len(data.test))
            position = (positions or {}).get(run.run_id, 0)
            key = (stack_key(run.recipe), run.compute, run.data_hash, sizes, position)
        groups.setdefault(key, []).append(run)
    units: list[Unit] = []
    for group in groups.values():
        most = 1
        if group[0].compute.path == "stacked":
            most = stack_size(group[0].recipe, prepared[group[0].data_hash].images, room)
        units += [tuple(group[start : start + most]) for start in range(0, len(group), most)]
    return units


def stack_size(recipe: Recipe, images: np.ndarray, room: int) -> int:
    """Return how many runs of a recipe a stack on these images, (N, height, width), may have in `room` bytes."""
    return max(1, min(MOST_STACKED, (room - images.nbytes) // stack_bytes(recipe, shape_of(images))))


def room_on_device() -> int:
    """Return how many bytes a stack may take on the CUDA device, 0 where there is none."""
    if not torch.cuda.is_available():
        return 0
    free, _total = torch.cuda.mem_get_info()
    return int(SHARE * free)
