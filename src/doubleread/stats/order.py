"""Ordered factors, and which of two runs comes out ahead."""

# T levels, R and S seeds

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from doubleread.late import late
from doubleread.stats.contrast import Estimate, t_above

scipy_stats = late("scipy.stats")


def trend_weights(levels_T: Sequence[float]) -> np.ndarray:
    """Return weights (T,) that sum to 0, so that Σ w θ is the change from the lowest to the highest level.

    w ∝ log(level) less its mean, the slope of least squares over the logarithm, times the range of the logarithm.

    Raises:
        ValueError: a level is 0 or below, or there are not two different ones.
    """
    if min(levels_T) <= 0:
        raise ValueError(f"a level of {min(levels_T):g} has no logarithm")
    x_T = np.log(np.asarray(levels_T, dtype=np.float64))
    centred_T = x_T - x_T.mean()
    spread = float(centred_T @ centred_T)
    if spread == 0:
        raise ValueError("a trend needs two different levels")
    return centred_T / spread * float(np.ptp(x_T))


def monotone_p(steps: Sequence[Estimate]) -> float:
    """Return the p of "every step goes up": the largest of the one-sided p of the adjacent differences.

    `steps` are the differences of each level and the one below it, turned so that up is the claimed direction. NaN
    where the uncertainty of a step is unknown.
    """
    found = [_step_p(step) for step in steps]
    return math.nan if any(map(math.isnan, found)) else max(found)


def _step_p(step: Estimate) -> float:
    if step.se > 0:
        return t_above(step.value / step.se, step.df)
    return 1.0 if step.se == 0 and step.value <= 0 else math.nan


def order_shown(a_R: np.ndarray, b_S: np.ndarray) -> float:
    """Return P(A > B) for one run of each: the share of all pairs of seeds in which A is ahead, ties one half.

    The Mann–Whitney statistic over the R × S pairs (Bouthillier et al. 2021 use it to compare training runs).
    """
    ranks = scipy_stats.rankdata(np.concatenate([a_R, b_S]))[: len(a_R)]
    return float((ranks.sum() - len(a_R) * (len(a_R) + 1) / 2) / (len(a_R) * len(b_S)))


def carried_by(psi_R: np.ndarray) -> int:
    """Return how many seeds, 1 or 2, carry the mean; 0 where it takes more.

    They carry it if without them, the most extreme ones in its direction, the mean is less than half of it or has the
    other sign, and the others agree: their standard deviation is less than half of that of all. So it is a second mode
    of few seeds, and not a mean that is small beside its noise.
    """
    if len(psi_R) < 4:
        return 0
    mean, sd = float(psi_R.mean()), float(psi_R.std())
    towards = np.sort(psi_R * np.sign(mean))
    carried = (k for k in (1, 2) if towards[:-k].mean() < abs(mean) / 2 and towards[:-k].std() < sd / 2)
    return next(carried, 0)


def rates_differ(count_a: int, of_a: int, count_b: int, of_b: int) -> float:
    """Return the two-sided p of Fisher's exact test that two rates (of collapse, of divergence) are equal."""
    result: Any = scipy_stats.fisher_exact([[count_a, of_a - count_a], [count_b, of_b - count_b]])
    return float(result.pvalue)
