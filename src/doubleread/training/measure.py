"""What a run will take, measured on a few of its steps."""

from __future__ import annotations

import time

from doubleread.nouns import Compute, RunData
from doubleread.recipe import Recipe
from doubleread.training.model import size_of
from doubleread.training.paths import make_trainer
from doubleread.training.precision import settle_arithmetic
from doubleread.training.records import RunSpec
from doubleread.training.result import Cost
from doubleread.training.together import train_together

STEPS = 4


def measure(recipe: Recipe, intensity: str, data: RunData, compute: Compute) -> Cost:
    """Return the cost of a recipe from the faster of two stretches of four training steps; nothing is kept.

    Of the stacked path it is that of a run alone on the device, the most that it can be: a stack shares the device.
    """
    settle_arithmetic()
    spec = RunSpec(recipe=recipe, seed=0, intensity=intensity, data=data)
    seconds = _alone(spec, compute) if compute.path == "stacked" else _steps(spec, compute)
    return Cost(seconds, 4 * size_of(recipe, data.shape, data.classes).parameters)


def _steps(spec: RunSpec, compute: Compute) -> float:
    trainer = make_trainer(spec, compute)
    rates = spec.rates(0)[:STEPS]
    rows = spec.rows(0)[: len(rates) * spec.recipe.batch_size]
    changes = spec.changes(0)
    spent = []
    for _ in range(2):
        began = time.perf_counter()
        # a recipe that diverges costs as much as one that does not
        done = trainer.train(rows, rates, None if changes is None else changes.at(slice(len(rows))))
        spent.append((time.perf_counter() - began) / len(done.losses))
    return min(spent)


def _alone(spec: RunSpec, compute: Compute) -> float:
    once = RunSpec(
        recipe=spec.recipe.model_copy(update={"epochs": 1}), seed=0, intensity=spec.intensity, data=spec.data
    )
    began = time.perf_counter()
    train_together([once], compute.device, compute.precision == "bf16")
    return (time.perf_counter() - began) / spec.steps
