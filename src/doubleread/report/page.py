"""The report as one HTML file that works offline: no script, no request, every figure inside."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from doubleread.analysis import ArmResult, ClaimResult, StudyResult
from doubleread.files import write_text
from doubleread.metrics import CURVE_DEFINITIONS, GAP_METRICS, RUN_METRICS
from doubleread.report import words
from doubleread.report.claims import (
    bootstrap_text,
    claim_statement,
    claim_title,
    estimate_text,
    settings_text,
    verdict_counts,
)
from doubleread.report.confusion import confusion_heads, confusion_rows
from doubleread.report.data_section import data_section
from doubleread.report.figures import arms_figure, curves_figure, rendered
from doubleread.report.forest import forest_figure
from doubleread.report.gap_figures import roc_figure
from doubleread.report.gap_section import gap_section, worst_section
from doubleread.report.sentences import amount, notes, sentence
from doubleread.report.tables import reported_of
from doubleread.study import Experiment


def write_page(results: Sequence[StudyResult], path: Path) -> None:
    """Write the report of one study or several to one HTML file."""
    write_text(path, page(results))


def page(results: Sequence[StudyResult]) -> str:
    """Return the HTML of a report."""
    environment = Environment(
        loader=PackageLoader("doubleread.report"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sets = {data.data_hash: data for result in results for data in result.data}
    return environment.get_template("report.html").render(
        title=" and ".join(result.study.name for result in results),
        intended_use=words.INTENDED_USE,
        synthetic=words.SYNTHETIC if any(data.meta["kind"] == "phantom" for data in sets.values()) else None,
        studies=[_study(result) for result in results],
        data=[data_section(audit) for audit in {a.data.data_hash: a for r in results for a in r.audits}.values()],
        environments=_environments(results),
        definitions={**RUN_METRICS, **GAP_METRICS, **CURVE_DEFINITIONS},
        labels=words.LABELS,
    )


def _study(result: StudyResult) -> dict[str, Any]:
    study, scored = result.study, words.scored_columns(result)[0]
    return {
        "name": study.name,
        "question": study.question,
        "source_note": study.source_note,
        "classes": result.classes,
        "counts": result.counts(),
        "seeds": words.seeds_of(study),
        "claims": _claims(result),
        "overview": _figure(arms_figure(result, scored)),
        "overview_of": words.LABELS[scored],
        "seal": words.seal_text(result),
        "gap": gap_section(result),
        "worst": worst_section(result),
        "experiments": [_experiment(result, experiment) for experiment in study.experiments],
        "assumptions": [
            {
                "path": assumption.path,
                "assumed": words.plain(assumption.assumed),
                "alternatives": "; ".join(words.plain(value) for value in assumption.alternatives),
                "because": assumption.because,
            }
            for assumption in study.assumptions.values()
        ],
        "overrides": {key: _override(key, value) for key, value in study.overrides.items()},
        "contradictions": study.contradictions,
        "lost": [run for arm in result.arms for run in arm.runs if run.reason],
    }


def _claims(result: StudyResult) -> dict[str, Any]:
    families = []
    for role, title in (("primary", "Claims"), ("secondary", "Secondary claims")):
        mine = [claim for claim in result.claims if claim.claim.role == role]
        if mine:
            families.append(
                {
                    "role": role,
                    "title": title,
                    "count": len(mine),
                    "cards": [_card(result, claim) for claim in mine],
                    "forest": _figure(forest_figure(mine)),
                }
            )
    return {
        "families": families,
        "counts": {verdict: n for verdict, n in verdict_counts(result.claims).items() if n},
        "registration": result.registration,
        "varied": len(result.settings),
        "seeds": "" if result.study.looks else f"{len(result.study.seeds)} seeds an arm. ",
        "looks": result.study.looks is not None,
    }


def _card(result: StudyResult, claim: ClaimResult) -> dict[str, Any]:
    return {
        "id": claim.claim.id,
        "title": claim_title(claim),
        "statement": claim_statement(claim),
        "verdict": claim.verdict.value,
        "qualifier": claim.decision.qualifier,
        "sentence": sentence(claim),
        "notes": notes(claim),
        "settings": settings_text(claim, result.settings),
        "estimate": estimate_text(claim),
        "bootstrap": bootstrap_text(claim),
        "margin": amount(claim.claim.metric, claim.claim.margin),
        "p": words.p_text(claim.decision.p),
        "p_holm": words.p_text(claim.decision.p_holm),
        "p_below": words.p_text(claim.decision.below_margin) if claim.verdict == "not supported" else None,
        "mdd": amount(claim.claim.metric, claim.mdd) if claim.mdd == claim.mdd else "–",
        "seeds": len(claim.seeds),
    }


def _experiment(result: StudyResult, experiment: Experiment) -> dict[str, Any]:
    arms = [result.of(arm.name) for arm in experiment.arms]
    return {
        "name": experiment.name,
        "title": experiment.title,
        "factors": ", ".join(experiment.factors),
        "tables": [
            {
                "caption": "On the validation images" if result.sealed else "On the test images",
                "columns": words.scored_columns(result),
                "rows": _rows(result, arms, words.scored_columns(result), averaged=True),
            },
            {
                "caption": "In training and on the validation images",
                "columns": words.training_columns(experiment),
                "rows": _rows(result, arms, words.training_columns(experiment)),
            },
        ],
        "curves": _figure(curves_figure(result, experiment)),
        "roc": _figure(roc_figure(result, experiment))
        if words.has_roc(result) and any(arm.done for arm in arms)
        else None,
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
        flags = words.flags_of(arm)
        rows.append(
            {
                "arm": arm.arm.label,
                "seeds": len(arm.done),
                "flags": flags,
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
        "seeds": words.seeds_text(metric, spread) if spread and len(spread.values) > 1 else None,
        "reported": words.reported_text(metric, reported) if reported else None,
        "predicted": words.predicted_text(metric, spread, reported) if spread and reported else None,
    }


def _figure(figure: Any) -> str:
    return base64.b64encode(rendered(figure, "svg")).decode()


def _environments(results: Sequence[StudyResult]) -> list[dict[str, Any]]:
    distinct = {json.dumps(e, sort_keys=True): e for r in results for e in r.environments}
    return list(distinct.values())


def _override(key: str, value: Any) -> str:
    # the folder's name says enough; the way to it is the reader's own affair
    if isinstance(value, dict):
        return ", ".join(f"{inner}: {_override(f'{key}.{inner}', v)}" for inner, v in value.items())
    return Path(value).name if key == "data.source" and isinstance(value, str) else words.plain(value)
