"""Two studies side by side, as words: what they set otherwise, arms and claims that both have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doubleread.analysis import ClaimResult, ComparedArm, StudyResult, compare_arms
from doubleread.report import words
from doubleread.report.claims import claim_title, estimate_text
from doubleread.report.sentences import span
from doubleread.stats import Estimate

NOTE = (
    "Differences are the first study's less the second's, over the seeds that both have, with a 95 % interval that"
    " counts seeds and images. They were not claimed beforehand, nor corrected for their number: a lead, not"
    " a verdict."
)


def comparison_section(first: StudyResult, second: StudyResult) -> dict[str, Any]:
    """Return what is said of two studies side by side."""
    metrics = _metrics(first, second)
    return {
        "names": (first.study.name, second.study.name),
        "note": NOTE,
        "metrics": metrics,
        "settings": settings_that_differ(first, second),
        "arms": [_arm(found, metrics) for found in compare_arms(first, second, metrics)],
        "claims": [
            {"title": claim_title(mine), "cells": [_claim(mine), _claim(theirs)]}
            for mine, theirs in _claims_of_both(first, second)
        ],
    }


def comparison_json(first: StudyResult, second: StudyResult) -> dict[str, Any]:
    """Return the same as JSON: settings, and of each arm that both have, by metric, the difference and its interval."""
    metrics = _metrics(first, second)
    return {
        "studies": [first.study.name, second.study.name],
        "settings": settings_that_differ(first, second),
        "arms": [
            {
                "arm": found.first.arm.name,
                "seeds": list(found.seeds),
                "why": found.why,
                "differences": {name: _numbers(estimate) for name, estimate in found.differences.items()},
            }
            for found in compare_arms(first, second, metrics)
        ],
        "claims": [
            {"id": mine.claim.id, "verdicts": [mine.verdict.value, theirs.verdict.value]}
            for mine, theirs in _claims_of_both(first, second)
        ],
    }


def _metrics(first: StudyResult, second: StudyResult) -> tuple[str, ...]:
    return tuple(name for name in words.scored_columns(first) if name in words.scored_columns(second))


def _claims_of_both(first: StudyResult, second: StudyResult) -> list[tuple[ClaimResult, ClaimResult]]:
    """Return the claims that both studies make in the same sense, whatever they are called."""
    return [
        (mine, theirs)
        for mine in first.claims
        for theirs in second.claims
        if mine.claim.canonical() == theirs.claim.canonical()
    ]


def settings_that_differ(first: StudyResult, second: StudyResult) -> list[dict[str, str]]:
    """Return the settings of data, recipe and seeds that two studies have otherwise, by dotted path."""
    both = [_settings(result) for result in (first, second)]
    names = [arm.name for arm in first.study.arms if any(arm.name == other.name for other in second.study.arms)]
    for settings, result in zip(both, (first, second), strict=True):
        # what an experiment sets for itself shows in its arms
        recipes = {arm.name: words.recipe_text(arm) for arm in result.study.arms if arm.name in names}
        settings |= {f"recipe of {name}": text for name, text in recipes.items()}
    paths = dict.fromkeys(path for settings in both for path in settings)
    found = [
        {"path": path, "first": both[0].get(path, "–"), "second": both[1].get(path, "–")}
        for path in paths
        if both[0].get(path) != both[1].get(path)
    ]
    # where the base differs, so does every recipe: that is said once
    base = any(not row["path"].startswith("recipe of ") for row in found)
    return [row for row in found if not (base and row["path"].startswith("recipe of "))]


def _settings(result: StudyResult) -> dict[str, str]:
    study = result.study
    data = {"data": study.data.model_dump(mode="json")}
    # the way to a folder is the reader's own affair
    if isinstance(source := data["data"]["source"], str):
        data["data"]["source"] = Path(source).name or source
    flat = _flat({**data, "base": study.base.complete(), "seeds": words.seeds_of(study)})
    return {path: words.plain(value) for path, value in flat.items()}


def _flat(node: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.items():
        path = f"{above}{key}"
        found |= _flat(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return found


def _arm(found: ComparedArm, metrics: tuple[str, ...]) -> dict[str, Any]:
    return {
        "arm": found.first.arm.name,
        "seeds": len(found.seeds),
        "why": found.why,
        "cells": [
            {
                "first": _spread(found.first, metric),
                "second": _spread(found.second, metric),
                "difference": _difference(metric, found.differences[metric]) if metric in found.differences else None,
            }
            for metric in metrics
        ],
    }


def _spread(arm: Any, metric: str) -> str:
    spread = arm.spreads.get(metric)
    return words.spread_text(metric, spread) if spread else "–"


def _difference(metric: str, found: Estimate) -> str:
    # without a standard error, as of runs that agree in everything, an interval of one value would look certain
    return span(metric, found.lo, found.hi) if found.se > 0 else "–"


def _claim(result: ClaimResult) -> dict[str, str]:
    return {"verdict": result.verdict.value, "estimate": estimate_text(result)}


def _numbers(found: Estimate) -> dict[str, float | None]:
    return {key: value if (value := getattr(found, key)) == value else None for key in ("value", "lo", "hi")}
