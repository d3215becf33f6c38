"""Every metric that there is, each in a line. The suite tests a new one by its standing here."""

from __future__ import annotations

from doubleread.metrics import cases, classes, curves, weighted
from doubleread.metrics.mcc import MCC
from doubleread.metrics.metric import CaseMetric, CurveMetric

_CASE = (
    CaseMetric(name="accuracy", label="accuracy", formula=cases.accuracy, weighted=weighted.accuracy, percent=True),
    CaseMetric(name="auroc", label="AUROC", formula=cases.auroc, weighted=weighted.auroc),
    CaseMetric(
        name="sensitivity", label="sensitivity", formula=cases.sensitivity, weighted=weighted.sensitivity, percent=True
    ),
    CaseMetric(
        name="specificity", label="specificity", formula=cases.specificity, weighted=weighted.specificity, percent=True
    ),
    CaseMetric(
        name="balanced_accuracy",
        label="balanced accuracy",
        formula=cases.balanced_accuracy,
        weighted=weighted.balanced_accuracy,
        percent=True,
    ),
    CaseMetric(name="f1", label="F1", formula=cases.f1, weighted=weighted.f1),
    CaseMetric(name="brier", label="Brier score", formula=cases.brier, weighted=weighted.brier, better=-1),
    CaseMetric(name="ece", label="calibration error", formula=cases.ece, weighted=weighted.ece, better=-1),
    MCC,
)
_CLASSES = (
    CaseMetric(name="accuracy", label="accuracy", formula=classes.class_accuracy, percent=True),
    CaseMetric(name="macro_auroc", label="macro AUROC", formula=cases.ranking),
    CaseMetric(name="macro_recall", label="macro recall", formula=classes.macro_recall, percent=True),
)
_CURVE = (
    CurveMetric(
        name="roughness",
        label="roughness of {}",
        definition="√(mean of squared second differences / 6): the standard deviation of a curve about a course that is"
        " straight over three epochs",
        formula=curves.roughness,
        better=-1,
    ),
    CurveMetric(
        name="peak_epoch",
        label="the epoch of the best {}",
        definition="the epoch of a curve's best value, the first of equals",
        formula=curves.peak_epoch,
        unit="epochs",
    ),
    CurveMetric(
        name="change_after_peak",
        label="change of {} after its best",
        definition="a curve's last value less its best",
        formula=curves.change_after_peak,
    ),
    CurveMetric(
        name="change",
        label="change of {} from first to last epoch",
        definition="a curve's last value less its first",
        formula=curves.change,
    ),
    CurveMetric(
        name="steadiness",
        label="steadiness of {}",
        definition="the share of a curve's whole movement that is improvement: 1 only improves, 0.5 gets nowhere",
        formula=curves.steadiness,
        unit="share",
        better=1,
    ),
    CurveMetric(
        name="epochs_to_converge",
        label="the epoch in which {} has converged",
        definition="the first epoch with 90 % of the improvement from a curve's first value to its best",
        formula=curves.epochs_to_converge,
        unit="epochs",
        better=-1,
    ),
)

CASE_METRICS = {metric.name: metric for metric in _CASE}
"""Metrics of the test cases, by name; with `val_` before it a name means the same of the validation cases."""
CLASS_METRICS = {metric.name: metric for metric in _CLASSES}
"""Metrics of the test cases of more than two classes, by name; `val_` before it as in `CASE_METRICS`."""
CURVE_METRICS = {metric.name: metric for metric in _CURVE}
"""Metrics of a curve, by name; `roughness_train_loss` is the roughness of the training loss."""
