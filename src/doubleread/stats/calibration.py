"""Calibration of probabilities: intercept and slope with their chance, rescaling, reliability; implied prevalence."""

# K runs, N cases

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from doubleread.late import late
from doubleread.metrics import ECE_BINS, calibration_bins, probabilities
from doubleread.stats.case_covariance import per_subject

optimize = late("scipy.optimize")
families = late("statsmodels.genmod.families")
linear_model = late("statsmodels.genmod.generalized_linear_model")

MOST_LOG_TEMPERATURE = 5.0
"""Temperatures lie between e⁻⁵ and e⁵: beyond, all probabilities are 0 and 1, or all one half."""


LEAST_SPREAD = 0.01
"""Logits that differ by less have no slope: what they differ by is rounding, and the slope would be thousands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Calibration-in-the-large (`intercept`, ideal 0) and `slope` (ideal 1); Cox 1958, Van Calster et al. 2019."""

    intercept: float
    slope: float


def calibration(labels_N: np.ndarray, logits_N: np.ndarray) -> Calibration:
    """Return intercept and slope of labels (N,) of 0 and 1 on logits (N,).

    The slope is the coefficient of the logit in a logistic regression, the intercept that of a regression with the
    logit as offset. NaN where a class is missing or, for the slope, where the logits hardly differ or separate the
    classes.
    """
    if len(np.unique(labels_N)) < 2:
        return Calibration(intercept=math.nan, slope=math.nan)
    logits = logits_N.astype(np.float64)
    return Calibration(intercept=_base(labels_N, logits), slope=_line(labels_N, logits)[1])


def calibration_covariance(
    labels_N: np.ndarray, logits_KN: np.ndarray, subjects_N: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return `intercept` and `slope` of K runs, (K,) each, with their covariance (K, K) over another draw of subjects.

    From the influence of each case on the maximum of the likelihood, inverse information times score, summed within
    subjects (the sandwich; Huber 1967).
    """
    found: dict[str, tuple[list[float], list[np.ndarray]]] = {"intercept": ([], []), "slope": ([], [])}
    for logits_N in logits_KN.astype(np.float64):
        intercept = _base(labels_N, logits_N)
        line = _line(labels_N, logits_N)
        flat = np.ones((len(labels_N), 1))
        tilted = np.column_stack([flat, logits_N])
        for name, value, influence_N in (
            ("intercept", intercept, _influence(labels_N, flat, intercept + logits_N)[0]),
            ("slope", line[1], _influence(labels_N, tilted, tilted @ np.array(line))[1]),
        ):
            found[name][0].append(value)
            found[name][1].append(influence_N)
    return {name: (np.array(values), _covariance(np.stack(rows), subjects_N)) for name, (values, rows) in found.items()}


def _covariance(influence_KN: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    sums_KP = per_subject(influence_KN, subjects_N)
    subjects = sums_KP.shape[1]
    return sums_KP @ sums_KP.T * (subjects / (subjects - 1) if subjects > 1 else math.nan)


def _influence(labels_N: np.ndarray, design_ND: np.ndarray, fitted_N: np.ndarray) -> np.ndarray:
    """Return what each case adds to the coefficients of a logistic regression, (D, N)."""
    if not np.isfinite(fitted_N).all():
        return np.full(design_ND.T.shape, np.nan)
    chance_N = probabilities(fitted_N)
    information = (design_ND * (chance_N * (1 - chance_N))[:, None]).T @ design_ND
    try:
        return np.linalg.solve(information, (design_ND * (labels_N - chance_N)[:, None]).T)
    except np.linalg.LinAlgError:
        return np.full(design_ND.T.shape, np.nan)


def _line(labels_N: np.ndarray, logits_N: np.ndarray) -> tuple[float, float]:
    """Return intercept and slope of a logistic regression on the logit; NaN where it has no maximum."""
    positive, negative = logits_N[labels_N == 1], logits_N[labels_N == 0]
    if not len(positive) or not len(negative) or np.ptp(logits_N) < LEAST_SPREAD:
        return math.nan, math.nan
    if positive.min() >= negative.max() or negative.min() >= positive.max():
        return math.nan, math.nan
    return _slope(labels_N, logits_N)


def _base(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return the intercept of a logistic regression with the logit as offset: where Σ (y − σ(a + logit)) is 0.

    By bisection, which large logits cannot lead astray as they do Newton's steps. NaN where a class is missing.
    """
    positive = float(labels_N.sum())
    if not 0 < positive < len(labels_N):
        return math.nan
    # at these ends every chance is below, or above, the share of positive labels
    wanted = math.log(positive / (len(labels_N) - positive))
    ends = (wanted - float(logits_N.max()) - 1.0, wanted - float(logits_N.min()) + 1.0)
    found: Any = optimize.brentq(lambda base: positive - float(probabilities(base + logits_N).sum()), *ends, xtol=1e-12)
    return float(found)


def _slope(labels_N: np.ndarray, logits_N: np.ndarray) -> tuple[float, float]:
    """Return intercept and slope of a logistic regression on the logit, NaN where the fit does not settle."""
    with warnings.catch_warnings():
        # extreme logits: probabilities of exactly 0 and 1, which the fit bounds
        warnings.simplefilter("ignore")
        fitted: Any = linear_model.GLM(
            labels_N, np.column_stack([np.ones(len(labels_N)), logits_N]), family=families.Binomial()
        ).fit()
    if not fitted.converged:
        return math.nan, math.nan
    return float(fitted.params[0]), float(fitted.params[1])


def platt(labels_N: np.ndarray, logits_N: np.ndarray) -> tuple[float, float]:
    """Return (slope, intercept) that map logits to calibrated ones (Platt 1999): logit′ = slope · logit + intercept.

    Identity where the classes are separated or a class is missing, which bounds no slope; where the logits hardly
    differ, slope 1 and the intercept that gives the share of positive labels.
    """
    logits = logits_N.astype(np.float64)
    intercept, slope = _line(labels_N, logits)
    if not math.isnan(slope):
        return slope, intercept
    if np.ptp(logits) < LEAST_SPREAD and 0 < labels_N.mean() < 1:
        return 1.0, _base(labels_N, logits)
    return 1.0, 0.0


def temperature(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return T > 0 whose logit / T has the lowest log loss (Guo et al. 2017)."""
    logits, signs = logits_N.astype(np.float64), np.where(labels_N == 1, 1.0, -1.0)

    def log_loss(log_t: float) -> float:
        return float(np.logaddexp(0.0, -signs * logits / math.exp(log_t)).mean())

    bounds = (-MOST_LOG_TEMPERATURE, MOST_LOG_TEMPERATURE)
    found: Any = optimize.minimize_scalar(log_loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return math.exp(float(found.x))


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """A reliability curve in ten equal bins: cases, mean probability, share of positive labels; NaN where empty."""

    cases: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray


def reliability(labels_N: np.ndarray, logits_KN: np.ndarray, runs: int = 1) -> Reliability:
    """Return the reliability curve of K runs' probabilities taken together; `cases` are those of one run.

    Where runs were scored on different cases, all stand in one row, and `runs` is how many there are.
    """
    chance = probabilities(logits_KN).ravel()
    bins, labels = calibration_bins(chance), np.tile(labels_N, len(logits_KN))
    cases = np.bincount(bins, minlength=ECE_BINS)
    with np.errstate(invalid="ignore"):
        return Reliability(
            cases=cases / (len(logits_KN) * runs),
            predicted=np.bincount(bins, weights=chance, minlength=ECE_BINS) / cases,
            observed=np.bincount(bins, weights=labels, minlength=ECE_BINS) / cases,
        )


def estimated_prevalence(sensitivity: float, specificity: float, called_positive: float) -> float:
    """Return the prevalence that makes a share of positive calls plausible (black-box shift estimation).

    (rate + specificity − 1) / (sensitivity + specificity − 1), clipped to [0, 1] (Rogan & Gladen 1978; Lipton et al.
    2018). NaN where the classifier is no better than a coin.
    """
    informed = sensitivity + specificity - 1
    if informed <= 0:
        return float("nan")
    return float(np.clip((called_positive + specificity - 1) / informed, 0.0, 1.0))
