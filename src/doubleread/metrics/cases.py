"""Metrics of cases: pure functions of labels and logits.

Axes: N cases. Labels are 0 and 1, the positive class is 1; a logit above 0 is read as positive, so the operating
point is probability 0.5.
"""

from __future__ import annotations

import numpy as np

from doubleread.late import late

scipy_stats = late("scipy.stats")

ECE_BINS = 10


def accuracy(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return the fraction of cases that are called right."""
    return float(np.mean((logits_N > 0) == (labels_N == 1)))


def sensitivity(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return the fraction of positive cases called positive; NaN without positive cases."""
    return _share(logits_N[labels_N == 1] > 0)


def specificity(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return the fraction of negative cases called negative; NaN without negative cases."""
    return _share(logits_N[labels_N == 0] <= 0)


def balanced_accuracy(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return the mean of sensitivity and specificity."""
    return (sensitivity(labels_N, logits_N) + specificity(labels_N, logits_N)) / 2


def auroc(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return the area under the ROC curve: P(positive case scores higher), ties counting one half.

    The Mann–Whitney form (Hanley & McNeil 1982), from mid-ranks; NaN where one class is missing.
    """
    positive = labels_N == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        return float("nan")
    ranks = scipy_stats.rankdata(logits_N)
    return float((ranks[positive].sum() - m * (m + 1) / 2) / (m * n))


def f1(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return 2·TP / (2·TP + FP + FN) of the positive class; NaN where that is 0/0."""
    called, positive = logits_N > 0, labels_N == 1
    right = 2 * float(np.sum(called & positive))
    wrong = float(np.sum(called != positive))
    return right / (right + wrong) if right + wrong else float("nan")


def brier(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return the mean squared distance of probability and label (Brier 1950)."""
    return float(np.mean((probabilities(logits_N) - labels_N) ** 2))


def ece(labels_N: np.ndarray, logits_N: np.ndarray) -> float:
    """Return the expected calibration error (Guo et al. 2017) over ten bins of equal width.

    Σ over bins of |mean probability − share of positive cases|, weighted by the cases in the bin.
    """
    chance = probabilities(logits_N)
    excess = np.bincount(calibration_bins(chance), weights=chance - labels_N, minlength=ECE_BINS)
    return float(np.abs(excess).sum() / len(labels_N))


def calibration_bins(chance: np.ndarray) -> np.ndarray:
    """Return the bin, 0 to 9, of each probability; 1 belongs to the last."""
    return np.minimum((chance * ECE_BINS).astype(np.int64), ECE_BINS - 1)


def probabilities(logits_N: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^−logit) in float64, without overflow."""
    return np.exp(-np.logaddexp(0.0, -logits_N.astype(np.float64)))


def calls(logits: np.ndarray) -> np.ndarray:
    """Return the class that each case is called, (N,), int64: by the highest of (N, C) logits, or by logits (N,) above
    0.
    """
    return logits.argmax(axis=1) if logits.ndim == 2 else (logits > 0).astype(np.int64)


def ranking(labels_N: np.ndarray, logits: np.ndarray) -> float:
    """Return the AUROC; of more than two classes, logits (N, C), the mean of each class against the rest."""
    if logits.ndim == 1:
        return auroc(labels_N, logits)
    each = [auroc((labels_N == c).astype(np.int64), logits[:, c]) for c in range(logits.shape[1])]
    return float(np.mean(each))


def _share(right: np.ndarray) -> float:
    return float(np.mean(right)) if len(right) else float("nan")
