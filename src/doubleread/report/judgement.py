"""Verdicts from anyone's logits: no study, no store, no training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from doubleread.analysis import (
    ClaimResult,
    Evidence,
    Gaps,
    gaps_of,
    judge_claims,
    read_logits_file,
    with_bootstrap,
)
from doubleread.report.claims import claims_frame
from doubleread.report.forest import forest_figure
from doubleread.report.gaps import gap_frame
from doubleread.study import default_thresholds, load_claims


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
    results = judge_claims(load_claims(claims, evidence.arms), evidence)
    return Judgement([with_bootstrap(result, evidence) for result in results], evidence)
