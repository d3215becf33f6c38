"""The rate as a pure function of the step, and of the validation losses so far where a schedule waits for them.

Nothing is carried along, so a stopped run goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from doubleread.recipe import Constant, Cosine, Exponential, OneCycle, Plateau, Recipe, Step


class Rate(NamedTuple):
    """The learning rate of one step, and the momentum where the schedule moves it too."""

    lr: float
    momentum: float | None = None


PLATEAU_THRESHOLD = 1e-4


def rate_at(recipe: Recipe, step: int, steps_per_epoch: int, val_losses: Sequence[float] = ()) -> Rate:
    """Return the rate of optimizer step `step` (0 is the first), for a run of `steps_per_epoch` steps an epoch.

    Equal to PyTorch's own schedulers, which step after each batch or each epoch as the schedule's `per` says; in the
    `warmup` times the part of it that is over. `val_losses` are those of the epochs before the step's.
    """
    rate = _scheduled(recipe, step, steps_per_epoch, val_losses)
    rising = recipe.warmup * steps_per_epoch
    return rate if step + 1 >= rising else Rate(rate.lr * (step + 1) / rising, rate.momentum)


def _scheduled(recipe: Recipe, step: int, steps_per_epoch: int, val_losses: Sequence[float]) -> Rate:
    schedule = recipe.schedule
    if isinstance(schedule, Constant):
        return Rate(recipe.optimizer.lr)
    if isinstance(schedule, Plateau):
        return Rate(_after_plateaus(schedule, recipe.optimizer.lr, val_losses))
    if schedule.per == "batch":
        at, total = step, recipe.epochs * steps_per_epoch
    else:
        at, total = step // steps_per_epoch, recipe.epochs
    return _FORMULAS[schedule.name](schedule, recipe.optimizer.lr, at, total)


def _step(schedule: Step, lr: float, at: int, total: int) -> Rate:
    return Rate(lr * schedule.gamma ** (at // schedule.every))


def _exponential(schedule: Exponential, lr: float, at: int, total: int) -> Rate:
    return Rate(lr * schedule.gamma**at)


def _cosine(schedule: Cosine, lr: float, at: int, total: int) -> Rate:
    return Rate(schedule.min_lr + (lr - schedule.min_lr) * (1 + math.cos(math.pi * at / total)) / 2)


def _onecycle(schedule: OneCycle, lr: float, at: int, total: int) -> Rate:
    first = schedule.max_lr / schedule.div_factor
    last = first / schedule.final_div_factor
    peak = schedule.pct_start * total - 1
    if at <= peak:
        done = at / peak if peak > 0 else 1.0
        rate = _half_cosine(first, schedule.max_lr, done)
        momentum = _half_cosine(schedule.max_momentum, schedule.base_momentum, done)
    else:
        done = (at - peak) / (total - 1 - peak)
        rate = _half_cosine(schedule.max_lr, last, done)
        momentum = _half_cosine(schedule.base_momentum, schedule.max_momentum, done)
    return Rate(rate, momentum if schedule.cycle_momentum else None)


def _after_plateaus(schedule: Plateau, lr: float, val_losses: Sequence[float]) -> float:
    best, waited = math.inf, 0
    for loss in val_losses:
        if loss < best * (1 - PLATEAU_THRESHOLD):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > schedule.patience:
            lr, waited = min(lr, max(lr * schedule.factor, schedule.min_lr)), 0
    return lr


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


_FORMULAS: dict[str, Callable[..., Rate]] = {
    "step": _step,
    "exponential": _exponential,
    "cosine": _cosine,
    "onecycle": _onecycle,
}
