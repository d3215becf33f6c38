"""ROC and precision–recall curves of several seeds on one grid, for a band around their mean."""

# R seeds, N cases, G points of the grid

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from doubleread.stats.thresholds import cuts_of

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
    roc, pr, positive = [], [], labels_N.mean()
    for logits_N in logits_RN:
        # from all called positive to none
        sens_M, spec_M = (rate_MB[:, 0] for rate_MB in cuts_of(labels_N, logits_N).rates(np.ones((len(labels_N), 1))))
        rates, highest = np.unique(1 - spec_M, return_index=True)
        roc.append(np.interp(GRID, rates, sens_M[highest]))
        right, wrong = positive * sens_M[:-1], (1 - positive) * (1 - spec_M[:-1])
        reached = (sens_M[:-1] >= GRID[:, None] - 1e-12).sum(axis=1) - 1
        pr.append((right / (right + wrong))[reached])
    return Curves(roc_RG=np.array(roc), pr_RG=np.array(pr))
