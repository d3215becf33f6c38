"""A rate that falls in a straight line."""

from __future__ import annotations

from typing import Literal

from doubleread.recipe.schedules.schedule import Moment, Per, Rate, Schedule
from doubleread.recipe.spec import NotNegative


class LinearDecay(Schedule):
    """From the optimizer's rate to `min_lr` in a straight line over the whole run, as PyTorch's LinearLR."""

    name: Literal["linear"]
    min_lr: NotNegative = 0.0
    """The rate at the end."""
    per: Per = "epoch"

    def rate(self, lr: float, moment: Moment) -> Rate:
        """See `Schedule`."""
        at, total = moment.at(self.per)
        return Rate(lr + (self.min_lr - lr) * at / total)
