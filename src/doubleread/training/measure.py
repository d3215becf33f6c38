"""What a run will take, measured on a few of its steps."""

from __future__ import annotations

import time
from itertools import pairwise

import torch

from doubleread.nouns import Compute, RunData
from doubleread.recipe import Recipe
from doubleread.training.loop import rows_of, steps_per_epoch
from doubleread.training.paths import compute_of, make_trainer
from doubleread.training.result import Cost
from doubleread.training.schedules import rate_at
from doubleread.training.stacked import Job, train_together


def measure(recipe: Recipe, intensity: str, data: RunData, compute: Compute | None = None, steps: int = 4) -> Cost:
    """Return the cost of a recipe from the faster of two stretches of `steps` training steps; nothing is kept.

    Of the stacked path it is that of a run alone on the device, which a stack shares.
    """
    torch.set_flush_denormal(True)
    how = compute or compute_of(recipe)
    if how.path == "stacked":
        return _measure_alone(recipe, intensity, data, how)
    trainer = make_trainer(recipe, 0, intensity, data, how)
    steps = min(steps, steps_per_epoch(recipe, data))
    rows = rows_of(0, data, 0)[: steps * recipe.batch_size]
    rates = [rate_at(recipe, number, steps_per_epoch(recipe, data)) for number in range(steps)]
    spent = []
    for _ in range(2):
        began = time.perf_counter()
        # a recipe that diverges costs as much as one that does not
        done = trainer.train(0, rows, rates)
        spent.append((time.perf_counter() - began) / len(done.losses))
    return Cost(min(spent), sum(tensor.numel() * tensor.element_size() for tensor in trainer.weights().values()))


def _measure_alone(recipe: Recipe, intensity: str, data: RunData, how: Compute) -> Cost:
    once = recipe.model_copy(update={"epochs": 1})
    job = Job(recipe=once, seed=0, intensity=intensity, data=data)
    began = time.perf_counter()
    train_together([job], how.device, how.precision == "bf16")
    seconds = (time.perf_counter() - began) / steps_per_epoch(recipe, data)
    widths = [data.images[0].size, *recipe.model.hidden, 1 if recipe.loss.name == "bce" else 2]
    return Cost(seconds, 4 * sum((a + 1) * b for a, b in pairwise(widths)))
