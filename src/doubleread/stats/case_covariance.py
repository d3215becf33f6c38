"""How much the metrics of several runs on the same test cases vary, and vary together, with the choice of subjects.

Every function takes the scores of K runs on N cases and returns the (K, K) covariance of their metric under another
draw of subjects with the same class counts. A logit above 0 calls a case positive.
"""

# K runs (arms × seeds), N cases, P subjects

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from doubleread.late import late
from doubleread.metrics import CASE_METRICS, Weighted, probabilities
from doubleread.metrics.weighted import ece
from doubleread.stats.bootstrap import draw_subjects

scipy_stats = late("scipy.stats")

ECE_DRAWS = 1000
JACKKNIFE_BLOCK = 256
Covariance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From logits (K, N), labels (N,) of 0 and 1, and subjects (N,) to a covariance (K, K)."""


def accuracy_covariance(logits_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the covariance of accuracies.

    With e a case's correctness less its mean within the class, and E_s the sum of e over the cases of subject s:
    Σ_s E_s E_sᵀ / N² · P / (P − 1). Centring within the classes keeps the class counts fixed.
    """
    return by_subject(_centred_correct(logits_KN, labels_N), subjects_N)


def called_positive_covariance(logits_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the covariance of the shares of cases called positive: as accuracy's, of calls instead of right ones."""
    return by_subject(_centred(logits_KN > 0, labels_N), subjects_N)


def sensitivity_covariance(logits_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the covariance of sensitivities: as accuracy's, over the positive cases and their subjects alone."""
    mine = labels_N == 1
    return accuracy_covariance(logits_KN[:, mine], labels_N[mine], subjects_N[mine])


def specificity_covariance(logits_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the covariance of specificities: as accuracy's, over the negative cases and their subjects alone."""
    mine = labels_N == 0
    return accuracy_covariance(logits_KN[:, mine], labels_N[mine], subjects_N[mine])


def balanced_accuracy_covariance(logits_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the covariance of balanced accuracies: a quarter of the sum of the two classes' parts.

    Subjects with cases of both classes make the two parts vary together, and that is added.
    """
    alone = sensitivity_covariance(logits_KN, labels_N, subjects_N) + specificity_covariance(
        logits_KN, labels_N, subjects_N
    )
    shares_KN = _centred_correct(logits_KN, labels_N) / np.where(
        labels_N == 1, (labels_N == 1).sum(), (labels_N == 0).sum()
    )
    cross = across(np.where(labels_N == 1, shares_KN, 0.0), np.where(labels_N == 0, shares_KN, 0.0), subjects_N)
    return (alone + cross + cross.T) / 4


def auroc_covariance(logits_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the covariance of AUROCs (DeLong et al. 1988), by ranks (Sun & Xu 2014).

    With several images of a subject, the components are summed within subjects (Obuchowski 1997); with one image
    each, that is DeLong's own formula. NaN where a class has fewer than two subjects.
    """
    positive = labels_N == 1
    m, n = int(positive.sum()), int((~positive).sum())
    runs = len(logits_KN)
    if m == 0 or n == 0:
        return np.full((runs, runs), np.nan)
    ranks_KN = scipy_stats.rankdata(logits_KN, axis=1)
    v10 = (ranks_KN[:, positive] - scipy_stats.rankdata(logits_KN[:, positive], axis=1)) / n
    v01 = 1 - (ranks_KN[:, ~positive] - scipy_stats.rankdata(logits_KN[:, ~positive], axis=1)) / m
    theta_K1 = v10.mean(axis=1, keepdims=True)
    names, subject_N = np.unique(subjects_N, return_inverse=True)
    sums10 = _sums(v10 - theta_K1, subject_N[positive], len(names))
    sums01 = _sums(v01 - theta_K1, subject_N[~positive], len(names))
    subjects = [len(np.unique(subject_N[positive])), len(np.unique(subject_N[~positive])), len(names)]
    if min(subjects) < 2:
        return np.full((runs, runs), np.nan)
    s10 = sums10 @ sums10.T * subjects[0] / (subjects[0] - 1) / m**2
    s01 = sums01 @ sums01.T * subjects[1] / (subjects[1] - 1) / n**2
    s11 = sums10 @ sums01.T * subjects[2] / (subjects[2] - 1) / (m * n)
    return s10 + s01 + s11 + s11.T


def f1_covariance(logits_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the covariance of F1 scores, by the jackknife over subjects (Efron & Stein 1981), within classes."""
    called, positive = logits_KN > 0, labels_N == 1
    right = 2.0 * (called & positive)
    wrong = (called != positive).astype(np.float64)
    right_KP, wrong_KP = per_subject(right, subjects_N), per_subject(wrong, subjects_N)
    rest = right.sum(axis=1, keepdims=True) - right_KP
    with np.errstate(invalid="ignore"):
        return _jackknife(rest / (rest + wrong.sum(axis=1, keepdims=True) - wrong_KP), labels_N, subjects_N)


def brier_covariance(logits_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the covariance of Brier scores, by the jackknife over subjects (Efron & Stein 1981), within classes."""
    squares = (probabilities(logits_KN) - labels_N) ** 2
    squares_KP = per_subject(squares, subjects_N)
    cases_P = per_subject(np.ones((1, len(labels_N))), subjects_N)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _jackknife(
            (squares.sum(axis=1, keepdims=True) - squares_KP) / (len(labels_N) - cases_P), labels_N, subjects_N
        )


def ece_covariance(logits_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the covariance of expected calibration errors, by the bootstrap over subjects within classes.

    Binning breaks the jackknife. 1,000 draws from a generator of its own, the same for every call.
    """
    weights_BN = draw_subjects(labels_N, subjects_N, np.random.Generator(np.random.PCG64(0)), ECE_DRAWS)
    drawn_KB = np.stack([ece(labels_N, logits, weights_BN) for logits in logits_KN])
    return np.atleast_2d(np.cov(drawn_KB))


def difference_covariance(
    a_KN: np.ndarray,
    labels_N: np.ndarray,
    subjects_N: np.ndarray,
    b_KM: np.ndarray,
    labels_M: np.ndarray,
    subjects_M: np.ndarray,
) -> np.ndarray:
    """Return the covariance of accuracy on N cases minus accuracy on M other cases, K runs scored on both.

    Of two classes or, with a last axis of logits, of more.

    Subjects with cases in both make the two parts vary together; where there are none the parts just add up.
    """
    names = np.concatenate([subjects_N, subjects_M])
    parts = np.zeros((2, len(a_KN), len(names)))
    parts[0, :, : len(labels_N)] = _centred_correct(a_KN, labels_N) / len(labels_N)
    parts[1, :, len(labels_N) :] = -_centred_correct(b_KM, labels_M) / len(labels_M)
    cross = across(parts[0], parts[1], names)
    alone = accuracy_covariance(a_KN, labels_N, subjects_N) + accuracy_covariance(b_KM, labels_M, subjects_M)
    return alone + cross + cross.T


def jackknifed(weighted: Weighted) -> Covariance:
    """Return the covariance of any metric by the jackknife over subjects (Efron & Stein 1981), within classes."""

    def covariance(logits_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
        names, subject_N = np.unique(subjects_N, return_inverse=True)
        without_KP = np.empty((len(logits_KN), len(names)))
        # some subjects at a time: subjects × cases are too many numbers for thousands of each
        for start in range(0, len(names), JACKKNIFE_BLOCK):
            left_out = np.arange(start, min(start + JACKKNIFE_BLOCK, len(names)))
            weights_BN = (subject_N != left_out[:, None]).astype(np.float64)
            for k, logits_N in enumerate(logits_KN):
                without_KP[k, left_out] = weighted(labels_N, logits_N, weights_BN)
        return _jackknife(without_KP, labels_N, subjects_N)

    return covariance


_FORMULAS: dict[str, Covariance] = {
    "accuracy": accuracy_covariance,
    "auroc": auroc_covariance,
    "sensitivity": sensitivity_covariance,
    "specificity": specificity_covariance,
    "balanced_accuracy": balanced_accuracy_covariance,
    "f1": f1_covariance,
    "brier": brier_covariance,
    "ece": ece_covariance,
}
CASE_COVARIANCES: dict[str, Covariance] = {
    name: _FORMULAS[name] if name in _FORMULAS or metric.weighted is None else jackknifed(metric.weighted)
    for name, metric in CASE_METRICS.items()
}
"""The covariance of each case metric, by the metric's name: a formula of its own, else the jackknife."""


def across(first_KN: np.ndarray, second_KN: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return Σ_s F_s S_sᵀ · P / (P − 1), F_s and S_s the sums of two influences over the cases of subject s.

    0 where no subject has a share in both; NaN with fewer than two subjects.
    """
    first_KP, second_KP = per_subject(first_KN, subjects_N), per_subject(second_KN, subjects_N)
    p = first_KP.shape[1]
    if p < 2:
        return np.full((len(first_KN), len(first_KN)), np.nan)
    return first_KP @ second_KP.T * p / (p - 1)


def _centred_correct(logits_KN: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    called_KN = logits_KN.argmax(axis=2) if logits_KN.ndim == 3 else logits_KN > 0
    return _centred(called_KN == labels_N, labels_N)


def _centred(values_KN: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Return values less their mean within each class."""
    centred_KN = values_KN.astype(np.float64)
    for label in np.unique(labels_N):
        mine = labels_N == label
        centred_KN[:, mine] -= centred_KN[:, mine].mean(axis=1, keepdims=True)
    return centred_KN


def by_subject(e_KN: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return Σ_s E_s E_sᵀ / N² · P / (P − 1); NaN with fewer than two subjects."""
    sums_KP = per_subject(e_KN, subjects_N)
    n, p = e_KN.shape[1], sums_KP.shape[1]
    if p < 2:
        return np.full((len(e_KN), len(e_KN)), np.nan)
    return sums_KP @ sums_KP.T / n**2 * p / (p - 1)


def _jackknife(without_KP: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return Σ_h (P_h − 1)/P_h Σ_s d_s d_sᵀ, d_s the metric without subject s less the mean of those in stratum h.

    Strata are the subjects with negative cases only, with positive only, with both: so the class counts stay fixed.
    """
    classes_2P = per_subject(np.stack([labels_N == 0, labels_N == 1]).astype(np.float64), subjects_N) > 0
    total = np.zeros((len(without_KP), len(without_KP)))
    if without_KP.shape[1] < 2:
        return np.full_like(total, np.nan)
    for stratum in np.unique(classes_2P, axis=1).T:
        mine = without_KP[:, (stratum == classes_2P.T).all(axis=1)]
        d_KP = mine - mine.mean(axis=1, keepdims=True)
        total += d_KP @ d_KP.T * (mine.shape[1] - 1) / mine.shape[1]
    return total


def per_subject(values_KN: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the sums of values over each subject's cases, (K, P), subjects in the order of their names."""
    names, subject_N = np.unique(subjects_N, return_inverse=True)
    return _sums(values_KN, subject_N, len(names))


def _sums(values_KN: np.ndarray, subject_N: np.ndarray, subjects: int) -> np.ndarray:
    if subjects == len(subject_N):
        return values_KN[:, np.argsort(subject_N)].astype(np.float64)
    sums_PK = np.zeros((subjects, len(values_KN)))
    np.add.at(sums_PK, subject_N, values_KN.T)
    return sums_PK.T
