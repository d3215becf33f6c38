"""Which schedules of the rate there are, and their options; `per` says whether one steps per batch or per epoch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from doubleread.recipe.spec import (
    ByName,
    Fraction,
    NotNegative,
    OpenFraction,
    Positive,
    Spec,
    Switch,
    WholeFromOne,
    WholeFromZero,
    expecting,
    unmet,
)

Per = Annotated[Literal["epoch", "batch"], expecting("epoch or batch")]


class Constant(Spec):
    """The optimizer's rate throughout."""

    name: Literal["constant"]


class Step(Spec):
    """The rate times `gamma` after every `every` epochs (or batches)."""

    name: Literal["step"]
    every: WholeFromOne
    gamma: Positive
    per: Per = "epoch"


class Cosine(Spec):
    """From the optimizer's rate to `min_lr` along half a cosine (Loshchilov & Hutter 2017), over the whole run."""

    name: Literal["cosine"]
    min_lr: NotNegative = 0.0
    per: Per = "epoch"


class Exponential(Spec):
    """The rate times `gamma` after every epoch (or batch)."""

    name: Literal["exponential"]
    gamma: Positive
    per: Per = "epoch"


class OneCycle(Spec):
    """Up to `max_lr`, then down to almost nothing, along two half cosines (Smith & Topin 2019; PyTorch's defaults).

    It starts at max_lr / div_factor, peaks after the fraction `pct_start` of the run and ends at
    max_lr / (div_factor · final_div_factor); the optimizer's own rate is not used. With `cycle_momentum`, momentum
    (Adam's first beta) moves the other way, from `max_momentum` to `base_momentum` and back.
    """

    name: Literal["onecycle"]
    max_lr: Positive
    pct_start: OpenFraction = 0.3
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4
    cycle_momentum: Switch = True
    base_momentum: Fraction = 0.85
    max_momentum: Fraction = 0.95
    per: Per = "batch"

    @model_validator(mode="after")
    def _momentum_needs_cycling(self) -> OneCycle:
        if not self.cycle_momentum and {"base_momentum", "max_momentum"} & self.model_fields_set:
            raise unmet("no base_momentum and no max_momentum, which have no effect while cycle_momentum is false")
        return self


class Plateau(Spec):
    """The rate times `factor` after more than `patience` epochs in a row in which the validation loss has not fallen.

    PyTorch's ReduceLROnPlateau, with its threshold: to count as fallen, a loss lies 0.01 % below the lowest before it.
    """

    name: Literal["plateau"]
    factor: OpenFraction
    patience: WholeFromZero
    min_lr: NotNegative = 0.0


ScheduleSpec = Annotated[
    Annotated[Constant | Step | Cosine | Exponential | OneCycle | Plateau, Field(discriminator="name")], ByName
]
SCHEDULES: dict[str, type[Spec]] = {
    "constant": Constant,
    "step": Step,
    "cosine": Cosine,
    "exponential": Exponential,
    "onecycle": OneCycle,
    "plateau": Plateau,
}
