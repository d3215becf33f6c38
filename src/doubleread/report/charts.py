"""What the page's interactive charts draw: the same finished numbers as the figures, as JSON."""

# R seeds, E epochs, G points of a grid, N cases

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from doubleread.analysis import ArmResult, CaseSet, ClaimResult, StudyResult
from doubleread.metrics import probabilities
from doubleread.report import words
from doubleread.report.claims import claim_title, estimate_text
from doubleread.report.forest import COLOURS as VERDICT_COLOURS
from doubleread.report.gap_figures import COLOURS
from doubleread.report.tables import reported_of
from doubleread.stats import GRID, curves_of
from doubleread.study import Experiment

CURVES = ("train_accuracy", "val_accuracy", "train_loss", "val_loss")
CUTS = np.round(1 / (1 + np.exp(-np.linspace(-8.0, 8.0, 161))), 6)
"""Thresholds of the slider: even steps of the logit, with 0.5 in the middle, so that sure models spread out too."""
DIGITS = 5


def charts_of(result: StudyResult) -> dict[str, Any]:
    """Return everything that the charts of one study draw; numbers have `DIGITS` digits, NaN is null."""
    two = len(result.classes) == 2
    return {
        "palette": list(COLOURS),
        "verdicts": {verdict.value: colour for verdict, colour in VERDICT_COLOURS.items()},
        "forest": {
            role: [_claim(claim) for claim in result.claims if claim.claim.role == role]
            for role in ("primary", "secondary")
        },
        "arms": _arms(result),
        "curves": {e.name: curves_chart(result, e) for e in result.study.experiments},
        "roc": {e.name: _roc(result, e) for e in result.study.experiments} if words.has_roc(result) else {},
        "thresholds": _thresholds(result) if two and not result.sealed else None,
    }


def curves_chart(result: StudyResult, experiment: Experiment) -> list[dict[str, Any]]:
    """Return the curves of an experiment's arms: label, seeds, and of each curve a list of values for each seed."""
    return [
        arm_curves(arm.arm.label, [(run.seed, run.epochs) for run in arm.done])
        for arm in (result.of(arm.name) for arm in experiment.arms)
    ]


def arm_curves(label: str, runs: Sequence[tuple[int, Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
    """Return the curves of an arm's runs, each a seed with its epochs, as the charts draw them."""
    return {
        "label": label,
        "seeds": [seed for seed, _ in runs],
        "curves": {name: [[short(epoch[name]) for epoch in epochs] for _, epochs in runs] for name in CURVES},
    }


def curves_page(titles: Mapping[str, str], curves: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """Return the charts of a page that shows curves alone, and lets them grow: by name, with their titles."""
    return {
        "growing": True,
        "palette": list(COLOURS),
        "verdicts": {},
        "titles": dict(titles),
        "curves": {name: list(arms) for name, arms in curves.items() if arms},
    }


def short(value: float | None) -> float | None:
    """Return a number with few digits, or None where there is none."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


def _shorts(values: np.ndarray | Sequence[float]) -> list[float | None]:
    return [short(float(value)) for value in values]


def _claim(result: ClaimResult) -> dict[str, Any]:
    margin, sign = result.claim.margin, result.claim.sign
    ends = sorted(sign * end / margin for end in (result.estimate.lo, result.estimate.hi))
    return {
        "label": claim_title(result),
        "verdict": result.verdict.value,
        "gain": short(result.gain / margin),
        "lo": short(ends[0]),
        "hi": short(ends[1]),
        "text": estimate_text(result),
    }


def _arms(result: StudyResult) -> dict[str, Any]:
    shown = [*words.scored_columns(result), *([] if result.sealed else ["val_accuracy"]), "train_accuracy", "seconds"]
    return {
        "metrics": [{"key": key, "label": words.LABELS[key], "percent": key in words.PERCENT} for key in shown],
        "arms": [
            {
                "name": arm.arm.name,
                "seeds": [run.seed for run in arm.done],
                "collapsed": [run.health["collapsed"] for run in arm.done],
                "metrics": {key: _spread(result, arm, key) for key in shown if key in arm.spreads},
            }
            for arm in result.arms
        ],
    }


def _spread(result: StudyResult, arm: ArmResult, metric: str) -> dict[str, Any]:
    spread, reported = arm.spreads[metric], reported_of(result, arm).get(metric)
    return {
        "mean": short(spread.mean),
        "lo": short(spread.lo),
        "hi": short(spread.hi),
        "values": _shorts(spread.values),
        "reported": reported.value if reported is not None else None,
    }


def _roc(result: StudyResult, experiment: Experiment) -> list[dict[str, Any]]:
    arms = [result.of(arm.name) for arm in experiment.arms]
    return [_roc_of(arm) for arm in arms if arm.done]


def _roc_of(arm: ArmResult) -> dict[str, Any]:
    logits_RN = np.stack([run.test[1] for run in arm.scores])
    curves = curves_of(arm.scores[0].test[0].labels_N, logits_RN)
    return {"label": arm.arm.label, "grid": _shorts(GRID), "roc": _band(curves.roc_RG), "pr": _band(curves.pr_RG)}


def _band(values_RG: np.ndarray) -> dict[str, Any]:
    return {
        "mean": _shorts(values_RG.mean(axis=0)),
        "lo": _shorts(values_RG.min(axis=0)),
        "hi": _shorts(values_RG.max(axis=0)),
    }


def _thresholds(result: StudyResult) -> dict[str, Any]:
    return {
        "cuts": _shorts(CUTS),
        "classes": list(result.classes),
        "arms": [
            {
                "name": arm.arm.name,
                "validation": _counts([run.val for run in arm.scores if run.val is not None]),
                "test": _counts([run.test for run in arm.scores]),
            }
            for arm in result.arms
            if arm.done
        ],
    }


def _counts(scored: Sequence[tuple[CaseSet, np.ndarray]]) -> dict[str, Any]:
    """Return how many negative and positive cases there are, and at each cut how many of them are called positive.

    A case is called positive where its probability is above the cut. Counts are means over the seeds, with the lowest
    and the highest, and those of the cases that are not called positive.
    """
    labels = [cases.labels_N for cases, _ in scored]
    called = [
        [len(p) - np.searchsorted(np.sort(p), CUTS, side="right") for p in _by_class(cases.labels_N, logits_N)]
        for cases, logits_N in scored
    ]
    called_RCG = np.array(called)
    cases_RC1 = np.array([[(labels_N == label).sum() for label in (0, 1)] for labels_N in labels])[:, :, None]
    rest_RCG = cases_RC1 - called_RCG
    return {
        "cases": _shorts(cases_RC1.mean(axis=0)[:, 0]),
        "mean": [_shorts(row) for row in called_RCG.mean(axis=0)],
        "lo": called_RCG.min(axis=0).tolist(),
        "hi": called_RCG.max(axis=0).tolist(),
        "rest_lo": rest_RCG.min(axis=0).tolist(),
        "rest_hi": rest_RCG.max(axis=0).tolist(),
    }


def _by_class(labels_N: np.ndarray, logits_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p_N = probabilities(logits_N)
    return p_N[labels_N == 0], p_N[labels_N == 1]
