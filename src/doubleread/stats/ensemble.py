"""The seeds of an arm as one predictor: their mean probability, and an interval of its own."""

# R seeds, N cases, C classes

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import log_softmax

from doubleread.stats.contrast import Estimate, estimated


def ensemble_logits(logits_RN: np.ndarray) -> np.ndarray:
    """Return the logits, (N,), of the mean probability of R runs; of (R, N, C) logits those of each class, (N, C).

    The mean of probabilities and not of logits, as in Lakshminarayanan et al. (2017): no run outvotes the others by
    being sure of itself.
    """
    if logits_RN.ndim == 3:
        return np.logaddexp.reduce(log_softmax(logits_RN, axis=2), axis=0) - np.log(len(logits_RN))
    logits_RN = logits_RN.astype(np.float64)
    positive, negative = -np.logaddexp(0, -logits_RN), -np.logaddexp(0, logits_RN)
    return np.logaddexp.reduce(positive, axis=0) - np.logaddexp.reduce(negative, axis=0)


def ensemble(
    logits_RN: np.ndarray,
    value_of: Callable[[np.ndarray], float],
    case_variance_of: Callable[[np.ndarray], float],
) -> Estimate:
    """Return a metric of the ensemble of R runs, (R, N) or (R, N, C) logits, with its 95 % interval.

    `value_of` is the metric of one predictor's logits, `case_variance_of` its variance over another draw of subjects.
    The seeds' part is the jackknife's, Σ_j (θ₍₋ⱼ₎ − their mean)² · (R − 1)/R, θ₍₋ⱼ₎ the ensemble without seed j (Efron
    & Stein 1981): how much an ensemble of as many other seeds would differ. Degrees of freedom as for a mean over
    seeds. NaN bounds where there are fewer than two runs.
    """
    runs = len(logits_RN)
    whole = ensemble_logits(logits_RN)
    value = value_of(whole)
    if runs < 2:
        return estimated(value, np.nan, np.nan, runs)
    without = np.array([value_of(ensemble_logits(np.delete(logits_RN, j, axis=0))) for j in range(runs)])
    # exactly none where every seed could be left out, not the rounding of a mean
    seed_var = 0.0 if np.ptp(without) == 0 else float(((without - without.mean()) ** 2).sum()) * (runs - 1) / runs
    return estimated(value, seed_var, case_variance_of(whole), runs)
