"""The seeds of an arm as one predictor: their mean probability, and an interval of its own."""

# R seeds, N cases, C classes

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from doubleread.late import late
from doubleread.stats.contrast import Estimate, estimated

special = late("scipy.special")

MOST_GROUPS = 30
"""Groups of seeds that the jackknife leaves out in turn: more would take the square of the time, and tell no more."""


def ensemble_logits(logits_RN: np.ndarray) -> np.ndarray:
    """Return the logits, (N,), of the mean probability of R runs; of (R, N, C) logits those of each class, (N, C).

    The mean of probabilities and not of logits, as in Lakshminarayanan et al. (2017): no run outvotes the others by
    being sure of itself.
    """
    return _joined(_log_chances(logits_RN), len(logits_RN))


def _log_chances(logits_RN: np.ndarray) -> np.ndarray:
    """Return the log of the probability of each class, (R, N, C); of two, negative class first."""
    if logits_RN.ndim == 3:
        return special.log_softmax(logits_RN, axis=2)
    logits_RN = logits_RN.astype(np.float64)
    return -np.logaddexp(0, np.stack([logits_RN, -logits_RN], axis=2))


def _joined(sums_GNC: np.ndarray, runs: int) -> np.ndarray:
    """Return the logits of an ensemble from the log sums of its runs' probabilities, by groups of them."""
    mean_NC = np.logaddexp.reduce(sums_GNC, axis=0) - np.log(runs)
    return mean_NC[:, 1] - mean_NC[:, 0] if mean_NC.shape[1] == 2 else mean_NC


def ensemble(
    logits_RN: np.ndarray,
    value_of: Callable[[np.ndarray], float],
    case_variance_of: Callable[[np.ndarray], float],
) -> Estimate:
    """Return a metric of the ensemble of R runs, (R, N) or (R, N, C) logits, with its 95 % interval.

    `value_of` is the metric of one predictor's logits, `case_variance_of` its variance over another draw of subjects.
    The seeds' part is the jackknife's, Σ_g (θ₍₋g₎ − their mean)² · (G − 1)/G, θ₍₋g₎ the ensemble without group g of G
    groups of seeds (Efron & Stein 1981; Kott 2001): how much an ensemble of as many other seeds would differ. Up to
    `MOST_GROUPS` seeds are a group each, more are dealt to so many. Degrees of freedom as for a mean over G. NaN bounds
    where there are fewer than two runs.
    """
    runs = len(logits_RN)
    whole = ensemble_logits(logits_RN)
    value = value_of(whole)
    if runs < 2:
        return estimated(value, np.nan, np.nan, runs)
    groups = min(runs, MOST_GROUPS)
    group_R, logs_RNC = np.arange(runs) % groups, _log_chances(logits_RN)
    # each run is summed once, then the groups' sums without one of them
    sums_GNC = np.stack([np.logaddexp.reduce(logs_RNC[group_R == g], axis=0) for g in range(groups)])
    left = [int((group_R != g).sum()) for g in range(groups)]
    without = np.array([value_of(_joined(np.delete(sums_GNC, g, axis=0), left[g])) for g in range(groups)])
    # exactly none where every seed could be left out, not the rounding of a mean
    seed_var = 0.0 if np.ptp(without) == 0 else float(((without - without.mean()) ** 2).sum()) * (groups - 1) / groups
    return estimated(value, seed_var, case_variance_of(whole), groups)
