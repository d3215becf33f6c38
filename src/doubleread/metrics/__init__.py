"""What is reported of a run: metrics of its cases, of its curves and of the run itself; their names and directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from doubleread.metrics.cases import (
    ECE_BINS,
    accuracy,
    auroc,
    balanced_accuracy,
    brier,
    calibration_bins,
    calls,
    ece,
    f1,
    probabilities,
    ranking,
    sensitivity,
    specificity,
)
from doubleread.metrics.curves import CURVES
from doubleread.metrics.metric import CaseMetric, CurveMetric, Weighted
from doubleread.metrics.registered import CASE_METRICS, CLASS_METRICS, CURVE_METRICS

__all__ = [
    "CASE_METRICS",
    "CLASS_METRICS",
    "CURVES",
    "CURVE_METRICS",
    "ECE_BINS",
    "GAP_METRICS",
    "RUN_METRICS",
    "SCORES",
    "CaseMetric",
    "CurveMetric",
    "Weighted",
    "accuracy",
    "auroc",
    "balanced_accuracy",
    "brier",
    "calibration_bins",
    "calls",
    "case_metric",
    "curve_metric",
    "curve_metrics",
    "direction",
    "ece",
    "f1",
    "is_share",
    "metric_names",
    "needs_test",
    "probabilities",
    "ranking",
    "scored_by",
    "sensitivity",
    "specificity",
]

RUN_METRICS: dict[str, str] = {
    "train_loss": "training loss of the last epoch, the mean over its batches as trained, with class weights if any",
    "train_accuracy": "training accuracy of the last epoch, counted over its batches as they were trained",
    "val_loss": "validation loss after the last epoch, every case weighing the same",
    "lowest_train_loss": "the lowest training loss of any epoch",
    "seconds": "wall-clock seconds of the training loop, validation after each epoch included",
}
"""Metrics of a run that do not come from its stored logits, by name, with their definition."""

GAP_METRICS: dict[str, str] = {
    "gap": "validation accuracy minus test accuracy",
    "train_gap": "training accuracy of the last epoch, as it was trained, minus test accuracy",
}
"""Differences between an accuracy in development and test accuracy, by name, with their definition."""

SCORES = (*CASE_METRICS, *(name for name in CLASS_METRICS if name not in CASE_METRICS))
"""Every metric of cases, of two classes and of more."""

_RUN_LOWER_IS_BETTER = ("train_loss", "val_loss", "lowest_train_loss", "seconds")


def metric_names() -> tuple[str, ...]:
    """Return every metric that a study may name."""
    return (
        *SCORES,
        *(f"val_{name}" for name in SCORES),
        *RUN_METRICS,
        *GAP_METRICS,
        *(metric for name in CURVE_METRICS for metric in _of_curves(name)),
    )


def needs_test(metric: str) -> bool:
    """Tell whether a metric takes a score on the test cases."""
    return metric in SCORES or metric in GAP_METRICS


def case_metric(metric: str) -> CaseMetric | None:
    """Return the metric of cases that a name means, with or without `val_` before it; None where it means another."""
    name = metric.removeprefix("val_")
    return CASE_METRICS.get(name) or CLASS_METRICS.get(name)


def curve_metric(metric: str) -> CurveMetric | None:
    """Return the metric of curves that a name such as `roughness_train_loss` means; None where it means another."""
    return next((found for name, found in CURVE_METRICS.items() if metric in _of_curves(name)), None)


def scored_by(logits: np.ndarray) -> Mapping[str, CaseMetric]:
    """Return the metrics of one run's logits: (N,) of two classes, (N, C) of more."""
    return CLASS_METRICS if logits.ndim > 1 else CASE_METRICS


def curve_metrics(epochs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return every curve metric of every curve of a run, from its epochs in order."""
    found = {}
    for curve, improves in CURVES.items():
        values_E = np.array([epoch[curve] for epoch in epochs], dtype=np.float64)
        found |= {f"{name}_{curve}": metric(values_E, improves) for name, metric in CURVE_METRICS.items()}
    return found


def is_share(metric: str) -> bool:
    """Tell whether a metric is a fraction, or a difference of two: it lies between −1 and 1."""
    curve = curve_metric(metric)
    moved = curve is not None and curve.unit == "own" and metric.endswith("_accuracy")
    return case_metric(metric) is not None or metric in GAP_METRICS or metric == "train_accuracy" or moved


def direction(metric: str) -> int:
    """Return 1 where a higher value of a metric is better, −1 where a lower one is, 0 where neither is."""
    if (case := case_metric(metric)) is not None:
        return case.better
    if metric == "train_accuracy":
        return 1
    if metric in _RUN_LOWER_IS_BETTER:
        return -1
    curve = curve_metric(metric)
    return curve.better if curve is not None else 0


def _of_curves(name: str) -> list[str]:
    return [f"{name}_{curve}" for curve in CURVES]
