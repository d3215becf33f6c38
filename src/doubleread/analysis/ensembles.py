"""An arm's seeds averaged as one predictor, with its metrics and their own intervals."""

# R seeds, N cases

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from doubleread.analysis.evidence import CaseSet, RunScores
from doubleread.metrics import scored_by
from doubleread.stats import Estimate, covariance_of, ensemble

LEFT_OUT = ("f1", "brier", "ece")
"""What is not said of an ensemble: the first table does not say it of single runs."""


def ensemble_of(runs: Sequence[RunScores]) -> Mapping[str, Estimate]:
    """Return the metrics of the ensemble of an arm's finished runs on test, and, with `val_` before it, on validation.

    None of a split whose cases are not the same for all runs, or that has none; nothing of fewer than two runs.
    """
    if len(runs) < 2:
        return {}
    test = _of_split([run.test for run in runs])
    val = _of_split([run.val for run in runs if run.val is not None])
    return {**test, **{f"val_{name}": found for name, found in val.items()}}


def _of_split(scored: Sequence[tuple[CaseSet, np.ndarray]]) -> dict[str, Estimate]:
    if len(scored) < 2 or not len(scored[0][1]):
        return {}
    cases = scored[0][0]
    if any(other is not cases and other.key != cases.key for other, _ in scored):
        return {}
    logits_RN = np.stack([logits for _, logits in scored])
    return {
        name: ensemble(logits_RN, partial(metric, cases.labels_N), partial(_variance, name, cases))
        for name, metric in scored_by(logits_RN[0]).items()
        if name not in LEFT_OUT
    }


def _variance(metric: str, cases: CaseSet, logits_N: np.ndarray) -> float:
    return float(covariance_of(metric, logits_N[None], cases.labels_N, cases.subjects_N)[0, 0])
