"""A rate that falls where the validation loss has stopped falling."""

from __future__ import annotations

import math
from typing import Literal

from doubleread.recipe.schedules.schedule import Moment, Rate, Schedule
from doubleread.recipe.spec import NotNegative, OpenFraction, WholeFromZero

THRESHOLD = 1e-4


class Plateau(Schedule):
    """The rate times `factor` after more than `patience` epochs in a row in which the validation loss has not fallen.

    PyTorch's ReduceLROnPlateau, with its threshold: to count as fallen, a loss lies 0.01 % below the lowest before it.
    """

    name: Literal["plateau"]
    factor: OpenFraction
    """What the rate is multiplied by."""
    patience: WholeFromZero
    """Epochs in a row without a fall that are borne; at most the number of epochs − 3."""
    min_lr: NotNegative = 0.0
    """The lowest rate; below the optimizer's."""

    def rate(self, lr: float, moment: Moment) -> Rate:
        """See `Schedule`."""
        best, waited = math.inf, 0
        for loss in moment.val_losses:
            if loss < best * (1 - THRESHOLD):
                best, waited = loss, 0
            else:
                waited += 1
            if waited > self.patience:
                lr, waited = min(lr, max(lr * self.factor, self.min_lr)), 0
        return Rate(lr)
