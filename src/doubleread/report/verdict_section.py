"""What the page says first: the claims with their verdicts, as cards, a forest plot and a table."""

from __future__ import annotations

from typing import Any

from doubleread.analysis import ClaimResult, StudyResult
from doubleread.report import words
from doubleread.report.claims import (
    bootstrap_text,
    claim_statement,
    claim_title,
    estimate_text,
    settings_text,
    verdict_counts,
)
from doubleread.report.figures import embedded
from doubleread.report.forest import forest_figure
from doubleread.report.sentences import amount, notes, sentence


def verdict_section(result: StudyResult) -> dict[str, Any]:
    """Return the verdicts of a study; `families` is empty where it claims nothing."""
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
                    "forest": embedded(forest_figure(mine)),
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
