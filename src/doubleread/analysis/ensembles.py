"""An arm's seeds averaged as one predictor, with its metrics and their own intervals."""

# R seeds, N cases

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from doubleread.analysis.evidence import CaseSet, RunScores
from doubleread.metrics import scored_by
from doubleread.stats import Estimate, covariance_of, ensemble

LEFT_OUT = ("f1", "brier", "ece")
"""What is not said of an ensemble: the first table does not say it of single runs."""


AT_A_CUT = frozenset({"accuracy", "balanced_accuracy", "sensitivity", "specificity", "f1"})
"""Metrics that depend on where logits are cut in two."""


def ensemble_of(runs: Sequence[RunScores], cut: float = 0.0) -> Mapping[str, Estimate]:
    """Return the metrics of the ensemble of an arm's finished runs on test, and, with `val_` before it, on validation.

    Cases are called positive where the ensemble's logit is above `cut`. None of a split whose cases are not the same
    for all runs, or that has none; nothing of fewer than two runs.
    """
    if len(runs) < 2:
        return {}
    test = _of_split([run.test for run in runs], cut)
    val = _of_split([run.val for run in runs if run.val is not None], cut)
    return {**test, **{f"val_{name}": found for name, found in val.items()}}


def _of_split(scored: Sequence[tuple[CaseSet, np.ndarray]], cut: float) -> dict[str, Estimate]:
    if len(scored) < 2 or not len(scored[0][1]):
        return {}
    cases = scored[0][0]
    if any(other is not cases and other.key != cases.key for other, _ in scored):
        return {}
    logits_RN = np.stack([logits for _, logits in scored])
    found = {}
    for name, metric in scored_by(logits_RN[0]).items():
        if name not in LEFT_OUT:
            less = cut if name in AT_A_CUT else 0.0
            value, variance = partial(_value, metric, cases, less), partial(_variance, name, cases, less)
            found[name] = ensemble(logits_RN, value, variance)
    return found


def _value(
    metric: Callable[[np.ndarray, np.ndarray], float], cases: CaseSet, less: float, logits_N: np.ndarray
) -> float:
    return metric(cases.labels_N, logits_N - less)


def _variance(metric: str, cases: CaseSet, less: float, logits_N: np.ndarray) -> float:
    return float(covariance_of(metric, logits_N[None] - less, cases.labels_N, cases.subjects_N)[0, 0])
