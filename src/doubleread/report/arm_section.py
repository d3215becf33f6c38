"""What the page says of the arms: a table of each experiment on test, one of training, curves, calls, recipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from doubleread.analysis import ArmResult, StudyResult
from doubleread.report import words
from doubleread.report.confusion import confusion_heads, confusion_rows
from doubleread.report.figures import curves_figure, embedded
from doubleread.report.gap_figures import roc_figure
from doubleread.report.tables import reported_of
from doubleread.study import Experiment

MOST_LISTED = 12
"""Seeds that a table lists and a still figure draws one by one; of more, the charts and the files have them."""


def experiment_section(result: StudyResult, experiment: Experiment) -> dict[str, Any]:
    """Return what the page says of one experiment."""
    arms = [result.of(arm.name) for arm in experiment.arms]
    done = any(arm.done for arm in arms)
    scored, trained = words.scored_columns(result), words.training_columns(experiment)
    return {
        "name": experiment.name,
        "title": experiment.title,
        "factors": ", ".join(experiment.factors),
        "scored": {
            "caption": "On the validation images" if result.sealed else "On the test images",
            "columns": scored,
            "rows": _rows(result, arms, scored, averaged=True),
        },
        "trained": {
            "caption": "In training and on the validation images",
            "columns": trained,
            "rows": _rows(result, arms, trained),
        },
        "curves": embedded(curves_figure(result, experiment, MOST_LISTED)),
        "roc": embedded(roc_figure(result, experiment)) if words.has_roc(result) and done else None,
        "confused": confusion_heads(result.classes),
        "confusion": [] if result.sealed else [row for arm in arms if arm.done for row in confusion_rows(result, arm)],
        "recipes": [{"arm": arm.arm.label, "recipe": words.recipe_text(arm.arm)} for arm in arms],
    }


def _rows(
    result: StudyResult, arms: Sequence[ArmResult], columns: Sequence[str], *, averaged: bool = False
) -> list[dict[str, Any]]:
    """Return a row for each arm, and with `averaged` one for its seeds as one predictor."""
    rows = []
    for arm in arms:
        rows.append(
            {
                "arm": arm.arm.label,
                "seeds": len(arm.done),
                "flags": words.flags_of(arm),
                "cells": [_cell(result, arm, metric) for metric in columns],
            }
        )
        if averaged and arm.ensemble:
            cells = [_ensemble_cell(arm, metric) for metric in columns]
            rows.append({"arm": f"{arm.arm.label}, its seeds averaged", "seeds": "–", "flags": [], "cells": cells})
    return rows


def _ensemble_cell(arm: ArmResult, metric: str) -> dict[str, str | None]:
    found = arm.ensemble.get(metric)
    empty = {"interval": None, "seeds": None, "reported": None, "predicted": None}
    if found is None:
        return {"mean": "–", **empty}
    return {**empty, "mean": words.value_text(metric, found.value), "interval": words.bounds_text(metric, found)}


def _cell(result: StudyResult, arm: ArmResult, metric: str) -> dict[str, str | None]:
    spread = arm.spreads.get(metric)
    reported = reported_of(result, arm).get(metric)
    return {
        "mean": words.spread_text(metric, spread) if spread else "–",
        "interval": words.interval_text(metric, spread) if spread else None,
        "seeds": words.seeds_text(metric, spread) if spread and 1 < len(spread.values) <= MOST_LISTED else None,
        "reported": words.reported_text(metric, reported) if reported else None,
        "predicted": words.predicted_text(metric, spread, reported) if spread and reported else None,
    }
