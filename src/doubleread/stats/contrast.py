"""Estimates over seeds with an interval that counts the seeds and the test cases (Obuchowski–Rockette, Hillis)."""

# T arms, R seeds

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from doubleread.late import late

special = late("scipy.special")

TINY = 1e-12
"""Differences that are this small beside the numbers they come from are rounding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean over seeds with its uncertainty.

    `seed_var` is the seeds' part of its variance, which more seeds shrink, `case_var` the test set's, which only
    more cases shrink; `lo` and `hi` bound the 95 % interval; `p` is two-sided against 0. NaN where the seeds' part is
    unknown, which it is with one seed.
    """

    value: float
    seed_var: float
    case_var: float
    se: float
    df: float
    lo: float
    hi: float
    p: float


def contrast(theta_TR: np.ndarray, weights_T: np.ndarray, covariance_TRTR: np.ndarray | None) -> Estimate:
    """Return Σ_i w_i θ_i averaged over the seeds, with the interval of Obuchowski & Rockette (1995).

    `theta_TR` is a metric of T arms and R seeds; `covariance_TRTR`, shape (T, R, T, R), its covariance over test
    cases, None for a metric that does not depend on them. Degrees of freedom are Hillis's (2007):
    (a + b)² / (a² / (R − 1)), infinite where a = 0.
    """
    return estimate(*combined(theta_TR, weights_T, covariance_TRTR))


def combined(
    theta_TR: np.ndarray, weights_T: np.ndarray, covariance_TRTR: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ψ_j = Σ_i w_i θ_ij, (R,), and its covariance over test cases, (R, R) or None; rounding becomes 0."""
    psi_R = _rounded(weights_T @ theta_TR, float(np.abs(weights_T).max()) * np.abs(theta_TR).max())
    if covariance_TRTR is None:
        return psi_R, None
    arms, seeds = theta_TR.shape
    half = np.tensordot(weights_T, covariance_TRTR, axes=1).reshape(seeds, arms, seeds)
    cov_RR = np.einsum("ris,i->rs", half, weights_T)
    return psi_R, _rounded(cov_RR, float(np.abs(weights_T).max()) ** 2 * np.abs(covariance_TRTR).max())


def estimate(psi_R: np.ndarray, covariance_RR: np.ndarray | None) -> Estimate:
    """Return the mean of ψ over the seeds with its interval; see `contrast`."""
    seeds = len(psi_R)
    if seeds < 2:
        return estimated(float(psi_R.mean()) if seeds else math.nan, math.nan, math.nan, seeds)
    case_var = 0.0
    if covariance_RR is not None:
        between = float((covariance_RR.sum() - np.trace(covariance_RR)) / (seeds * (seeds - 1)))
        # max(0, NaN) would be 0: an unknown part is not none
        case_var = between if math.isnan(between) else max(0.0, between)
    # equal values have no variance; their mean may be off by a rounding, and so would theirs be
    same = np.ptp(psi_R) == 0
    seed_var = 0.0 if same else float(np.var(psi_R, ddof=1)) / seeds
    return estimated(float(psi_R[0] if same else psi_R.mean()), seed_var, case_var, seeds)


def _rounded(values: np.ndarray, scale: float) -> np.ndarray:
    return np.where(np.abs(values) <= TINY * scale, 0.0, values)


def estimated(value: float, seed_var: float, case_var: float, seeds: int) -> Estimate:
    """Return a value with the interval of its two parts of variance, as `contrast` does; unknown where one is NaN."""
    variance = seed_var + case_var
    if math.isnan(variance):
        lo = hi = p = se = df = math.nan
    else:
        se = math.sqrt(variance)
        df = variance**2 / (seed_var**2 / (seeds - 1)) if seed_var > 0 else math.inf
        half = t_quantile(0.975, df) * se
        lo, hi = value - half, value + half
        p = 2 * t_above(abs(value) / se, df) if se > 0 else (1.0 if value == 0 else math.nan)
    return Estimate(value=value, seed_var=seed_var, case_var=case_var, se=se, df=df, lo=lo, hi=hi, p=p)


def widened(found: Estimate, level: float) -> Estimate:
    """Return an estimate with the bounds of its 1 − `level` interval: those of looks that hold together in 95 %."""
    half = t_quantile(1 - level / 2, found.df) * found.se
    return replace(found, lo=found.value - half, hi=found.value + half)


def t_above(t: float, df: float) -> float:
    """Return P(T > t) for Student's t; for infinite `df`, the normal's. scipy.stats says the same, 50 times slower."""
    return float(special.stdtr(min(df, 1e12), -t))


def t_quantile(share: float, df: float) -> float:
    """Return the quantile of Student's t; for infinite `df`, the normal's."""
    return float(special.stdtrit(min(df, 1e12), share))


def prediction_interval(estimate: Estimate, seeds: int, cases: int, new_cases: int) -> tuple[float, float]:
    """Return the 95 % interval for the metric of one new run on `new_cases` new test cases.

    mean ± t(R − 1) · √(S² (1 + 1/R) + b (1 + n/n′)), S² the variance over seeds, b the test set's part; NaN with one
    seed.
    """
    if seeds < 2:
        return math.nan, math.nan
    spread = estimate.seed_var * seeds
    variance = spread * (1 + 1 / seeds) + estimate.case_var * (1 + cases / new_cases)
    half = t_quantile(0.975, seeds - 1) * math.sqrt(variance)
    return estimate.value - half, estimate.value + half
