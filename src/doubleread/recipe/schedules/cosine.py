"""A rate that falls along half a cosine."""

from __future__ import annotations

import math
from typing import Literal

from doubleread.recipe.schedules.schedule import Moment, Per, Rate, Schedule
from doubleread.recipe.spec import NotNegative


class Cosine(Schedule):
    """From the optimizer's rate to `min_lr` along half a cosine (Loshchilov & Hutter 2017), over the whole run."""

    name: Literal["cosine"]
    min_lr: NotNegative = 0.0
    """The rate at the end."""
    per: Per = "epoch"

    def rate(self, lr: float, moment: Moment) -> Rate:
        """See `Schedule`."""
        at, total = moment.at(self.per)
        return Rate(self.min_lr + (lr - self.min_lr) * (1 + math.cos(math.pi * at / total)) / 2)
