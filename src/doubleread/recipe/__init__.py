"""Specifications of a training recipe, without torch: what exists, which options, which have no effect."""

from __future__ import annotations

from typing import Any

from doubleread.recipe.loss import LOSSES, Bce, Ce, LossSpec
from doubleread.recipe.model import MODELS, Mlp, ModelSpec
from doubleread.recipe.optimizer import OPTIMIZERS, Adam, AdamW, OptimizerSpec, Sgd
from doubleread.recipe.schedule import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    ScheduleSpec,
    Step,
)
from doubleread.recipe.spec import Precision, Spec, WholeFromOne

__all__ = [
    "PARTS",
    "Adam",
    "AdamW",
    "Bce",
    "Ce",
    "Constant",
    "Cosine",
    "Exponential",
    "LossSpec",
    "Mlp",
    "ModelSpec",
    "OneCycle",
    "OptimizerSpec",
    "Recipe",
    "ScheduleSpec",
    "Sgd",
    "Spec",
    "Step",
    "ineffective",
]

PARTS: dict[str, dict[str, type[Spec]]] = {
    "model": MODELS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
"""Every named part of a recipe, with what may stand there."""


class Recipe(Spec):
    """A complete training recipe: everything about a run but its data and its seed.

    `batch_size` counts cases; the last batch of an epoch may be shorter. `threads` is the number of CPU threads of
    the run; results depend on it, so it is part of the recipe. `precision` is that of the products: `fp32`; `bf16`,
    the factors of a perceptron's first layer rounded to bfloat16 (in the reference loop those of every layer, by
    autocast) while weights and moments stay float32; or `auto`, bf16 where the benchmark has shown that a perceptron
    gains on this processor, else fp32.
    """

    model: ModelSpec
    loss: LossSpec
    optimizer: OptimizerSpec
    schedule: ScheduleSpec
    batch_size: WholeFromOne
    epochs: WholeFromOne
    threads: WholeFromOne = 1
    precision: Precision = "fp32"

    def canonical(self) -> dict[str, Any]:
        """Return the recipe with the defaults left out: the form that identities are made of.

        Without the precision, which stands beside it as what it comes to: a run of `auto` is that of `fp32` or `bf16`.
        """
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"precision"})

    def complete(self) -> dict[str, Any]:
        """Return the recipe with every default written out: the form that the plan prints."""
        return self.model_dump(mode="json")


def ineffective(recipe: Recipe, path: str) -> str | None:
    """Return why the value at `path` (such as `optimizer.lr`) changes nothing in this recipe, or None if it does."""
    schedule = recipe.schedule
    if isinstance(schedule, OneCycle):
        if path == "optimizer.lr":
            return "optimizer.lr has no effect with onecycle, whose rate is max_lr"
        if path in ("optimizer.momentum", "optimizer.betas") and schedule.cycle_momentum:
            return f"{path} has no effect with onecycle while cycle_momentum is true"
    return None
