"""The learning-rate range test (Smith 2017): train while the rate rises, and see where the loss falls and breaks."""

# S steps

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from doubleread.nouns import Compute
from doubleread.training.paths import make_trainer
from doubleread.training.precision import settle_arithmetic
from doubleread.training.randomness import seed_dropout
from doubleread.training.records import RunSpec
from doubleread.training.schedules import Rate

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 120
WIDTH = 0.03
"""The SD of the kernel that smooths the losses, in parts of the steps; it is centred, so that no rate is shown late."""
BROKEN = 4.0
"""The test ends where the mean of the last losses is so many times the lowest such mean."""
LAST = 5
FALL = 0.05
"""A fall of the smoothed loss by less than this part of its start is no fall."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RangeTest:
    """The curve of a range test: rates, losses and smoothed losses, (S,) each, up to where it broke or ended.

    `lowest` is the rate at which the smoothed loss is lowest, None where the first loss broke. `suggestion` is the rate
    at which it falls fastest on a log scale, before that; None where it never fell.
    """

    rates_S: np.ndarray
    losses_S: np.ndarray
    smoothed_S: np.ndarray
    lowest: float | None
    suggestion: float | None


def range_test(
    spec: RunSpec,
    compute: Compute,
    *,
    low: float = LOWEST,
    high: float = HIGHEST,
    steps: int = STEPS,
    on_step: Callable[[int, int], None] = lambda _done, _steps: None,
) -> RangeTest:
    """Train a run for `steps` steps, the rate rising evenly on a log scale from `low` to `high`; nothing is kept.

    The recipe's own rate and schedule are not used; everything else is as in a run of its seed. `on_step` is called
    with how many steps are done and how many there are. It ends early where the loss breaks.
    """
    settle_arithmetic()
    # a stack has no step of its own
    trainer = make_trainer(spec, replace(compute, path="reference") if compute.path == "stacked" else compute)
    rates_S = np.geomspace(low, high, steps)
    losses: list[float] = []
    best = math.inf
    for step, rate in enumerate(rates_S.tolist()):
        epoch, at = divmod(step, spec.steps)
        cases = slice(at * spec.recipe.batch_size, (at + 1) * spec.recipe.batch_size)
        if at == 0:
            seed_dropout(spec.seed, epoch, compute.device)
        changes = spec.changes(epoch)
        done = trainer.train(spec.rows(epoch)[cases], [Rate(rate)], None if changes is None else changes.at(cases))
        loss = float(done.losses[-1])
        if not math.isfinite(loss):
            break
        losses.append(loss)
        on_step(step + 1, steps)
        recent = float(np.mean(losses[-LAST:]))
        best = min(best, recent)
        if recent > BROKEN * best:
            break
    return _read_off(rates_S[: len(losses)], np.array(losses), WIDTH * steps)


def suggested(rates_S: np.ndarray, smoothed_S: np.ndarray) -> float | None:
    """Return the rate at which a smoothed loss falls fastest on a log scale, up to its lowest; None where it never
    fell.
    """
    lowest = int(np.argmin(smoothed_S)) if len(smoothed_S) else 0
    if lowest < 1 or smoothed_S[0] - smoothed_S[lowest] < FALL * smoothed_S[0]:
        return None
    slope_S = np.gradient(smoothed_S, np.log(rates_S))[: lowest + 1]
    return float(rates_S[np.argmin(slope_S)])


def smooth(losses_S: np.ndarray, width: float) -> np.ndarray:
    """Return the mean of the losses around each step, (S,), weighted by a normal curve with an SD of `width` steps."""
    steps = np.arange(len(losses_S))
    weights_SS = np.exp(-((steps[:, None] - steps[None, :]) ** 2) / (2 * width**2))
    return weights_SS @ losses_S / weights_SS.sum(axis=1)


def _read_off(rates_S: np.ndarray, losses_S: np.ndarray, width: float) -> RangeTest:
    smoothed_S = smooth(losses_S, width)
    return RangeTest(
        rates_S=rates_S,
        losses_S=losses_S,
        smoothed_S=smoothed_S,
        lowest=float(rates_S[np.argmin(smoothed_S)]) if len(rates_S) else None,
        suggestion=suggested(rates_S, smoothed_S),
    )
