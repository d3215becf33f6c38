"""What is reported of a run: metrics of its cases, of its curves and of the run itself; their names and directions."""

from __future__ import annotations

from doubleread.metrics.cases import (
    CASE_METRICS,
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
from doubleread.metrics.classes import CLASS_METRICS, scored_by
from doubleread.metrics.curves import CURVE_DEFINITIONS, CURVE_METRICS, CURVES, curve_metrics
from doubleread.metrics.weighted import WEIGHTED

__all__ = [
    "CASE_METRICS",
    "CLASS_METRICS",
    "CURVES",
    "CURVE_DEFINITIONS",
    "CURVE_METRICS",
    "ECE_BINS",
    "GAP_METRICS",
    "RUN_METRICS",
    "SCORES",
    "WEIGHTED",
    "accuracy",
    "auroc",
    "balanced_accuracy",
    "brier",
    "calibration_bins",
    "calls",
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

_LOWER_IS_BETTER = ("brier", "ece", "val_brier", "val_ece", "train_loss", "val_loss", "lowest_train_loss", "seconds")
_MOVES = ("roughness", "change_after_peak", "change")
_CURVE_DIRECTIONS = {"roughness": -1, "steadiness": 1, "epochs_to_converge": -1}


def metric_names() -> tuple[str, ...]:
    """Return every metric that a study may name."""
    return (
        *SCORES,
        *(f"val_{name}" for name in SCORES),
        *RUN_METRICS,
        *GAP_METRICS,
        *(f"{name}_{curve}" for name in CURVE_METRICS for curve in CURVES),
    )


def needs_test(metric: str) -> bool:
    """Tell whether a metric takes a score on the test cases."""
    return metric in SCORES or metric in GAP_METRICS


def is_share(metric: str) -> bool:
    """Tell whether a metric is a fraction, or a difference of two: it lies between −1 and 1."""
    cases = metric.removeprefix("val_") in SCORES
    moved = any(metric == f"{move}_{part}_accuracy" for move in _MOVES for part in ("train", "val"))
    return cases or metric in GAP_METRICS or metric == "train_accuracy" or moved


def direction(metric: str) -> int:
    """Return 1 where a higher value of a metric is better, −1 where a lower one is, 0 where neither is."""
    if metric in _LOWER_IS_BETTER:
        return -1
    if metric.removeprefix("val_") in SCORES or metric == "train_accuracy":
        return 1
    return next((sign for name, sign in _CURVE_DIRECTIONS.items() if metric.startswith(f"{name}_")), 0)
