"""Does a verdict survive the settings that were assumed? Claims judged again under each alternative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from doubleread.analysis.claims import ClaimResult, judge_claims
from doubleread.analysis.evidence import Evidence, RunScores
from doubleread.study import Study, Variant


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One alternative of one assumption, with the claims that it touches, judged under it."""

    variant: Variant
    claims: tuple[ClaimResult, ...]


def judge_settings(
    study: Study, evidence: Evidence, variants: Sequence[Variant], varied: Mapping[str, Sequence[RunScores]]
) -> tuple[Setting, ...]:
    """Return every alternative of which all changed arms have been trained.

    `varied` maps the names of variants' arms to their finished runs. The other arms stay as assumed, and so does the
    family that Holm's correction counts.
    """
    settings = []
    for variant in variants:
        if not all(varied.get(arm.name) for arm in variant.arms.values()):
            continue
        runs = [run for run in evidence.runs.values() if run.arm not in variant.arms]
        for name, arm in variant.arms.items():
            runs += [replace(run, arm=name) for run in varied[arm.name]]
        results = judge_claims(study.claims, Evidence(runs), study.looks)
        touched = tuple(result for result in results if set(result.claim.arms) & set(variant.arms))
        settings.append(Setting(variant=variant, claims=touched))
    return tuple(settings)


def settings_of(claim_id: str, settings: Sequence[Setting]) -> list[tuple[Variant, ClaimResult]]:
    """Return the alternatives that touch a claim, each with the claim's result under it."""
    return [(s.variant, result) for s in settings for result in s.claims if result.claim.id == claim_id]
