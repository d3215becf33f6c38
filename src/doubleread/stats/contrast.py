"""Estimates over seeds with an interval that counts the seeds and the test cases (Obuchowski–Rockette, Hillis)."""

# T arms, R seeds

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student


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
    psi_R = weights_T @ theta_TR
    seeds = len(psi_R)
    case_var = 0.0
    if covariance_TRTR is not None:
        cov_RR = np.einsum("i,irjs,j->rs", weights_T, covariance_TRTR, weights_T)
        between = (cov_RR.sum() - np.trace(cov_RR)) / (seeds * (seeds - 1)) if seeds > 1 else math.nan
        case_var = between if math.isnan(between) else max(0.0, float(between))
    seed_var = float(np.var(psi_R, ddof=1)) / seeds if seeds > 1 else math.nan
    return _estimate(float(psi_R.mean()), seed_var, case_var, seeds)


def _estimate(value: float, seed_var: float, case_var: float, seeds: int) -> Estimate:
    variance = seed_var + case_var
    if math.isnan(variance):
        lo = hi = p = se = df = math.nan
    else:
        se = math.sqrt(variance)
        df = variance**2 / (seed_var**2 / (seeds - 1)) if seed_var > 0 else math.inf
        half = float(student.ppf(0.975, df)) * se
        lo, hi = value - half, value + half
        p = float(2 * student.sf(abs(value) / se, df)) if se > 0 else (1.0 if value == 0 else math.nan)
    return Estimate(value=value, seed_var=seed_var, case_var=case_var, se=se, df=df, lo=lo, hi=hi, p=p)


def prediction_interval(estimate: Estimate, seeds: int, cases: int, new_cases: int) -> tuple[float, float]:
    """Return the 95 % interval for the metric of one new run on `new_cases` new test cases.

    mean ± t(R − 1) · √(S² (1 + 1/R) + b (1 + n/n′)), S² the variance over seeds, b the test set's part; NaN with one
    seed.
    """
    if seeds < 2:
        return math.nan, math.nan
    spread = estimate.seed_var * seeds
    variance = spread * (1 + 1 / seeds) + estimate.case_var * (1 + cases / new_cases)
    half = float(student.ppf(0.975, seeds - 1)) * math.sqrt(variance)
    return estimate.value - half, estimate.value + half
