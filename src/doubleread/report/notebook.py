"""A study's results as a notebook shows them: verdicts and arms in two tables."""

from __future__ import annotations

from doubleread.analysis import StudyResult
from doubleread.report import words
from doubleread.report.claims import claim_title, estimate_text
from doubleread.report.sentences import amount
from doubleread.report.templating import templates_of


def notebook_html(result: StudyResult) -> str:
    """Return a piece of HTML; every name in it is escaped."""
    columns = words.scored_columns(result)
    return (
        templates_of("doubleread.report")
        .get_template("notebook.html")
        .render(
            name=result.study.name,
            question=result.study.question,
            counts=result.counts(),
            seal=words.seal_text(result),
            claims=[
                {
                    "title": claim_title(claim),
                    "verdict": claim.verdict.value,
                    "qualifier": claim.decision.qualifier,
                    "estimate": estimate_text(claim),
                    "margin": amount(claim.claim.metric, claim.claim.margin),
                }
                for claim in result.claims
            ],
            heads=[words.LABELS[name] for name in columns],
            arms=[
                {
                    "name": arm.arm.name,
                    "flags": ", ".join(flag.text for flag in words.flags_of(arm)),
                    "seeds": len(arm.done),
                    "cells": [words.spread_text(name, arm.spreads[name]) if arm.done else "–" for name in columns],
                }
                for arm in result.arms
            ],
            intended_use=words.INTENDED_USE,
        )
    )
