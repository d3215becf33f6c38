"""From claims and evidence to verdicts."""

# T arms, R seeds

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from doubleread.analysis.evidence import Evidence, Unpaired, agreed_cases, cases_behind
from doubleread.metrics import CASE_METRICS, calls
from doubleread.stats import (
    FEWEST_SEEDS,
    Decision,
    Estimate,
    Looks,
    Question,
    Verdict,
    carried_by,
    cases_needed,
    combined,
    decide,
    deciding,
    detectable,
    estimate,
    largest_discordant,
    mcnemar_exact,
    monotone_p,
    order_shown,
    rates_differ,
    seeds_needed,
    two_way_interval,
    widened,
    wilson,
)
from doubleread.study import Claim

NOTHING = Estimate(
    value=math.nan,
    seed_var=math.nan,
    case_var=math.nan,
    se=math.nan,
    df=math.nan,
    lo=math.nan,
    hi=math.nan,
    p=math.nan,
)
BOOTSTRAP_SEEDS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class OneRunEach:
    """What one run of each of two arms shows of their accuracy: no seeds, only the test images.

    `first` and `second` are Wilson intervals; `difference` is how many more images the first gets right, `discordant`
    how many exactly one of them does, `largest` the most discordant images at which McNemar's exact test would stay
    below .05 with that difference, None where no number does.
    """

    accuracies: tuple[float, float]
    first: tuple[float, float]
    second: tuple[float, float]
    difference: int
    discordant: int
    mcnemar_p: float
    largest: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One of the looks at a growing study: its number, from 1, how many there are at most, and its seeds.

    `helps` tells whether more seeds could decide a claim that it left open.
    """

    number: int
    of: int
    seeds: int
    helps: bool


@dataclass(frozen=True, kw_only=True)
class ClaimResult:
    """A claim with its verdict.

    `estimate` is the first side less the second (for “best of all”, less the rival that decides, `rival`), in the
    metric's own unit. `seeds` are those used, `left_out` those that some arm did not finish or has no value for. `mdd`
    is the smallest detectable difference, `seeds_needed` and `cases_needed` what it takes to detect the margin, None
    where no number is enough. `order_shown` is the share of pairs of single runs that show the claimed order.
    `finished` counts finished runs by arm, `collapsed` those that collapsed, `diverged` those that diverged;
    `collapse_p` and `diverge_p` compare the two sides by Fisher's exact test. `without` is the estimate without the
    collapsed runs, over `seeds_without` seeds. `carried_by` is 1 or 2 where so few seeds carry the result. `monotone`
    is the p of a trend in every step. `agreed`: see `Question`. `bootstrap` is the percentile interval of the two-way
    bootstrap, from 20 seeds on; `single` what one run each shows, where there is one seed. `look` is the look at a
    growing study that this is of.
    """

    claim: Claim
    decision: Decision
    estimate: Estimate
    rival: str | None
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    cases: int
    agreed: int | None
    family: int
    mdd: float
    seeds_needed: int | None
    cases_needed: int | None
    order_shown: float
    monotone: float
    finished: dict[str, int]
    collapsed: dict[str, int]
    collapse_p: float
    diverged: dict[str, int]
    diverge_p: float
    without: Estimate | None
    seeds_without: int
    carried_by: int
    bootstrap: tuple[float, float] = (math.nan, math.nan)
    single: OneRunEach | None = None
    look: Look | None = None

    @property
    def rival_arm(self) -> str | None:
        """The arm that decides a claim of “best of all”, by name."""
        if self.rival is None:
            return None
        weights = self.claim.contrasts[self.claim.rivals.index(self.rival)]
        return next(arm for arm, weight in weights.items() if weight < 0)

    @property
    def gain(self) -> float:
        """The estimate in the claimed direction."""
        return self.claim.sign * self.estimate.value

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return self.decision.verdict


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """The contrasts of one claim, each with its seeds, its ψ (R,), its estimate, and the cases that its arms agree on.

    These are counted only where an estimate is 0 without variance: see `Question.agreed`.
    """

    seeds: tuple[tuple[int, ...], ...]
    psi: tuple[np.ndarray, ...]
    estimates: tuple[Estimate, ...]
    agreed: tuple[int | None, ...]

    def question(self, claim: Claim) -> Question:
        """Return what the claim asks; a comparison with too few seeds is one of several that says nothing."""
        most = max(len(seeds) for seeds in self.seeds)
        return Question(
            gains=tuple(
                turned(e, claim.sign) if len(seeds) >= min(FEWEST_SEEDS, most) else NOTHING
                for e, seeds in zip(self.estimates, self.seeds, strict=True)
            ),
            margin=claim.margin,
            seeds=most,
            equal=claim.kind == "equal",
            agreed=self.agreed,
        )


def judge_claims(claims: Sequence[Claim], evidence: Evidence, looks: Looks | None = None) -> list[ClaimResult]:
    """Return every claim with its verdict, primary and secondary ones each a family of their own.

    With `looks`, as at one of the looks at a growing study: p-values and intervals are corrected for all of them.
    """
    results: dict[str, ClaimResult] = {}
    for role in ("primary", "secondary"):
        family = [claim for claim in claims if claim.role == role]
        results |= {result.claim.id: result for result in _judge_family(family, evidence, looks)}
    return [results[claim.id] for claim in claims]


def _judge_family(claims: Sequence[Claim], evidence: Evidence, looks: Looks | None) -> list[ClaimResult]:
    broken = {key for key, run in evidence.runs.items() if run.collapsed}
    measured = [measure(claim, evidence, (), looks) for claim in claims]
    whole = [measure(claim, evidence, broken, looks) if _touches(claim, broken) else m
             for claim, m in zip(claims, measured, strict=True)]  # fmt: skip
    decisions = decide([m.question(claim) for claim, m in zip(claims, measured, strict=True)], looks)
    again = decide([m.question(claim) for claim, m in zip(claims, whole, strict=True)], looks)
    results = []
    for claim, m, sound, decision, without in zip(claims, measured, whole, decisions, again, strict=True):
        collapsed = _touches(claim, broken)
        final = _both_ways(decision, without) if collapsed else decision
        results.append(_result(claim, evidence, m, final, len(claims), sound if collapsed else None))
    return results


def _touches(claim: Claim, keys: Collection[tuple[str, int]]) -> bool:
    return any(arm in claim.arms for arm, _ in keys)


def _both_ways(decision: Decision, without: Decision) -> Decision:
    """Return a decision that holds with and without the collapsed seeds, else undecided.

    Two modes break the t interval: at one collapse in ten seeds a 95 % interval covers 66 % at R = 6.
    """
    if decision.verdict is Verdict.UNDECIDED and without.verdict is Verdict.UNDECIDED:
        return decision
    if decision.verdict is not without.verdict:
        return replace(decision, verdict=Verdict.UNDECIDED, qualifier="collapse")
    practical = decision.qualifier == "no practical difference"
    return replace(decision, qualifier=None) if practical else decision


def measure(
    claim: Claim, evidence: Evidence, broken: Collection[tuple[str, int]], looks: Looks | None = None
) -> _Measured:
    """Return the contrasts of a claim, each over the seeds that all its arms have, without the runs in `broken`."""
    parts = [_contrast(claim, weights, evidence, broken) for weights in claim.contrasts]
    if looks is not None:
        parts = [(seeds, psi_R, widened(found, looks.level)) for seeds, psi_R, found in parts]
    return _Measured(
        seeds=tuple(seeds for seeds, _, _ in parts),
        psi=tuple(psi_R for _, psi_R, _ in parts),
        estimates=tuple(found for _, _, found in parts),
        agreed=tuple(
            agreed_cases(claim.metric, [[evidence.runs[arm, seed] for seed in seeds] for arm in weights])
            if found.se == 0 == found.value
            else None
            for weights, (seeds, _, found) in zip(claim.contrasts, parts, strict=True)
        ),
    )


def _contrast(
    claim: Claim, weights: Mapping[str, float], evidence: Evidence, broken: Collection[tuple[str, int]]
) -> tuple[tuple[int, ...], np.ndarray, Estimate]:
    """Return the seeds that are there, ψ (R,) and the estimate of one contrast."""
    arms = tuple(weights)
    there = evidence.shared_seeds(claim.metric, arms)
    seeds = tuple(seed for seed in there if not any((arm, seed) in broken for arm in arms))
    if not seeds:
        return (), np.empty(0), NOTHING
    theta_TR = evidence.values(claim.metric, arms, seeds)
    try:
        covariance = evidence.covariance(claim.metric, arms, seeds)
    except Unpaired:
        covariance = np.full((len(arms), len(seeds)) * 2, math.nan)
    psi_R, cov_RR = combined(theta_TR, np.array(list(weights.values())), covariance)
    moved_R = _less(psi_R, claim.offset)
    return seeds, moved_R, estimate(moved_R, cov_RR)


def _less(psi_R: np.ndarray, offset: float) -> np.ndarray:
    moved = psi_R - offset
    return np.where(np.abs(moved) <= 1e-12 * abs(offset), 0.0, moved)


def turned(e: Estimate, sign: int) -> Estimate:
    """Return an estimate in the other direction where `sign` is −1."""
    return e if sign > 0 else replace(e, value=-e.value, lo=-e.hi, hi=-e.lo)


def _result(
    claim: Claim, evidence: Evidence, m: _Measured, decision: Decision, family: int, sound: _Measured | None
) -> ClaimResult:
    index = deciding(m.question(claim), decision.verdict)
    found, used = m.estimates[index], m.seeds[index]
    seeds = len(used)
    spread = found.seed_var * seeds
    cases = cases_behind(claim.metric, evidence.runs[next(iter(claim.contrasts[index])), used[0]]) if seeds else 0
    done = {arm: len(evidence.seeds_of(arm)) for arm in claim.arms}
    collapsed = {arm: n for arm in claim.arms if (n := _count_collapsed(evidence, arm))}
    diverged = {arm: n for arm in claim.arms if (n := evidence.diverged.get(arm, 0))}
    arms = claim.contrasts[index]
    tried = sorted({seed for arm in arms for seed in evidence.seeds_of(arm)})
    return ClaimResult(
        claim=claim,
        decision=decision,
        estimate=found,
        rival=claim.rivals[index] if claim.rivals else None,
        seeds=used,
        left_out=tuple(seed for seed in tried if seed not in used),
        cases=cases,
        agreed=m.agreed[index],
        family=family,
        mdd=detectable(spread, found.case_var, seeds, family),
        seeds_needed=seeds_needed(spread, found.case_var, claim.margin, family),
        cases_needed=cases_needed(spread, found.case_var, seeds, cases, claim.margin, family) if cases else None,
        order_shown=_order_shown(claim, evidence, used, index),
        monotone=_monotone(claim, evidence, used),
        finished=done,
        collapsed=collapsed,
        collapse_p=_rates_p(claim, index, collapsed, done),
        diverged=diverged,
        diverge_p=_rates_p(claim, index, diverged, {arm: n + diverged.get(arm, 0) for arm, n in done.items()}),
        without=sound.estimates[index] if sound is not None and len(sound.seeds[index]) > 1 else None,
        seeds_without=len(sound.seeds[index]) if sound is not None else seeds,
        carried_by=_carried(m.psi[index], found, claim) if seeds >= FEWEST_SEEDS else 0,
        single=_one_run_each(claim, evidence, used[0]) if seeds == 1 else None,
    )


def _one_run_each(claim: Claim, evidence: Evidence, seed: int) -> OneRunEach | None:
    if claim.metric != "accuracy" or claim.kind not in ("two arms", "equal") or len(claim.arms) != 2:
        return None
    runs = [evidence.runs[arm, seed].test for arm in claim.arms]
    labels_N = runs[0][0].labels_N
    if runs[0][0].key != runs[1][0].key:
        return None
    a, b = (calls(logits) == labels_N for _, logits in runs)
    table = ((int((a & b).sum()), int((a & ~b).sum())), (int((~a & b).sum()), int((~a & ~b).sum())))
    difference = table[0][1] - table[1][0]
    return OneRunEach(
        accuracies=(float(a.mean()), float(b.mean())),
        first=wilson(int(a.sum()), len(a)),
        second=wilson(int(b.sum()), len(b)),
        difference=difference,
        discordant=table[0][1] + table[1][0],
        mcnemar_p=mcnemar_exact(table),
        largest=largest_discordant(difference),
    )


def with_bootstrap(result: ClaimResult, evidence: Evidence) -> ClaimResult:
    """Return a claim's result with the interval of the two-way bootstrap, where there are 20 seeds and test cases."""
    claim = result.claim
    if len(result.seeds) < BOOTSTRAP_SEEDS or claim.metric not in CASE_METRICS or math.isnan(result.estimate.lo):
        return result
    if evidence.runs[result.claim.arms[0], result.seeds[0]].test[1].ndim > 1:
        # its weighted metrics are those of two classes
        return result
    arms = [arm for arm, weight in _binding_weights(result).items() if weight]
    runs = [[evidence.runs[arm, seed] for seed in result.seeds] for arm in arms]
    cases = runs[0][0].test[0]
    interval = two_way_interval(
        claim.metric,
        np.array([[run.test[1] for run in row] for row in runs]),
        cases.labels_N,
        cases.subjects_N,
        np.array([_binding_weights(result)[arm] for arm in arms]),
        np.random.Generator(np.random.PCG64(0)),
    )
    return replace(result, bootstrap=(interval[0] - claim.offset, interval[1] - claim.offset))


def _binding_weights(result: ClaimResult) -> dict[str, float]:
    claim = result.claim
    return claim.contrasts[claim.rivals.index(result.rival) if result.rival is not None else 0]


def _carried(psi_R: np.ndarray, found: Estimate, claim: Claim) -> int:
    matters = found.p < 0.05 or abs(found.value) >= claim.margin
    return carried_by(psi_R) if matters and claim.kind != "equal" else 0


def _order_shown(claim: Claim, evidence: Evidence, seeds: Sequence[int], index: int) -> float:
    """Return the share of pairs of single runs, one of each side, that show the claimed order; NaN for other kinds."""
    weights = claim.contrasts[index]
    if not seeds or claim.kind not in ("two arms", "best") or len(weights) != 2:
        return math.nan
    first, second = (evidence.values(claim.metric, [arm], seeds)[0] for arm in weights)
    return order_shown(claim.sign * first, claim.sign * second)


def _monotone(claim: Claim, evidence: Evidence, seeds: Sequence[int]) -> float:
    if not claim.steps or len(seeds) < 2:
        return math.nan
    arms = claim.arms
    theta_TR = evidence.values(claim.metric, arms, seeds)
    try:
        covariance = evidence.covariance(claim.metric, arms, seeds)
    except Unpaired:
        return math.nan
    weights = [np.array([step.get(arm, 0.0) for arm in arms]) for step in claim.steps]
    return monotone_p([turned(estimate(*combined(theta_TR, w, covariance)), claim.sign) for w in weights])


def _count_collapsed(evidence: Evidence, arm: str) -> int:
    return sum(evidence.runs[arm, seed].collapsed for seed in evidence.seeds_of(arm))


def _rates_p(claim: Claim, index: int, counts: Mapping[str, int], totals: Mapping[str, int]) -> float:
    """Return Fisher's p of equal rates on the two sides; NaN where nothing is to be compared."""
    weights = claim.contrasts[index] if claim.kind in ("two arms", "equal", "best") else {}
    sides = [[arm for arm, w in weights.items() if w * sign > 0] for sign in (1, -1)]
    found = [(sum(counts.get(arm, 0) for arm in side), sum(totals[arm] for arm in side)) for side in sides]
    if not all(total for _, total in found) or not any(count for count, _ in found):
        return math.nan
    return rates_differ(*found[0], *found[1])
