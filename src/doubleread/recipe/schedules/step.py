"""A rate that falls in steps."""

from __future__ import annotations

from typing import Literal

from doubleread.recipe.schedules.schedule import Moment, Per, Rate, Schedule
from doubleread.recipe.spec import Positive, WholeFromOne


class Step(Schedule):
    """The rate times `gamma` after every `every` epochs (or batches)."""

    name: Literal["step"]
    every: WholeFromOne
    """Epochs, or batches, between two falls."""
    gamma: Positive
    """What the rate is multiplied by at each fall."""
    per: Per = "epoch"

    def rate(self, lr: float, moment: Moment) -> Rate:
        """See `Schedule`."""
        return Rate(lr * self.gamma ** (moment.at(self.per)[0] // self.every))
