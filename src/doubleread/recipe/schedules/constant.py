"""The optimizer's rate throughout."""

from __future__ import annotations

from typing import Literal

from doubleread.recipe.schedules.schedule import Moment, Rate, Schedule


class Constant(Schedule):
    """The optimizer's rate throughout."""

    name: Literal["constant"]

    def rate(self, lr: float, moment: Moment) -> Rate:
        """See `Schedule`."""
        return Rate(lr)
