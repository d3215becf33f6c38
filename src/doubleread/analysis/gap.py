"""Why validation and test differ, arm by arm and over the arms; and what stands beside it."""

# R seeds, N cases

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from doubleread.analysis.evidence import CaseSet, RunScores
from doubleread.metrics import CASE_METRICS
from doubleread.seeds import stream
from doubleread.stats import (
    CASE_COVARIANCES,
    BothSplits,
    Estimate,
    Gap,
    GapDraws,
    LabelShift,
    OperatingPoint,
    Reliability,
    Rule,
    Scored,
    calibration_covariance,
    called_positive_covariance,
    estimate,
    gap_draws,
    gap_of,
    label_shift,
    least_cost,
    operating_point,
    outputs_differ,
    platt,
    reliability,
    sensitivity_at_least,
    specificity_at_least,
    temperature,
    youden,
)
from doubleread.study import ThresholdSpec

HALF = "0.5"
DRAWS, FEWEST_DRAWS, MOST_DRAWN = 1000, 200, 200_000
"""Redraws of a run, and of all together: of many runs each has fewer, because they have their chance in common."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitFigures:
    """One split of an arm: its prevalence; AUROC, Brier score, share of positive calls; calibration.

    The slope is that of the runs that have one: logits that hardly differ, as those of a collapsed run, do not.
    """

    prevalence: float
    auroc: Estimate
    brier: Estimate
    called_positive: Estimate
    intercept: Estimate
    slope: Estimate
    reliability: Reliability


@dataclass(frozen=True, kw_only=True, slots=True)
class Rescaled:
    """Test figures after a rescaling of the logits that was fitted on validation; `accuracy` is that at 0.5."""

    brier: Estimate
    accuracy: Estimate
    ece: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmGap:
    """One arm: its gap in parts, and what stands beside it.

    `points` are operating points by the name of their rule, 0.5 first; `outputs` has for each class the p that the
    mean logits of its validation and test cases have one distribution; `rescaled` the logits as they are, and after
    `temperature` and `platt` scaling. The gap is that of `gap_seeds`: where leakage is measured, those that have both
    runs; all else is of `seeds`.
    """

    arm: str
    seeds: tuple[int, ...]
    gap_seeds: tuple[int, ...]
    collapsed: int
    gap: Gap
    val: SplitFigures
    test: SplitFigures
    label_shift: LabelShift
    outputs: dict[int, float]
    points: dict[str, OperatingPoint]
    rescaled: dict[str, Rescaled]


@dataclass(frozen=True, kw_only=True, slots=True)
class Gaps:
    """Every arm's gap, and `overall` that of their mean, over the seeds that all have, `overall_seeds`.

    None where there is one arm, where no seed is common to all, or where leakage is measured in some arms alone.
    """

    arms: tuple[ArmGap, ...]
    overall: Gap | None
    overall_seeds: tuple[int, ...] = ()


def gaps_of(
    arms: Mapping[str, Sequence[RunScores]],
    grouped: Mapping[str, Sequence[RunScores]],
    thresholds: Sequence[ThresholdSpec],
) -> Gaps:
    """Return the gaps of arms, of their finished runs that have validation logits.

    `grouped` has the runs of the arms on a split by groups, where leakage was measured; the gap of an arm then counts
    the seeds that have both. Where fewer than two have, it is that of all its seeds, and leakage not measured.
    """
    runs_of = {
        arm: sorted((run for run in runs if run.val is not None), key=lambda run: run.seed)
        for arm, runs in arms.items()
    }
    runs_of = {arm: runs for arm, runs in runs_of.items() if runs}
    if not runs_of:
        return Gaps(arms=(), overall=None)
    own = {arm: [_both(run, None) for run in runs] for arm, runs in runs_of.items()}
    paired = {arm: _paired(runs, grouped.get(arm, ())) for arm, runs in runs_of.items()}
    scored = {arm: [_both(run, twin) for run, twin in pairs] if pairs else own[arm] for arm, pairs in paired.items()}
    many = max(FEWEST_DRAWS, min(DRAWS, MOST_DRAWN // sum(map(len, scored.values()))))
    draws = dict(zip(scored, gap_draws(list(scored.values()), stream("gap", 0), many), strict=True))
    found = [
        _arm_gap(arm, runs, own[arm], [run.seed for run, _ in paired[arm]], draws[arm], thresholds)
        for arm, runs in runs_of.items()
    ]
    overall, seeds = _overall(found, draws, runs_of)
    return Gaps(arms=tuple(found), overall=overall, overall_seeds=seeds)


def _paired(runs: Sequence[RunScores], twins: Sequence[RunScores]) -> list[tuple[RunScores, RunScores]]:
    """Return the runs that have a twin, with it; none where fewer than two have."""
    of_seed = {twin.seed: twin for twin in twins if twin.val is not None}
    pairs = [(run, of_seed[run.seed]) for run in runs if run.seed in of_seed]
    return pairs if len(pairs) > 1 else []


def _both(run: RunScores, twin: RunScores | None) -> BothSplits:
    assert run.val is not None, "runs without validation were left out"
    other = None if twin is None or twin.val is None else _scored(*twin.val)
    return BothSplits(val=_scored(*run.val), test=_scored(*run.test), grouped=other)


def _scored(cases: CaseSet, logits_N: np.ndarray) -> Scored:
    return Scored(logits_N=logits_N, labels_N=cases.labels_N, subjects_N=cases.subjects_N)


def _overall(
    found: Sequence[ArmGap], draws: Mapping[str, GapDraws], runs_of: Mapping[str, Sequence[RunScores]]
) -> tuple[Gap | None, tuple[int, ...]]:
    """Return the gap of the mean of the arms, and its seeds; runs that stand in several arms count once."""
    different: dict[tuple[int, ...], str] = {}
    for arm, runs in runs_of.items():
        different.setdefault(tuple(id(run.test[1]) for run in runs), arm)
    mine = [gap for gap in found if gap.arm in different.values()]
    shared = sorted(set.intersection(*(set(gap.gap_seeds) for gap in mine)))
    if len(mine) < 2 or not shared or len({draws[gap.arm].has_leakage for gap in mine}) > 1:
        return None, ()
    drawn = [draws[gap.arm].at([gap.gap_seeds.index(seed) for seed in shared]) for gap in mine]
    return gap_of(drawn), tuple(shared)


def _arm_gap(
    arm: str,
    runs: Sequence[RunScores],
    both: Sequence[BothSplits],
    paired_seeds: Sequence[int],
    draws: GapDraws,
    thresholds: Sequence[ThresholdSpec],
) -> ArmGap:
    rules = {HALF: 0.5} | {spec.label: rule_of(spec) for spec in thresholds}
    seeds = tuple(run.seed for run in runs)
    return ArmGap(
        arm=arm,
        seeds=seeds,
        gap_seeds=tuple(paired_seeds) or seeds,
        collapsed=sum(run.collapsed for run in runs),
        gap=gap_of([draws]),
        val=_figures([run.val for run in both]),
        test=_figures([run.test for run in both]),
        label_shift=label_shift(both, stream("label-shift", 0)),
        outputs={label: _outputs(both, label) for label in (0, 1)},
        points={name: operating_point(both, rule, stream("operating", 0)) for name, rule in rules.items()},
        rescaled=_rescaled(both),
    )


def rule_of(spec: ThresholdSpec) -> Rule | float:
    """Return what a threshold is chosen by."""
    if spec.name == "fixed":
        assert spec.value is not None
        return spec.value
    if spec.name == "cost":
        assert spec.false_negative is not None
        assert spec.false_positive is not None
        return partial(least_cost, spec.false_negative, spec.false_positive)
    if spec.name == "youden":
        return lambda _prevalence: youden
    assert spec.value is not None
    wanted = (sensitivity_at_least if spec.name == "sensitivity" else specificity_at_least)(spec.value)
    return lambda _prevalence: wanted


def _figures(scored: Sequence[Scored]) -> SplitFigures:
    prevalence, logits_RN = float(np.mean([one.labels_N.mean() for one in scored])), _stacked(scored)
    if logits_RN is not None:
        curve = reliability(scored[0].labels_N, logits_RN)
        return SplitFigures(prevalence=prevalence, reliability=curve, **_with_cases(scored[0], logits_RN))
    # cases drawn anew for each seed: their chance is in that of the seeds
    each = [_values(one.labels_N, one.logits_N[None], one.subjects_N)[0] for one in scored]
    values = {name: np.concatenate([of_seed[name] for of_seed in each]) for name in each[0]}
    every = [np.concatenate(parts) for parts in zip(*((one.labels_N, one.logits_N) for one in scored), strict=True)]
    return SplitFigures(
        prevalence=prevalence,
        reliability=reliability(every[0], every[1][None], runs=len(scored)),
        **{name: _estimate(values_R, None) for name, values_R in values.items()},
    )


def _stacked(scored: Sequence[Scored]) -> np.ndarray | None:
    """Return the logits of all runs, (R, N), or None where they were not scored on the same cases."""
    first = scored[0]
    same = all(
        one.subjects_N is first.subjects_N
        or (np.array_equal(one.subjects_N, first.subjects_N) and np.array_equal(one.labels_N, first.labels_N))
        for one in scored
    )
    return np.stack([one.logits_N for one in scored]) if same else None


def _with_cases(cases: Scored, logits_RN: np.ndarray) -> dict[str, Estimate]:
    labels_N, subjects_N = cases.labels_N, cases.subjects_N
    values, covariances = _values(labels_N, logits_RN, subjects_N)
    covariances |= {
        "auroc": CASE_COVARIANCES["auroc"](logits_RN, labels_N, subjects_N),
        "brier": CASE_COVARIANCES["brier"](logits_RN, labels_N, subjects_N),
        "called_positive": called_positive_covariance(logits_RN, labels_N, subjects_N),
    }
    return {name: _estimate(values_R, covariances[name]) for name, values_R in values.items()}


def _values(
    labels_N: np.ndarray, logits_RN: np.ndarray, subjects_N: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the figures of R runs, (R,) each, and the covariances of the two of calibration, (R, R) each."""
    calibrated = calibration_covariance(labels_N, logits_RN, subjects_N)
    values = {
        "auroc": np.array([CASE_METRICS["auroc"](labels_N, logits_N) for logits_N in logits_RN]),
        "brier": np.array([CASE_METRICS["brier"](labels_N, logits_N) for logits_N in logits_RN]),
        "called_positive": (logits_RN > 0).mean(axis=1),
        **{name: found for name, (found, _) in calibrated.items()},
    }
    return values, {name: covariance for name, (_, covariance) in calibrated.items()}


def _estimate(values_R: np.ndarray, covariance_RR: np.ndarray | None) -> Estimate:
    """Return the mean over the seeds for which there is a value, with its interval."""
    known = np.flatnonzero(~np.isnan(values_R))
    return estimate(values_R[known], None if covariance_RR is None else covariance_RR[np.ix_(known, known)])


def _outputs(both: Sequence[BothSplits], label: int) -> float:
    """Return the p that the seeds' mean logits of one class have one distribution on validation and test."""
    val, test = _stacked([run.val for run in both]), _stacked([run.test for run in both])
    # where validation is redrawn for each seed, one seed speaks for itself
    val_N = both[0].val.logits_N if val is None else val.mean(axis=0)
    test_N = both[0].test.logits_N if val is None or test is None else test.mean(axis=0)
    v, t = both[0].val, both[0].test
    mine_v, mine_t = v.labels_N == label, t.labels_N == label
    return outputs_differ(val_N[mine_v], v.subjects_N[mine_v], test_N[mine_t], t.subjects_N[mine_t])


def _rescaled(both: Sequence[BothSplits]) -> dict[str, Rescaled]:
    maps = {"none": [(1.0, 0.0)] * len(both), "temperature": [], "platt": []}
    for run in both:
        maps["temperature"].append((1 / temperature(run.val.labels_N, run.val.logits_N), 0.0))
        maps["platt"].append(platt(run.val.labels_N, run.val.logits_N))
    return {name: _after([run.test for run in both], lines) for name, lines in maps.items()}


def _after(test: Sequence[Scored], lines: Sequence[tuple[float, float]]) -> Rescaled:
    cases = test[0]
    logits_RN = np.stack([slope * one.logits_N + base for one, (slope, base) in zip(test, lines, strict=True)])

    def estimated(metric: str) -> Estimate:
        values_R = np.array([CASE_METRICS[metric](cases.labels_N, logits_N) for logits_N in logits_RN])
        return _estimate(values_R, CASE_COVARIANCES[metric](logits_RN, cases.labels_N, cases.subjects_N))

    ece = float(np.mean([CASE_METRICS["ece"](cases.labels_N, logits_N) for logits_N in logits_RN]))
    return Rescaled(brier=estimated("brier"), accuracy=estimated("accuracy"), ece=ece)
