"""The case metrics with weights on the cases, many weightings at once: what a bootstrap needs."""

# N cases, B draws, G groups of equal logits

from __future__ import annotations

import numpy as np

from doubleread.metrics.cases import ECE_BINS, calibration_bins, probabilities


def accuracy(labels_N: np.ndarray, logits_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:
    """Return the weighted accuracy of each draw."""
    return _share((logits_N > 0) == (labels_N == 1), np.ones(len(labels_N), dtype=bool), weights_BN)


def sensitivity(labels_N: np.ndarray, logits_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:
    """Return the weighted sensitivity of each draw."""
    return _share(logits_N > 0, labels_N == 1, weights_BN)


def specificity(labels_N: np.ndarray, logits_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:
    """Return the weighted specificity of each draw."""
    return _share(logits_N <= 0, labels_N == 0, weights_BN)


def balanced_accuracy(labels_N: np.ndarray, logits_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:
    """Return the weighted balanced accuracy of each draw."""
    return (sensitivity(labels_N, logits_N, weights_BN) + specificity(labels_N, logits_N, weights_BN)) / 2


def f1(labels_N: np.ndarray, logits_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:
    """Return the weighted F1 of each draw."""
    called, positive = logits_N > 0, labels_N == 1
    right, wrong = 2 * weights_BN @ (called & positive), weights_BN @ (called != positive)
    with np.errstate(invalid="ignore"):
        return right / (right + wrong)


def brier(labels_N: np.ndarray, logits_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:
    """Return the weighted Brier score of each draw."""
    return weights_BN @ ((probabilities(logits_N) - labels_N) ** 2) / weights_BN.sum(axis=1)


def ece(labels_N: np.ndarray, logits_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:
    """Return the weighted expected calibration error of each draw."""
    chance = probabilities(logits_N)
    bins_NK = np.eye(ECE_BINS)[calibration_bins(chance)] * (chance - labels_N)[:, None]
    return np.abs(weights_BN @ bins_NK).sum(axis=1) / weights_BN.sum(axis=1)


def auroc(labels_N: np.ndarray, logits_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:
    """Return the weighted AUROC of each draw; a pair of cases weighs the product of their weights, ties one half."""
    _, group_N = np.unique(logits_N, return_inverse=True)
    order = np.argsort(group_N, kind="stable")
    starts = np.flatnonzero(np.diff(group_N[order], prepend=-1))
    positive = (labels_N == 1)[order]
    ordered_BN = weights_BN[:, order]
    negative_BG = np.add.reduceat(ordered_BN * ~positive, starts, axis=1)
    positive_BG = np.add.reduceat(ordered_BN * positive, starts, axis=1)
    below_BG = np.cumsum(negative_BG, axis=1) - negative_BG / 2
    with np.errstate(invalid="ignore"):
        return (positive_BG * below_BG).sum(axis=1) / (positive_BG.sum(axis=1) * negative_BG.sum(axis=1))


def _share(right_N: np.ndarray, among_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return weights_BN @ (right_N & among_N) / (weights_BN @ among_N)
