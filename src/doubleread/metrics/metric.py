"""What a metric is: its name, how it reads, which way is better, and its formula. One of cases, one of curves."""

# N cases, B draws, E epochs

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Formula = Callable[[np.ndarray, np.ndarray], float]
"""From labels (N,) and logits, (N,) of two classes and (N, C) of more, to a metric."""
Weighted = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From labels (N,), logits of one run (N,) and weights of cases (B, N) to the metric of each draw (B,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseMetric:
    """A metric of cases: a fraction, from 0 to 1 or from −1 to 1, and NaN where a class that it needs is missing.

    `label` reads on after “test” and “validation”; with `percent` its values are shown in percent. `formula` is that of
    all cases weighing the same; where there is none it is `weighted` with equal weights. `weighted` is what a bootstrap
    and a jackknife over subjects need; a metric of more than two classes has none.
    """

    name: str
    label: str
    formula: Formula | None = None
    weighted: Weighted | None = None
    better: Literal[1, -1] = 1
    percent: bool = False

    def __call__(self, labels_N: np.ndarray, logits: np.ndarray) -> float:
        """Return the metric of labels (N,) and logits, (N,) of two classes and (N, C) of more."""
        if self.formula is not None:
            return self.formula(labels_N, logits)
        assert self.weighted is not None, "a metric has a formula, a weighted one, or both"
        return float(self.weighted(labels_N, logits, np.ones((1, len(labels_N))))[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveMetric:
    """A metric of a curve: `formula` takes its values (E,) and the sign of improvement, 1 or −1.

    `label` reads with the curve's name in it; `definition` is one line for the report. `unit` is that of a difference:
    the curve's own, epochs, or a share of 1. `better` is 1 or −1 where higher or lower is better, 0 where neither is.
    """

    name: str
    label: str
    definition: str
    formula: Callable[[np.ndarray, int], float]
    unit: Literal["own", "epochs", "share"] = "own"
    better: Literal[1, 0, -1] = 0

    def __call__(self, values_E: np.ndarray, improves: int) -> float:
        """Return the metric of one value an epoch."""
        return self.formula(values_E, improves)
