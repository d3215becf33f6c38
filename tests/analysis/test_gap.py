"""The gap of arms from their runs: which seeds count, what is not measured, shared runs, redrawn validation."""

import math

import numpy as np
import pytest

from doubleread.analysis import CaseSet, RunScores, class_confusion, gaps_of, worst_cases
from doubleread.study.threshold_spec import ThresholdSpec


def cases(name, n=60):
    return CaseSet(
        names=tuple(f"{name}{i}" for i in range(n)),
        labels_N=np.arange(n) % 2,
        subjects_N=np.array([f"{name}{i // 2 * 2 + i % 2}" for i in range(n)]),
    )


VAL, TEST, GROUPED = cases("v"), cases("t"), cases("g")


def run(arm, seed, *, shift=0.0, val=VAL):
    rng = np.random.default_rng(seed)

    def logits(of, moved):
        return ((2 * of.labels_N - 1) * 1.5 + moved + rng.normal(size=len(of.names))).astype(np.float32)

    return RunScores(
        arm=arm, seed=seed, collapsed=False, metrics={}, test=(TEST, logits(TEST, shift)), val=(val, logits(val, 0.0))
    )


def test_seeds_that_have_both_runs_count_in_the_gap_and_all_in_the_rest():
    own = [run("a", seed, shift=2.0) for seed in range(8)]
    found = gaps_of({"a": own}, {"a": [run("a", seed, val=GROUPED) for seed in (1, 2, 5, 6, 7, 9)]}, ()).arms[0]
    assert found.gap_seeds == (1, 2, 5, 6, 7)
    assert found.seeds == tuple(range(8))
    assert found.gap.leakage is not None
    assert len(found.points["0.5"].thresholds_R) == 8


def test_one_twin_alone_measures_no_leakage():
    own = [run("a", seed, shift=2.0) for seed in range(8)]
    found = gaps_of({"a": own}, {"a": [run("a", 3, val=GROUPED)]}, ()).arms[0]
    assert found.gap.leakage is None
    assert found.gap_seeds == found.seeds == tuple(range(8))


def test_the_mean_of_the_arms_is_over_the_seeds_that_all_have():
    arms = {"a": [run("a", seed, shift=2.0) for seed in range(8)], "b": [run("b", seed + 50) for seed in range(8)]}
    arms["b"] = [RunScores(**{**scores.__dict__, "seed": scores.seed - 50}) for scores in arms["b"][1:]]
    found = gaps_of(arms, {}, ())
    assert found.overall_seeds == tuple(range(1, 8))
    by_hand = [
        np.mean([np.mean((r.val[1] > 0) == VAL.labels_N) - np.mean((r.test[1] > 0) == TEST.labels_N) for r in runs])
        for runs in (arms["a"][1:], arms["b"])
    ]
    assert found.overall.gap.value == pytest.approx(np.mean(by_hand))


def test_more_seeds_than_are_redrawn_with_one_missing():
    arms = {name: [run(name, seed, shift=s) for seed in range(36)] for name, s in (("a", 1.0), ("b", 0.0))}
    del arms["b"][3]
    found = gaps_of(arms, {}, ())
    assert len(found.overall_seeds) == 35
    assert not math.isnan(found.overall.gap.lo)


def test_a_run_that_stands_in_two_arms_counts_once_in_their_mean():
    own = [run("a", seed, shift=2.0) for seed in range(6)]
    again = [RunScores(**{**scores.__dict__, "arm": "b"}) for scores in own]
    found = gaps_of({"a": own, "b": again}, {}, ())
    assert found.overall is None
    assert found.arms[0].gap.gap.value == found.arms[1].gap.gap.value


def test_validation_that_is_redrawn_for_each_seed():
    own = [run("a", seed, shift=1.0, val=cases(f"v{seed % 3}-")) for seed in range(6)]
    found = gaps_of({"a": own}, {}, (ThresholdSpec(name="youden"),)).arms[0]
    assert not math.isnan(found.gap.gap.lo)
    assert found.val.reliability.cases.sum() == pytest.approx(60)
    assert list(found.points) == ["0.5", "youden"]


def test_arms_without_validation_have_no_gap():
    own = [RunScores(**{**run("a", seed).__dict__, "val": None}) for seed in range(6)]
    assert gaps_of({"a": own}, {}, ()).arms == ()


def test_the_worst_cases_are_those_most_confidently_wrong():
    runs = [run("a", seed) for seed in range(6)] + [run("b", seed + 9) for seed in range(6)]
    for scores in runs:
        scores.test[1][7] = -8.0
    worst, *others = worst_cases(runs, 5)
    assert (worst.case, worst.label, worst.wrong) == ("t7", 1, 1.0)
    assert worst.by_arm == {"a": 1.0, "b": 1.0}
    assert worst.called == 0
    assert worst.chance == pytest.approx(1, abs=1e-3)
    assert all(case.wrong > 0 for case in others)


def test_confusion_counts_every_case():
    runs = [run("a", seed) for seed in range(4)]
    found = class_confusion(runs, 2, validation=False)
    assert found.shape == (4, 2, 2)
    assert found.sum(axis=(1, 2)).tolist() == [60] * 4
    assert found[:, 0, 1].tolist() == [int(((r.test[1] > 0) & (TEST.labels_N == 0)).sum()) for r in runs]


def test_every_rule_of_a_study_chooses_its_threshold_on_validation():
    own = [run("a", seed) for seed in range(2)]
    rules = [
        ThresholdSpec(name="fixed", value=0.3),
        ThresholdSpec(name="cost", false_negative=5, false_positive=1),
        ThresholdSpec(name="sensitivity", value=0.9),
        ThresholdSpec(name="specificity", value=0.8),
    ]
    points = gaps_of({"a": own}, {}, rules).arms[0].points
    assert list(points) == ["0.5", "0.3", "cost 5 : 1", "sensitivity ≥ 0.9", "specificity ≥ 0.8"]
    assert points["0.3"].thresholds_R == pytest.approx([0.3, 0.3])
    positive = VAL.labels_N == 1
    for row, scores in enumerate(own):
        called = {
            name: scores.val[1] > math.log(chosen / (1 - chosen))
            for name, point in points.items()
            for chosen in [point.thresholds_R[row]]
        }
        rates = {name: (calls[positive].mean(), 1 - calls[~positive].mean()) for name, calls in called.items()}
        cuts = [scores.val[1] > cut for cut in (-math.inf, *scores.val[1])]
        possible = [(calls[positive].mean(), 1 - calls[~positive].mean()) for calls in cuts]
        assert min(rates["sensitivity ≥ 0.9"][0] - 0.9, rates["specificity ≥ 0.8"][1] - 0.8) >= -1e-9
        assert rates["sensitivity ≥ 0.9"][1] == max(spec for sens, spec in possible if sens >= 0.9)
        assert rates["specificity ≥ 0.8"][0] == max(sens for sens, spec in possible if spec >= 0.8)
        # as many cases of each class: a missed one is as dear as five that are called wrongly
        saved = [5 * sens + spec for sens, spec in (rates["cost 5 : 1"], *possible)]
        assert saved[0] == max(saved)
