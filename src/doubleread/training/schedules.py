"""The rate of each step of a run: that of its schedule, and less while it warms up."""

from __future__ import annotations

from collections.abc import Sequence

from doubleread.recipe import Moment, Rate, Recipe

__all__ = ["Rate", "rate_at"]


def rate_at(recipe: Recipe, step: int, steps_per_epoch: int, val_losses: Sequence[float] = ()) -> Rate:
    """Return the rate of optimizer step `step` (0 is the first), for a run of `steps_per_epoch` steps an epoch.

    Equal to PyTorch's own schedulers, which step after each batch or each epoch as the schedule's `per` says; in the
    `warmup` times the part of it that is over. `val_losses` are those of the epochs before the step's.
    """
    moment = Moment(step=step, steps_per_epoch=steps_per_epoch, epochs=recipe.epochs, val_losses=val_losses)
    rate = recipe.schedule.rate(recipe.optimizer.lr, moment)
    rising = recipe.warmup * steps_per_epoch
    return rate if step + 1 >= rising else Rate(rate.lr * (step + 1) / rising, rate.momentum)
