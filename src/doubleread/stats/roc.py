"""ROC and precision–recall curves of several seeds on one grid, for a band around their mean."""

# R seeds, N cases, G points of the grid

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

GRID = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """Sensitivity at each false-positive rate of `GRID`, (R, G), and precision at each sensitivity, (R, G)."""

    roc_RG: np.ndarray
    pr_RG: np.ndarray


def curves_of(labels_N: np.ndarray, logits_RN: np.ndarray) -> Curves:
    """Return the curves of R runs on cases with labels (N,) of 0 and 1, both classes present.

    A ROC curve goes straight between its points, so that ties count one half, as in the AUROC; precision is that at the
    largest threshold that reaches a sensitivity, because between two points it is no straight line.
    """
    roc, pr = [], []
    for logits_N in logits_RN:
        false_positive, sensitivity, _ = roc_curve(labels_N, logits_N, drop_intermediate=False)
        rates, last = np.unique(false_positive[::-1], return_index=True)
        roc.append(np.interp(GRID, rates, sensitivity[::-1][last]))
        precision, recall, _ = precision_recall_curve(labels_N, logits_N)
        # from the highest threshold down, without the point (0, 1) that stands for none
        precision, recall = precision[-2::-1], recall[-2::-1]
        pr.append(precision[np.searchsorted(recall, GRID - 1e-12).clip(max=len(recall) - 1)])
    return Curves(roc_RG=np.array(roc), pr_RG=np.array(pr))
