"""Metrics of more than two classes, each with its covariance over subjects: accuracy, macro recall, macro AUROC.

Scores have shape (K, N, C), one logit or probability for each class; the class called is the one with the highest.
For two classes the numbers are those of the binary functions, macro recall being balanced accuracy.
"""

# K runs, N cases, C classes, P subjects

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from doubleread.late import late
from doubleread.stats.case_covariance import CASE_COVARIANCES, by_subject, per_subject

scipy_stats = late("scipy.stats")

Scored = tuple[np.ndarray, np.ndarray]
"""A metric of every run, (K,), and its covariance over another draw of subjects, (K, K)."""


def accuracy(scores_KNC: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> Scored:
    """Return accuracies and their covariance, correctness being centred within the classes as for two of them."""
    right_KN = (scores_KNC.argmax(axis=2) == labels_N).astype(np.float64)
    return right_KN.mean(axis=1), by_subject(_centred(right_KN, labels_N), subjects_N)


def macro_recall(scores_KNC: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> Scored:
    """Return the means over the classes of recall, and their covariance: those of the classes' parts, summed.

    Subjects with cases of several classes make these vary together. NaN where a class has no case.
    """
    right_KN = (scores_KNC.argmax(axis=2) == labels_N).astype(np.float64)
    classes = scores_KNC.shape[2]
    recall_KC = np.stack([_mean(right_KN[:, labels_N == c]) for c in range(classes)], axis=1)
    counts_C = np.bincount(labels_N, minlength=classes)
    if (counts_C == 0).any():
        return recall_KC.mean(axis=1), np.full((len(right_KN), len(right_KN)), np.nan)
    influence_KN = _centred(right_KN, labels_N) / counts_C[labels_N] / classes
    return recall_KC.mean(axis=1), _stratified(influence_KN, labels_N, subjects_N)


def macro_auroc(scores_KNC: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> Scored:
    """Return the means over the classes of one-versus-rest AUROC, and their covariance.

    Every case has an influence on each class's AUROC (DeLong's components); their sums over the classes are summed
    within subjects, and the parts of the true classes corrected as DeLong's two are. NaN where a class has no case.
    """
    runs, cases, classes = scores_KNC.shape
    theta_KC = np.full((runs, classes), np.nan)
    influence_KN = np.zeros((runs, cases))
    for c in range(classes):
        positive = labels_N == c
        m, n = int(positive.sum()), int((~positive).sum())
        if m == 0 or n == 0:
            return np.full(runs, np.nan), np.full((runs, runs), np.nan)
        score_KN = scores_KNC[:, :, c]
        ranks_KN = scipy_stats.rankdata(score_KN, axis=1)
        above = (ranks_KN[:, positive] - scipy_stats.rankdata(score_KN[:, positive], axis=1)) / n
        below = 1 - (ranks_KN[:, ~positive] - scipy_stats.rankdata(score_KN[:, ~positive], axis=1)) / m
        theta_KC[:, c] = above.mean(axis=1)
        influence_KN[:, positive] += (above - theta_KC[:, [c]]) / m
        influence_KN[:, ~positive] += (below - theta_KC[:, [c]]) / n
    return theta_KC.mean(axis=1), _stratified(_centred(influence_KN, labels_N) / classes, labels_N, subjects_N)


def _stratified(influence_KN: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return Σ_gh I_g I_hᵀ · P_gh / (P_gh − 1): I_g the subject sums of class g, P_gh the subjects of g, or of all."""
    _, everyone = np.unique(subjects_N, return_inverse=True)
    parts, subjects = [], []
    for c in np.unique(labels_N):
        mine = labels_N == c
        parts.append(per_subject(np.where(mine, influence_KN, 0.0), everyone))
        subjects.append(len(np.unique(everyone[mine])))
    whole = parts[0].shape[1]
    if min(subjects) < 2:
        return np.full((len(influence_KN), len(influence_KN)), np.nan)
    total = np.zeros((len(influence_KN), len(influence_KN)))
    for g, left in enumerate(parts):
        for h, right in enumerate(parts):
            counted = subjects[g] if g == h else whole
            total += left @ right.T * counted / (counted - 1)
    return total


def _centred(values_KN: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    result = values_KN.copy()
    for c in np.unique(labels_N):
        mine = labels_N == c
        result[:, mine] -= result[:, mine].mean(axis=1, keepdims=True)
    return result


def _mean(values_KN: np.ndarray) -> np.ndarray:
    return values_KN.mean(axis=1) if values_KN.shape[1] else np.full(len(values_KN), np.nan)


def covariance_of(metric: str, logits: np.ndarray, labels_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the covariance (K, K) of a metric of K runs: of two classes, (K, N) logits, or of more, (K, N, C)."""
    if logits.ndim == 3:
        return MULTICLASS[metric](logits, labels_N, subjects_N)[1]
    return CASE_COVARIANCES[metric](logits, labels_N, subjects_N)


MULTICLASS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Scored]] = {
    "accuracy": accuracy,
    "macro_recall": macro_recall,
    "macro_auroc": macro_auroc,
}
"""The metrics of more than two classes, by name."""
