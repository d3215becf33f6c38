"""What one run each could not show and several seeds do: sentences about a study with reported numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from doubleread.analysis import ArmResult, ClaimResult, StudyResult
from doubleread.report import words
from doubleread.report.claims import claim_title
from doubleread.report.sentences import amount
from doubleread.report.tables import reported_of
from doubleread.study import Experiment


def hidden_by_one_run(result: StudyResult) -> list[str]:
    """Return the sentences, of which none is said where nothing was reported or one seed was trained."""
    metric = words.scored_columns(result)[0]
    said = [text for e in result.study.experiments if (text := _scatter(result, e, metric)) is not None]
    if (landed := _landed(result, metric)) is not None:
        said.append(landed)
    said += [text for claim in result.claims if claim.claim.role == "primary" and (text := _order(claim)) is not None]
    said += [text for arm in _distinct(result) if (text := _collapsed(arm)) is not None]
    return said


def _scatter(result: StudyResult, experiment: Experiment, metric: str) -> str | None:
    """Return how far one arm's seeds lie apart beside how far the reported arms do."""
    arms = [result.of(arm.name) for arm in experiment.arms]
    values = [one.value for arm in arms if (one := reported_of(result, arm).get(metric)) and one.value is not None]
    seeds = {arm.arm.label: arm.spreads[metric].values for arm in arms if metric in arm.spreads}
    spans = {name: max(found) - min(found) for name, found in seeds.items() if len(found) > 1}
    if len(values) < 2 or not spans:
        return None
    widest = max(spans, key=lambda name: spans[name])
    found = seeds[widest]
    return (
        f"{experiment.title}: the report's arms lie {amount(metric, max(values) - min(values))} apart. The"
        f" {len(found)} seeds of one arm, {widest}, lie {amount(metric, spans[widest])} apart, from"
        f" {words.range_text(metric, min(found), max(found))}."
    )


def _landed(result: StudyResult, metric: str) -> str | None:
    """Return how many of the reported numbers are what one more run would give."""
    told = []
    for arm in result.arms:
        reported, spread = reported_of(result, arm).get(metric), arm.spreads.get(metric)
        if reported and reported.value is not None and spread and not math.isnan(spread.predicted_lo):
            told.append(spread.predicted_lo <= reported.value <= spread.predicted_hi)
    if not told:
        return None
    return (
        f"{sum(told)} of the {len(told)} reported values of {words.LABELS[metric]} lie within what one more run on as"
        " many new images would give in 95 % (the column “one more run”)."
    )


def _order(claim: ClaimResult) -> str | None:
    if math.isnan(claim.order_shown):
        return None
    return (
        f"{claim_title(claim)}: one run each shows this order in {100 * claim.order_shown:.0f} % of the pairs of seeds;"
        f" judged over {len(claim.seeds)} seeds it is {claim.verdict.value}."
    )


def _collapsed(arm: ArmResult) -> str | None:
    collapsed, n = arm.counts["collapsed"], len(arm.done)
    if not collapsed:
        return None
    return f"{arm.arm.name}: {collapsed} of {n} runs collapsed, to a constant predictor. One run says nothing of that."


def _distinct(result: StudyResult) -> Sequence[ArmResult]:
    """Return the arms that differ in their runs: what two experiments share is said once."""
    return list({tuple(run.run_id for run in arm.runs): arm for arm in reversed(result.arms)}.values())[::-1]
