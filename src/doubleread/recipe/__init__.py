"""Specifications of a training recipe, without torch: what exists, which options, which have no effect."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import model_validator

from doubleread.recipe.augmentation import Augmentation
from doubleread.recipe.loss import LOSSES, Bce, Ce, Focal, LossSpec
from doubleread.recipe.model import MODELS, OWN, Cnn, Linear, Mlp, ModelSpec, OwnModel
from doubleread.recipe.optimizer import OPTIMIZERS, Adam, AdamW, OptimizerSpec, Sgd
from doubleread.recipe.schedules import SCHEDULES, Moment, OneCycle, Plateau, Rate, ScheduleSpec
from doubleread.recipe.spec import (
    NotNegative,
    OpenFraction,
    OrNone,
    Positive,
    Precision,
    Spec,
    WholeFromOne,
    expecting,
    unmet,
)
from doubleread.recipe.stop import Stop

__all__ = [
    "OWN",
    "PARTS",
    "Adam",
    "AdamW",
    "Augmentation",
    "Bce",
    "Ce",
    "Cnn",
    "Focal",
    "Linear",
    "LossSpec",
    "Mlp",
    "ModelSpec",
    "Moment",
    "OneCycle",
    "OptimizerSpec",
    "OwnModel",
    "Plateau",
    "Rate",
    "Recipe",
    "ScheduleSpec",
    "Sgd",
    "Spec",
    "Stop",
    "TestTime",
    "ineffective",
]

PARTS: dict[str, dict[str, type[Spec]]] = {
    "model": MODELS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
"""Every named part of a recipe, with what may stand there."""


Sampling = Annotated[Literal["all", "balanced"], expecting("all or balanced")]
Keep = Annotated[Literal["last", "best"], expecting("last or best")]
TestTime = Annotated[Literal["none", "flip"], expecting("none or flip")]


class Recipe(Spec):
    """A complete training recipe: everything about a run but its data and its seed."""

    model: ModelSpec
    """The network."""
    loss: LossSpec
    """What is minimised."""
    optimizer: OptimizerSpec
    """What turns gradients into steps."""
    schedule: ScheduleSpec
    """How the learning rate moves over the run."""
    batch_size: WholeFromOne
    """Cases of a batch; the last one of an epoch may be shorter."""
    epochs: WholeFromOne
    """How often training goes through the training cases."""
    threads: WholeFromOne = 1
    """CPU threads of a run. Results depend on it in their last bits, so it is part of the recipe."""
    precision: Precision = "fp32"
    """That of the products: `fp32`; `bf16`, the factors of a perceptron's first layer rounded to bfloat16 (in the
    reference loop those of every layer, by autocast) while weights and moments stay float32; or `auto`, bf16 where the
    benchmark has shown that a perceptron gains on this processor, else fp32."""
    augmentation: Annotated[Augmentation | None, OrNone] = None
    """How training images are changed as they are drawn."""
    sampling: Sampling = "all"
    """`all` cases once an epoch, or `balanced`, as many of each class, those of smaller classes several times."""
    warmup: NotNegative = 0.0
    """Epochs in which the rate rises from nothing to what the schedule says; fewer than `epochs`."""
    clip_norm: Annotated[Positive | None, OrNone] = None
    """The gradient is scaled down to this length where it is longer."""
    accumulate: WholeFromOne = 1
    """A batch is computed in so many parts, whose gradients are added: it takes less memory. The update is that of the
    whole batch, but for batch norm, which sees a part."""
    ema: Annotated[OpenFraction | None, OrNone] = None
    """What is evaluated and kept is the exponential average of the weights over the steps, this part of which stays in
    each."""
    stop: Annotated[Stop | None, OrNone] = None
    """When a run ends before its last epoch."""
    keep: Keep = "last"
    """The weights of the `last` epoch, or of the `best`, the first with the highest validation AUROC."""
    test_time: TestTime = "none"
    """With `flip` a case's logit is the mean of those of the image and of its mirror image."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Recipe:
        if self.stop is not None and self.stop.patience > self.epochs - 2:
            raise unmet(
                f"a patience of at most {self.epochs - 2} with {self.epochs} epochs; a longer one never ends a run"
            )
        if isinstance(self.schedule, Plateau):
            if self.schedule.patience > self.epochs - 3:
                raise unmet(
                    f"a patience of at most {self.epochs - 3} with {self.epochs} epochs; a longer one changes no rate"
                )
            if self.schedule.min_lr >= self.optimizer.lr:
                raise unmet(f"a min_lr below the optimizer's rate, {self.optimizer.lr:g}")
        if self.augmentation is not None and self.augmentation.mixup and self.batch_size == 1:
            raise unmet("no mixup with a batch of one, which has nothing to be mixed with")
        if self.accumulate > self.batch_size:
            raise unmet(f"at most as many parts as a batch has cases, {self.batch_size}")
        if self.warmup >= self.epochs:
            raise unmet(f"a warmup below the number of epochs, {self.epochs}; in a longer one the rate only rises")
        if self.keep == "best" and self.epochs == 1:
            raise unmet("keep: last, since one epoch leaves no choice")
        return self

    def canonical(self) -> dict[str, Any]:
        """Return the recipe with the defaults left out: the form that identities are made of.

        Without the precision, which stands beside it as what it comes to: a run of `auto` is that of `fp32` or `bf16`.
        Without the path of an `init` file, beside which its content stands.
        """
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"precision": True, "model": {"init"}})

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
