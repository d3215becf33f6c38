"""Metrics of more than two classes: pure functions of labels (N,) and logits (N, C), one for each class.

The class called is the one with the highest logit. For two classes macro recall would be balanced accuracy.
"""

# N cases, C classes

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from doubleread.metrics.cases import CASE_METRICS, calls, ranking


def class_accuracy(labels_N: np.ndarray, logits_NC: np.ndarray) -> float:
    """Return the fraction of cases that are called right."""
    return float(np.mean(calls(logits_NC) == labels_N))


def macro_recall(labels_N: np.ndarray, logits_NC: np.ndarray) -> float:
    """Return the mean over the classes of the fraction of their cases called right; NaN where a class has no case."""
    right_N = calls(logits_NC) == labels_N
    parts = [right_N[labels_N == c] for c in range(logits_NC.shape[1])]
    return float(np.mean([part.mean() if len(part) else np.nan for part in parts]))


CLASS_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": class_accuracy,
    "macro_auroc": ranking,
    "macro_recall": macro_recall,
}
"""Metrics of the test cases of more than two classes, by name; `val_` before it as in `CASE_METRICS`.

`macro_auroc` is the mean over the classes of the AUROC of each against the rest; NaN where a class has no case.
"""


def scored_by(logits: np.ndarray) -> Mapping[str, Callable[[np.ndarray, np.ndarray], float]]:
    """Return the metrics of one run's logits: (N,) of two classes, (N, C) of more."""
    return CLASS_METRICS if logits.ndim > 1 else CASE_METRICS
