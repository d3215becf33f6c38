"""Before anything trains: the smallest difference that a planned study could detect, claim by claim."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from doubleread.analysis.claims import measure
from doubleread.analysis.evidence import Evidence
from doubleread.metrics import GAP_METRICS, SCORES, curve_metric
from doubleread.stats import detectable, seeds_needed
from doubleread.study import Claim, Prior, Study

SHARE_DISCORDANT = 0.10
"""The share of test images that two arms judge differently, assumed where nothing is known of it."""
_SHARES = ("accuracy", "sensitivity", "specificity", "balanced_accuracy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """The smallest detectable difference of a claim, `mdd`, NaN where nothing is known; where it comes from.

    `at_least` says that the test set's part is not in it. `seeds_needed` are those that detect the margin, None where
    no number does.
    """

    claim: Claim
    mdd: float
    at_least: bool
    source: str
    seeds_needed: int | None


def planned(study: Study, evidence: Evidence | None, test_cases: tuple[int, int]) -> list[Planned]:
    """Return what each claim of a study with its planned seeds could detect, at 80 % power and Holm's first step.

    `test_cases` counts the negative and the positive test cases. From the runs in `evidence` where a claim's arms have
    two seeds or more there, else from the study's `prior`.
    """
    families = {role: sum(claim.role == role for claim in study.claims) for role in ("primary", "secondary")}
    return [_planned(claim, study, evidence, test_cases, families[claim.role]) for claim in study.claims]


def _planned(
    claim: Claim, study: Study, evidence: Evidence | None, test_cases: tuple[int, int], family: int
) -> Planned:
    at_least, seeds = False, len(study.seeds)
    spread, case_var, source = _from_runs(claim, evidence)
    if math.isnan(spread):
        spread, case_var, at_least, source = _from_prior(claim, study.prior, test_cases)
    return Planned(
        claim=claim,
        mdd=detectable(spread, case_var, seeds, family),
        at_least=at_least,
        source=source,
        seeds_needed=seeds_needed(spread, case_var, claim.margin, family),
    )


def _from_runs(claim: Claim, evidence: Evidence | None) -> tuple[float, float, str]:
    if evidence is None or not set(claim.arms) <= set(evidence.arms):
        return math.nan, math.nan, ""
    found = measure(claim, evidence, ())
    fewest = min(len(seeds) for seeds in found.seeds)
    if fewest < 2:
        return math.nan, math.nan, ""
    widest, seeds = max(zip(found.estimates, found.seeds, strict=True), key=lambda pair: pair[0].se)
    return widest.seed_var * len(seeds), widest.case_var, f"{len(seeds)} seeds in the store"


def _from_prior(
    claim: Claim, priors: Mapping[str, Prior], test_cases: tuple[int, int]
) -> tuple[float, float, bool, str]:
    curve = curve_metric(claim.metric)
    prior = priors.get(claim.metric, priors.get(curve.name) if curve is not None else None)
    if prior is None:
        return math.nan, math.nan, False, "nothing known"
    squares = max(sum(w**2 for w in weights.values()) for weights in claim.contrasts)
    case_var, at_least, source = _prior_case_var(claim, prior, squares, test_cases)
    return prior.seed_sd**2 * squares, case_var, at_least, source


def _prior_case_var(claim: Claim, prior: Prior, squares: float, test_cases: tuple[int, int]) -> tuple[float, bool, str]:
    metric = claim.metric
    if prior.case_sd is not None and claim.kind != "one arm":
        # case_sd is that of a difference, whose squared weights sum to 2
        return prior.case_sd**2 * squares / 2, False, "prior"
    if metric.removeprefix("val_") not in SCORES and metric not in GAP_METRICS:
        return 0.0, False, "prior"
    if metric in _SHARES:
        counted = {"specificity": test_cases[0], "sensitivity": test_cases[1]}.get(metric, sum(test_cases))
        if claim.kind == "one arm":
            # all arms are scored on the same cases: the mean of several varies with them as one does
            return 1 / (4 * counted), False, "prior, and a share of one half"
        percent = 100 * SHARE_DISCORDANT
        return SHARE_DISCORDANT / counted * squares / 2, False, f"prior, {percent:.0f} % of images discordant"
    return 0.0, True, "prior of the seeds alone"
