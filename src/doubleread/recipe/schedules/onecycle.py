"""A rate that rises and falls once."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import model_validator

from doubleread.recipe.schedules.schedule import Moment, Per, Rate, Schedule
from doubleread.recipe.spec import Fraction, OpenFraction, Positive, Switch, unmet


class OneCycle(Schedule):
    """Up to `max_lr`, then down to almost nothing, along two half cosines (Smith & Topin 2019; PyTorch's defaults).

    The optimizer's own rate is not used.
    """

    name: Literal["onecycle"]
    max_lr: Positive
    """The rate at the peak."""
    pct_start: OpenFraction = 0.3
    """The fraction of the run after which it peaks."""
    div_factor: Positive = 25.0
    """It starts at max_lr / div_factor."""
    final_div_factor: Positive = 1e4
    """It ends at max_lr / (div_factor · final_div_factor)."""
    cycle_momentum: Switch = True
    """Whether momentum (Adam's first beta) moves the other way, down while the rate rises."""
    base_momentum: Fraction = 0.85
    """The momentum at the peak of the rate."""
    max_momentum: Fraction = 0.95
    """The momentum at the start and at the end."""
    per: Per = "batch"

    @model_validator(mode="after")
    def _momentum_needs_cycling(self) -> OneCycle:
        if not self.cycle_momentum and {"base_momentum", "max_momentum"} & self.model_fields_set:
            raise unmet("no base_momentum and no max_momentum, which have no effect while cycle_momentum is false")
        return self

    def rate(self, lr: float, moment: Moment) -> Rate:
        """See `Schedule`."""
        at, total = moment.at(self.per)
        first = self.max_lr / self.div_factor
        last = first / self.final_div_factor
        peak = self.pct_start * total - 1
        if at <= peak:
            done = at / peak if peak > 0 else 1.0
            rate = _half_cosine(first, self.max_lr, done)
            momentum = _half_cosine(self.max_momentum, self.base_momentum, done)
        else:
            done = (at - peak) / (total - 1 - peak)
            rate = _half_cosine(self.max_lr, last, done)
            momentum = _half_cosine(self.base_momentum, self.max_momentum, done)
        return Rate(rate, momentum if self.cycle_momentum else None)


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
