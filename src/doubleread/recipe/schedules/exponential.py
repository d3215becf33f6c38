"""A rate that falls by the same factor each time."""

from __future__ import annotations

from typing import Literal

from doubleread.recipe.schedules.schedule import Moment, Per, Rate, Schedule
from doubleread.recipe.spec import Positive


class Exponential(Schedule):
    """The rate times `gamma` after every epoch (or batch)."""

    name: Literal["exponential"]
    gamma: Positive
    """What the rate is multiplied by each time."""
    per: Per = "epoch"

    def rate(self, lr: float, moment: Moment) -> Rate:
        """See `Schedule`."""
        return Rate(lr * self.gamma ** moment.at(self.per)[0])
