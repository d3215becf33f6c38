"""Verdicts from anyone's logits: no study, no store, no training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from doubleread.analysis import (
    ClaimResult,
    Evidence,
    Gaps,
    gaps_of,
    judge_claims,
    read_logits_file,
    with_bootstrap,
)
from doubleread.errors import UserError
from doubleread.report import words
from doubleread.report.claims import claims_frame
from doubleread.report.forest import forest_figure
from doubleread.report.gaps import gap_frame
from doubleread.report.sentences import amount
from doubleread.study import Claim, default_thresholds, load_claims

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Judgement:
    """Claims about anyone's logits, with their verdicts. Shares are fractions, a number that does not exist is NaN."""

    def __init__(self, results: Sequence[ClaimResult], evidence: Evidence) -> None:
        self.results = tuple(results)
        self.evidence = evidence

    def claims(self) -> pd.DataFrame:
        """Return a row for each claim: estimate, interval, p, verdict, sentence."""
        return claims_frame(self.results)

    @cached_property
    def gaps(self) -> Gaps:
        """Why validation and test differ, of the arms whose validation logits are there; leakage is not measured."""
        known = self.evidence
        arms = {arm: [known.runs[arm, seed] for seed in known.seeds_of(arm)] for arm in known.arms}
        return gaps_of(arms, {}, default_thresholds())

    def what_was_read(self) -> list[str]:
        """Return how much there is to judge by, in a line, and one for each margin that nobody named."""
        margins = {r.claim.metric: r.claim.margin for r in self.results if r.claim.default_margin}
        named = [
            f"margin of {words.LABELS[metric]}: {amount(metric, margin)} (the default: none is named)"
            for metric, margin in margins.items()
        ]
        return [_design(self.evidence), *named]

    def gap(self) -> pd.DataFrame:
        """Return a row for each arm and one for their mean: validation, test, the parts of the gap, the verdict."""
        return gap_frame(self.gaps)

    def plot_claims(self) -> Figure:
        """Return every claim's gain with its interval beside the margin."""
        return forest_figure(self.results)


def judge(logits: str | Path, claims: str | Path) -> Judgement:
    """Return verdicts on claims about a CSV of logits (arm, seed, case, label, logit; subject and split if known).

    `claims` is a file of claims and margins, a study file, or the name of a built-in study. Nothing is trained.

    Raises:
        UserError: a file cannot be read, or the claims do not fit the arms.
    """
    evidence = read_logits_file(logits)
    asked = load_claims(claims, evidence.arms)
    _refuse_unshared(evidence, asked, str(logits))
    results = judge_claims(asked, evidence)
    return Judgement([with_bootstrap(result, evidence) for result in results], evidence)


def _refuse_unshared(evidence: Evidence, claims: Sequence[Claim], place: str) -> None:
    """Stop where arms are compared and no seed number stands in two of them: runs are compared seed by seed."""
    arms = evidence.arms
    numbers = [seed for arm in arms for seed in evidence.seeds_of(arm)]
    compared = any(len(set(claim.arms) & set(arms)) > 1 for claim in claims)
    if compared and len(set(numbers)) == len(numbers):
        where = "both arms" if len(arms) == 2 else "two arms"
        raise UserError(
            place, f"no seed number stands in {where}", "expected the same numbers for every arm", "number them alike"
        )


def _design(evidence: Evidence) -> str:
    """Return arms × seeds × test cases, and subjects, where they are known; what is odd about it is said too."""
    arms, runs = evidence.arms, list(evidence.runs.values())
    seeds = [set(evidence.seeds_of(arm)) for arm in arms]
    shared = set.intersection(*seeds)
    part = f" ({len(shared)} of them in every arm)" if any(found != shared for found in seeds) else ""
    cases = runs[0].test[0]
    subjects = set(cases.subjects_N.tolist())
    # without a column subject, or in a row without one, a case stands for itself
    alone = all(subject.startswith("case ") for subject in subjects)
    said = [
        f"{_many([len(arms)], 'arm')} × {_many(map(len, seeds), 'seed')}{part}"
        f" × {_many([len(cases.names)], 'test case')}",
        "each case a subject of its own" if alone else _many([len(subjects)], "subject"),
    ]
    if validation := [len(run.val[1]) for run in runs if run.val is not None]:
        said.append(_many(validation, "validation case"))
    if len(labels := set(cases.labels_N.tolist())) == 1:
        said.append(f"all labels are {labels.pop()}")
    return ", ".join(said)


def _many(counts: Iterable[int], noun: str) -> str:
    ends = sorted(set(counts))
    span = f"{ends[0]:,}" if len(ends) == 1 else f"{ends[0]:,} to {ends[-1]:,}"
    return f"{span} {noun}{'' if ends == [1] else 's'}"
