"""Metrics of more than two classes: pure functions of labels (N,) and logits (N, C), one for each class.

The class called is the one with the highest logit. For two classes macro recall would be balanced accuracy.
"""

# N cases, C classes

from __future__ import annotations

import numpy as np

from doubleread.metrics.cases import calls


def class_accuracy(labels_N: np.ndarray, logits_NC: np.ndarray) -> float:
    """Return the fraction of cases that are called right."""
    return float(np.mean(calls(logits_NC) == labels_N))


def macro_recall(labels_N: np.ndarray, logits_NC: np.ndarray) -> float:
    """Return the mean over the classes of the fraction of their cases called right; NaN where a class has no case."""
    right_N = calls(logits_NC) == labels_N
    parts = [right_N[labels_N == c] for c in range(logits_NC.shape[1])]
    return float(np.mean([part.mean() if len(part) else np.nan for part in parts]))
