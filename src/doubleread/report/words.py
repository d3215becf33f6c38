"""How numbers and names are written, the same on the terminal and in the report."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from doubleread.analysis import ArmResult, Spread, StudyResult
from doubleread.metrics import CASE_METRICS, CLASS_METRICS, CURVE_METRICS, curve_metric, is_share
from doubleread.nouns import INTENDED_USE as INTENDED_USE
from doubleread.stats import Estimate
from doubleread.study import NUMBER, Arm, Experiment, Reported, Study, label_of

SYNTHETIC = "Synthetic images from a digital phantom: no patient was imaged."

_CASES = {**CASE_METRICS, **CLASS_METRICS}
_RATES = tuple(name for name, metric in _CASES.items() if metric.percent)
_CURVE_NAMES = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}
_MOVES = tuple(name for name, metric in CURVE_METRICS.items() if metric.unit == "own")
POINTS = frozenset(
    {"gap", "train_gap", *(f"{move}_{curve}" for move in _MOVES for curve in ("train_accuracy", "val_accuracy"))}
)
"""Metrics that are differences of percentages."""
PERCENT = frozenset({*_RATES, *(f"val_{name}" for name in _RATES), "train_accuracy", *POINTS})
"""Metrics that are fractions and read in percent."""
LABELS = {
    **{name: f"test {metric.label}" for name, metric in _CASES.items()},
    **{f"val_{name}": f"validation {metric.label}" for name, metric in _CASES.items()},
    "train_accuracy": "training accuracy",
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "lowest_train_loss": "lowest training loss",
    "seconds": "seconds",
    "gap": "validation minus test accuracy",
    "train_gap": "training minus test accuracy",
    **{
        f"{name}_{curve}": metric.label.format(called)
        for name, metric in CURVE_METRICS.items()
        for curve, called in _CURVE_NAMES.items()
    },
}
TEST_COLUMNS = ("accuracy", "auroc", "sensitivity", "specificity", "balanced_accuracy")
CLASS_COLUMNS = ("accuracy", "macro_auroc", "macro_recall")
"""The same of more than two classes."""
TRAINING_COLUMNS = (
    "train_accuracy",
    "val_accuracy",
    "train_loss",
    "val_loss",
    "lowest_train_loss",
    "seconds",
)


def seal_text(result: StudyResult) -> str | None:
    """Return whether the test images are sealed, and when and how often they were looked at; None if never sealed."""
    if not result.study.sealed and not result.unsealings:
        return None
    looks = [f"{look['at']} ({look['done']} runs done)" for look in result.unsealings]
    often = {0: "never looked at", 1: "looked at once"}.get(len(looks), f"looked at {len(looks)} times")
    when = f"so far they were {often}" + (f": {', '.join(looks)}" if looks else "")
    if result.sealed:
        return (
            f"The test images are sealed: no score on them exists here; {when}."
            " doubleread report --unseal shows the scores, and counts."
        )
    return f"The test images are unsealed; {when}."


def seeds_of(study: Study) -> str:
    """Return which seeds a study has; of one that grows, from how many to how many and when it is looked at."""
    if study.looks is None:
        return ", ".join(str(seed) for seed in study.seeds)
    at = ", ".join(str(seeds) for seeds in study.looks.seeds)
    return f"{study.looks.seeds[0]} to {study.looks.seeds[-1]} an arm, until its claims are decided; looks at {at}"


def scored_columns(result: StudyResult) -> tuple[str, ...]:
    """Return the metrics of an experiment's first table: on the test images; on validation while those are sealed."""
    columns = TEST_COLUMNS if len(result.classes) == 2 else CLASS_COLUMNS
    return tuple(f"val_{name}" for name in columns) if result.sealed else columns


def has_roc(result: StudyResult) -> bool:
    """Tell whether a study has ROC curves: of two classes, and not while the test images are sealed."""
    return len(result.classes) == 2 and not result.sealed


def training_columns(experiment: Experiment) -> tuple[str, ...]:
    """Return the second table's metrics: the usual ones, and whatever else the experiment has reported numbers of."""
    more = [
        metric for metric in experiment.reported if metric not in (*TEST_COLUMNS, *CLASS_COLUMNS, *TRAINING_COLUMNS)
    ]
    return (*TRAINING_COLUMNS, *more)


def counts_epochs(metric: str) -> bool:
    """Tell whether a metric is a number of epochs: when the best one came, say."""
    curve = curve_metric(metric)
    return curve is not None and curve.unit == "epochs"


def value_text(metric: str, value: float) -> str:
    """Return a metric's value as people read it; percent for accuracies and their kind."""
    if math.isnan(value):
        return "–"
    if metric in POINTS:
        text = f"{100 * value:.2f} points"
    elif metric in PERCENT:
        text = f"{100 * value:.2f} %"
    elif metric == "seconds" or counts_epochs(metric):
        text = f"{value:.1f} {unit(metric)}"
    else:
        text = f"{value:.4f}" if "loss" in metric else f"{value:.3f}"
    return text.replace("-", "−")


def p_text(p: float) -> str:
    """Return a p-value as papers write it."""
    if math.isnan(p):
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def unit(metric: str) -> str:
    """Return the unit that a value of the metric is shown with, if it has one: percent, points, seconds, epochs."""
    if metric == "seconds":
        return "s"
    if counts_epochs(metric):
        return "epochs"
    return "points" if metric in POINTS else "%"


def column_name(metric: str) -> str:
    """Return the short head of a terminal table's column."""
    name = LABELS[metric].removeprefix("test ").replace("validation", "val.")
    return f"{name}, %" if metric in PERCENT else name


def spread_cell(metric: str, spread: Spread) -> str:
    """Return `mean ± SD` for a column whose head gives the unit."""
    return spread_text(metric, spread).removesuffix(f" {unit(metric)}")


def spread_text(metric: str, spread: Spread) -> str:
    """Return `mean ± SD`, or the one value there is."""
    mean = value_text(metric, spread.mean)
    if math.isnan(spread.sd):
        return mean
    if metric in PERCENT:
        return f"{100 * spread.mean:.2f} ± {100 * spread.sd:.2f} {unit(metric)}".replace("-", "−")
    return f"{mean.removesuffix(f' {unit(metric)}')} ± {value_text(metric, spread.sd)}"


def interval_text(metric: str, spread: Spread) -> str | None:
    """Return the 95 % interval of the mean, or None where there is none."""
    return None if math.isnan(spread.lo) else range_text(metric, spread.lo, spread.hi)


def bounds_text(metric: str, found: Estimate) -> str | None:
    """Return the 95 % interval of an estimate of a metric, or None where there is none."""
    return None if math.isnan(found.lo) else range_text(metric, found.lo, found.hi)


def range_text(metric: str, lo: float, hi: float) -> str:
    """Return `68.10 to 76.90 %`; a share ends at 0 and 1, beyond which a symmetric interval may reach."""
    if is_share(metric) and metric not in POINTS:
        lo, hi = max(0.0, lo), min(1.0, hi)
    return f"{value_text(metric, lo).removesuffix(f' {unit(metric)}')} to {value_text(metric, hi)}"


def predicted_text(metric: str, spread: Spread, reported: Reported) -> str | None:
    """Return whether a number reported from one run is what one more run would give; None where nothing is known."""
    if reported.value is None or math.isnan(spread.predicted_lo):
        return None
    place = "within" if spread.predicted_lo <= reported.value <= spread.predicted_hi else "outside"
    return f"{place} {predicted_range(metric, spread)}"


def predicted_range(metric: str, spread: Spread) -> str | None:
    """Return the 95 % interval of one more run on as many new cases, or None where nothing is known of it."""
    if math.isnan(spread.predicted_lo):
        return None
    return range_text(metric, spread.predicted_lo, spread.predicted_hi)


def seeds_text(metric: str, spread: Spread) -> str:
    """Return each seed's value, in the order of the seeds."""
    return "  ".join(value_text(metric, value).removesuffix(f" {unit(metric)}") for value in spread.values)


def reported_text(metric: str, reported: Reported) -> str:
    """Return a reported number, in percent where the metric is."""
    if metric not in PERCENT:
        return reported.text
    return re.sub(NUMBER, lambda match: f"{100 * float(match[0]):.2f}", reported.text) + f" {unit(metric)}"


def count_text(mean: float, lowest: int, highest: int) -> str:
    """Return a count over the seeds: its mean, and from lowest to highest where they differ."""
    return f"{mean:.0f}" if lowest == highest else f"{mean:.1f} ({lowest} to {highest})"


def recipe_text(arm: Arm) -> str:
    """Return every setting of an arm, defaults too: what the study file leaves out is not hidden."""
    parts = []
    for key, value in arm.recipe.complete().items():
        if isinstance(value, dict):
            value = dict(value)
            name = value.pop("name", "")
            if value.get("init") is not None:
                # the way to a folder is nobody's business in a report
                value["init"] = PurePath(value["init"]).name
            options = ", ".join(f"{option} {plain(setting)}" for option, setting in value.items())
            parts.append(" ".join(part for part in (key, name, f"({options})" if options else "") if part))
        else:
            parts.append(f"{key.replace('_', ' ')} {plain(value)}")
    return "; ".join([*parts, f"pixels {arm.data.intensity}"])


def override_text(key: str, value: Any) -> str:
    """Return what a setting was overridden with, without the way to the user's images."""
    # the folder's name says enough; the way to it is the reader's own affair
    if isinstance(value, dict):
        return ", ".join(f"{inner}: {override_text(f'{key}.{inner}', v)}" for inner, v in value.items())
    return PurePath(value).name if key == "data.source" and isinstance(value, str) else plain(value)


def plain(value: Any) -> str:
    """Return a value of a study file as people write it, without brackets."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(inner) for inner in value)
    return "none" if value is None else label_of(value)


@dataclass(frozen=True, slots=True)
class Flag:
    """Something about an arm's runs that a reader of its mean must know."""

    text: str
    serious: bool


def flags_of(arm: ArmResult) -> list[Flag]:
    """Return what is to be said about the health of an arm's runs."""
    counts, n = arm.counts, len(arm.done)
    flags = [Flag(f"{counts['collapsed']} of {n} collapsed", True)] if counts["collapsed"] else []
    flags += [Flag(f"{counts[s]} {s}", True) for s in ("diverged", "failed", "interrupted") if counts[s]]
    waiting = counts["planned"] + counts["running"]
    flags += [Flag(f"{waiting} not trained yet", False)] if waiting else []
    flags += [Flag(f"{counts[f]} of {n} {f}", False) for f in ("undertrained", "overfit") if counts[f]]
    return flags
