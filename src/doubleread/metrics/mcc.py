"""Matthews correlation: how calls go with labels, where a rare class would flatter accuracy."""

# N cases, B draws

from __future__ import annotations

import numpy as np

from doubleread.metrics.metric import CaseMetric


def weighted_mcc(labels_N: np.ndarray, logits_N: np.ndarray, weights_BN: np.ndarray) -> np.ndarray:
    """Return the correlation of calls and labels (Matthews 1975) of each draw (B,), from −1 to 1.

    0 where every case is called the same, as scikit-learn has it; NaN where a class has no case.
    """
    called, positive = logits_N > 0, labels_N == 1
    right, called_B, positive_B = (weights_BN @ part for part in (called & positive, called, positive))
    total_B = weights_BN.sum(axis=1)
    spread_B = called_B * (total_B - called_B) * positive_B * (total_B - positive_B)
    missing_B = (positive_B == 0) | (positive_B == total_B)
    with np.errstate(invalid="ignore", divide="ignore"):
        found_B = (right * total_B - called_B * positive_B) / np.sqrt(spread_B)
    return np.where(missing_B, np.nan, np.where(spread_B == 0, 0.0, found_B))


MCC = CaseMetric(name="mcc", label="Matthews correlation", weighted=weighted_mcc)
