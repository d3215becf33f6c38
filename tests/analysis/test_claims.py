"""Verdicts from evidence: every kind of claim, and everything that has no plain answer."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from doubleread import metrics
from doubleread.analysis import CaseSet, Evidence, RunScores, judge_claims
from doubleread.analysis.claims import with_bootstrap
from doubleread.report.sentences import notes
from doubleread.stats import Verdict
from doubleread.study import ClaimSpec, resolve_claims

LABELS = np.tile([0, 1], 100)
CASES = CaseSet(names=tuple(f"c{i}" for i in range(200)), labels_N=LABELS, subjects_N=np.arange(200))
SHARED = np.random.default_rng(0).normal(size=200)


def scores(arm, seed, skill, *, collapsed=False, cases=CASES, seconds=None, noise=0.5):
    rng = np.random.default_rng([seed, sum(map(ord, arm))])
    labels = cases.labels_N
    logits = skill * (2 * labels - 1) + 0.8 * SHARED[: len(labels)] + noise * rng.normal(size=len(labels))
    logits = logits + 0.1 * rng.normal()
    if collapsed:
        logits = np.full(len(labels), 0.3)
    found = {name: metric(labels, logits) for name, metric in metrics.CASE_METRICS.items()}
    found |= {"val_accuracy": found["accuracy"], "gap": 0.0, "train_gap": 0.1 + 0.01 * rng.normal()}
    found["seconds"] = seconds if seconds is not None else 10 + rng.normal()
    return RunScores(arm=arm, seed=seed, collapsed=collapsed, metrics=found, test=(cases, logits), val=(cases, logits))


def evidence(skills, seeds=10, **more):
    return Evidence([scores(arm, seed, skill, **more) for arm, skill in skills.items() for seed in range(seeds)])


def claims(arms, *specs, levels=None):
    known = levels or {arm: {"f": arm.partition("/")[2] or arm} for arm in arms}
    return resolve_claims(
        [ClaimSpec(**{"id": f"c{i}", **s}) for i, s in enumerate(specs)], "e", known, {}, "study.yaml"
    )


def judge_one(found, spec, **more):
    return judge_claims(claims(found.arms, spec, **more), found)[0]


GOOD_AND_BAD = {"good": 1.0, "bad": 0.4}


def test_two_arms():
    found = evidence(GOOD_AND_BAD)
    supported = judge_one(found, {"metric": "accuracy", "better": "good", "than": "bad"})
    contradicted = judge_one(found, {"metric": "accuracy", "better": "bad", "than": "good"})
    lower = judge_one(found, {"metric": "accuracy", "lower": "bad", "than": "good"})
    assert [r.verdict for r in (supported, contradicted, lower)] == ["supported", "contradicted", "supported"]
    assert supported.estimate.value == -contradicted.estimate.value
    assert (supported.gain, contradicted.gain) == (supported.estimate.value, contradicted.estimate.value)
    assert lower.gain == -lower.estimate.value == supported.gain
    assert supported.order_shown == pytest.approx(1.0)
    assert supported.cases == 200


def test_better_follows_the_metric():
    found = evidence(GOOD_AND_BAD)
    result = judge_one(found, {"metric": "brier", "better": "good", "than": "bad", "margin": 0.01})
    assert result.estimate.value < 0 < result.gain
    assert result.verdict == "supported"


def test_a_metric_of_the_run_is_a_paired_t():
    found = Evidence(
        [
            scores(arm, s, 1.0, seconds=t + 0.1 * s + 0.01 * (s % 3))
            for arm, t in (("a", 3.0), ("b", 4.0))
            for s in range(8)
        ]
        + [scores("a", 99, 1.0)]
    )
    spec = {"metric": "seconds", "better": "a", "than": "b", "margin": 0.1}
    values = found.values("seconds", ["a", "b"], range(8))
    moved = Evidence([
        scores(arm, s, 1.0, seconds=float(values[i, s] + (0.02 * math.sin(s) if arm == "a" else 0)))
        for i, arm in enumerate(("a", "b")) for s in range(8)
    ])  # fmt: skip
    result = judge_one(moved, spec)
    exact = stats.ttest_rel(*moved.values("seconds", ["a", "b"], range(8)))
    assert result.estimate.case_var == 0
    assert result.decision.p == pytest.approx(exact.pvalue)
    assert (result.estimate.lo, result.estimate.hi) == pytest.approx(tuple(exact.confidence_interval(0.95)))
    assert judge_one(found, spec).left_out == (99,)


def test_equal():
    found = evidence({"a": 1.0, "b": 1.0}, noise=0.05)
    result = judge_one(found, {"metric": "accuracy", "same": ["a", "b"], "margin": 0.03})
    assert result.verdict == "supported"
    se, df, d = result.estimate.se, result.estimate.df, result.estimate.value
    assert result.decision.p == pytest.approx(
        max(stats.t.sf((0.03 + d) / se, df), stats.t.sf((0.03 - d) / se, df)), rel=1e-6
    )
    assert judge_one(evidence(GOOD_AND_BAD), {"metric": "accuracy", "same": ["good", "bad"]}).verdict == "contradicted"


def test_trend():
    found = evidence({"e/1": 0.3, "e/10": 0.6, "e/100": 0.9})
    result = judge_one(found, {"metric": "auroc", "trend": "increasing"})
    ends = found.values("auroc", ["e/100", "e/1"], range(10)).mean(axis=1)
    assert result.verdict == "supported"
    assert result.monotone < 0.05
    assert result.estimate.value == pytest.approx(ends[0] - ends[1])
    assert judge_one(found, {"metric": "auroc", "trend": "decreasing"}).verdict == "contradicted"
    hump = judge_one(evidence({"e/1": 0.3, "e/10": 0.9, "e/100": 0.7}), {"metric": "auroc", "trend": "increasing"})
    assert hump.verdict == "supported"
    assert hump.monotone > 0.05


def test_best_and_worst():
    found = evidence({"a": 1.2, "b": 0.6, "c": 0.4})
    best = judge_one(found, {"metric": "accuracy", "best": "a"})
    assert (best.verdict, best.rival, best.rival_arm) == ("supported", "b", "b")
    pairs = [judge_one(found, {"metric": "accuracy", "better": "a", "than": other}) for other in "bc"]
    assert best.decision.p == max(pair.decision.p for pair in pairs)
    lost = judge_one(found, {"metric": "accuracy", "best": "b"})
    assert (lost.verdict, lost.rival) == ("contradicted", "a")
    assert judge_one(found, {"metric": "accuracy", "worst": "c"}).verdict == "supported"


def test_one_arm_against_a_number():
    found = evidence({"a": 1.0})
    mean = float(found.values("accuracy", ["a"], range(10)).mean())
    above = judge_one(found, {"metric": "accuracy", "arm": "a", "above": mean - 0.2})
    below = judge_one(found, {"metric": "accuracy", "arm": "a", "below": mean - 0.2})
    assert (above.verdict, below.verdict) == ("supported", "contradicted")
    assert above.estimate.value == pytest.approx(0.2)
    assert judge_one(found, {"metric": "accuracy", "arm": "a", "above": mean}).verdict in ("undecided", "not supported")


GRID = {f"e/{loss},{b}": {"loss": loss, "batch": str(b)} for loss in ("bce", "ce") for b in (8, 32)}


def test_main_effects_average_over_the_other_factors():
    found = evidence({"e/bce,8": 1.0, "e/bce,32": 1.4, "e/ce,8": 0.4, "e/ce,32": 0.5})
    spec = {"metric": "accuracy", "better": {"loss": "bce"}, "than": {"loss": "ce"}}
    result = judge_one(found, spec, levels=GRID)
    means = found.values("accuracy", list(GRID), range(10)).mean(axis=1)
    assert result.estimate.value == pytest.approx((means[0] + means[1] - means[2] - means[3]) / 2)
    assert result.verdict == "supported"


def test_interaction_is_a_difference_of_differences():
    found = evidence({"e/bce,8": 0.6, "e/bce,32": 1.6, "e/ce,8": 0.6, "e/ce,32": 0.6})
    spec = {"metric": "accuracy", "better": {"loss": "bce"}, "than": {"loss": "ce"},
            "more_at": {"batch": 32}, "than_at": {"batch": 8}}  # fmt: skip
    result = judge_one(found, spec, levels=GRID)
    m = dict(zip(GRID, found.values("accuracy", list(GRID), range(10)).mean(axis=1), strict=True))
    difference = (m["e/bce,32"] - m["e/ce,32"]) - (m["e/bce,8"] - m["e/ce,8"])
    assert result.estimate.value == pytest.approx(difference)
    assert (result.claim.kind, result.verdict) == ("interaction", "supported")


def test_a_trend_in_a_grid_names_its_factor():
    found = evidence({"e/bce,8": 0.4, "e/bce,32": 1.0, "e/ce,8": 0.4, "e/ce,32": 1.0})
    result = judge_one(found, {"metric": "accuracy", "trend": "increasing", "factor": "batch"}, levels=GRID)
    assert result.verdict == "supported"


def test_primary_and_secondary_claims_are_families_of_their_own():
    found = evidence({"a": 1.0, "b": 0.9})
    spec = {"metric": "accuracy", "better": "a", "than": "b"}
    alone = judge_one(found, spec)
    many = judge_claims(claims(found.arms, spec, *[{**spec, "role": "secondary"}] * 5), found)
    assert many[0].decision.p_holm == alone.decision.p_holm
    assert many[1].decision.p_holm == pytest.approx(min(1, 5 * alone.decision.p))
    assert many[1].mdd > many[0].mdd


# --- what has no plain answer


def test_identical_arms():
    twin = [scores("a", s, 1.0) for s in range(10)]
    both = Evidence([*twin, *(RunScores(**{**vars(run), "arm": "b"}) for run in twin)])
    result = judge_one(both, {"metric": "accuracy", "better": "a", "than": "b"})
    assert (result.estimate.value, result.estimate.se, result.decision.p) == (0.0, 0.0, 1.0)
    assert (result.verdict, result.decision.qualifier) == ("not supported", "no practical difference")


@pytest.mark.parametrize(("seeds", "qualifier"), [(1, "one run each"), (2, "too few seeds"), (5, "too few seeds")])
def test_few_seeds_give_no_verdict(seeds, qualifier):
    result = judge_one(evidence(GOOD_AND_BAD, seeds=seeds), {"metric": "accuracy", "better": "good", "than": "bad"})
    assert (result.verdict, result.decision.qualifier) == ("undecided", qualifier)
    assert math.isnan(result.estimate.lo) == (seeds == 1)
    assert result.estimate.value > 0


def test_one_run_each_is_shown_as_what_it_is():
    result = judge_one(evidence(GOOD_AND_BAD, seeds=1), {"metric": "accuracy", "better": "good", "than": "bad"})
    assert result.single is not None
    assert result.single.first[0] < result.single.accuracies[0] < result.single.first[1]
    assert 0 <= result.single.mcnemar_p <= 1
    assert result.single.discordant >= abs(result.single.difference)


def test_a_constant_difference_without_cases_has_no_uncertainty():
    found = Evidence([scores(arm, s, 1.0, seconds=t) for arm, t in (("a", 3.0), ("b", 4.0)) for s in range(8)])
    result = judge_one(found, {"metric": "seconds", "better": "a", "than": "b", "margin": 0.1})
    assert (result.verdict, result.decision.qualifier) == ("undecided", "no variation")


def test_what_changes_nothing_is_asked_about():
    runs = [scores("a", s, 1.0) for s in range(8)]
    found = Evidence([*runs, *(replace(run, arm="b") for run in runs)])
    result = judge_one(found, {"metric": "accuracy", "better": "a", "than": "b", "margin": 0.1})
    assert result.estimate.se == 0
    assert notes(result)[-1] == "Both sides call all test images alike in every seed: does what was varied do anything?"


def test_constants_of_both_kinds_are_equal_in_accuracy_and_no_result():
    ones = [scores("a", s, 1.0) for s in range(8)]
    cases, logits = ones[0].test
    half = {**ones[0].metrics, "accuracy": 0.5}
    balanced = replace(cases, labels_N=np.arange(len(logits)) % 2)
    runs = [
        replace(run, arm=arm, test=(balanced, np.full(len(logits), sign)), metrics=half, collapsed=True)
        for run in ones
        for arm, sign in (("a", 1.0), ("b", -1.0))
    ]
    result = judge_one(Evidence(runs), {"metric": "accuracy", "better": "a", "than": "b", "margin": 0.1})
    assert (result.estimate.value, result.estimate.se, result.agreed) == (0, 0, None)
    assert (result.verdict, result.decision.qualifier) == ("undecided", "no variation")
    assert not any("alike" in note for note in notes(result))


def collapsing(which, seeds=10):
    runs = [scores("good", s, 1.0) for s in range(seeds)]
    return Evidence([*runs, *(scores("bad", s, 0.4, collapsed=s in which) for s in range(seeds))])


def test_a_verdict_has_to_hold_without_the_seeds_that_collapsed():
    spec = {"metric": "accuracy", "better": "good", "than": "bad"}
    holds = judge_one(collapsing({3}), spec)
    assert (holds.verdict, holds.collapsed) == ("supported", {"bad": 1})
    assert holds.without is not None
    assert len(holds.seeds) == 10
    assert 0 < holds.collapse_p <= 1
    all_gone = judge_one(collapsing(set(range(10))), spec)
    assert (all_gone.verdict, all_gone.decision.qualifier, all_gone.without) == ("undecided", "collapse", None)
    too_few_left = judge_one(collapsing({0, 1, 2, 3, 4}), spec)
    assert (too_few_left.verdict, too_few_left.decision.qualifier) == ("undecided", "collapse")


def test_no_practical_difference_is_not_said_of_arms_that_collapse():
    runs = [scores("a", s, 1.0, noise=0.01, collapsed=s == 0) for s in range(12)]
    twins = [RunScores(**{**vars(run), "arm": "b"}) for run in runs]
    result = judge_one(Evidence([*runs, *twins]), {"metric": "accuracy", "better": "a", "than": "b"})
    assert (result.verdict, result.decision.qualifier) == ("not supported", None)


def test_seeds_that_one_arm_did_not_finish_are_left_out():
    found = evidence(GOOD_AND_BAD)
    fewer = Evidence([run for key, run in found.runs.items() if key not in {("good", 2), ("bad", 7)}])
    result = judge_one(fewer, {"metric": "accuracy", "better": "good", "than": "bad"})
    assert (result.seeds, result.left_out) == ((0, 1, 3, 4, 5, 6, 8, 9), (2, 7))
    few = Evidence([run for key, run in found.runs.items() if key[0] == "good" or key[1] < 5])
    assert judge_one(few, {"metric": "accuracy", "better": "good", "than": "bad"}).decision.qualifier == "too few seeds"
    none = Evidence([run for key, run in found.runs.items() if (key[0] == "good") == (key[1] < 5)])
    nothing = judge_claims(claims(GOOD_AND_BAD, {"metric": "accuracy", "better": "good", "than": "bad"}), none)[0]
    assert (nothing.verdict, nothing.seeds) == ("undecided", ())


def test_a_metric_that_is_nan_in_a_run_leaves_that_seed_out():
    found = evidence(GOOD_AND_BAD)
    found.runs["good", 4].metrics["f1"] = math.nan
    result = judge_one(found, {"metric": "f1", "better": "good", "than": "bad", "margin": 0.02})
    assert result.left_out == (4,)
    assert not math.isnan(result.estimate.p)


def test_a_missing_class_has_no_auroc_and_no_crash():
    only = CaseSet(names=CASES.names, labels_N=np.ones(200, dtype=int), subjects_N=CASES.subjects_N)
    found = evidence(GOOD_AND_BAD, cases=only)
    result = judge_one(found, {"metric": "auroc", "better": "good", "than": "bad"})
    assert (result.verdict, result.seeds, result.decision.qualifier) == ("undecided", (), "not measured")
    assert judge_one(found, {"metric": "accuracy", "better": "good", "than": "bad"}).verdict == "supported"


def test_arms_on_different_cases_are_not_compared():
    other = CaseSet(names=tuple(f"d{i}" for i in range(200)), labels_N=LABELS, subjects_N=np.arange(200))
    runs = [scores("good", s, 1.0) for s in range(8)] + [scores("bad", s, 0.4, cases=other) for s in range(8)]
    result = judge_one(Evidence(runs), {"metric": "accuracy", "better": "good", "than": "bad"})
    assert (result.verdict, result.decision.qualifier) == ("undecided", "not measured")


def test_validation_that_is_redrawn_for_each_seed_counts_as_the_seeds_chance():
    def run(arm, seed, skill):
        cases = CaseSet(names=tuple(f"s{seed}-{i}" for i in range(200)), labels_N=LABELS, subjects_N=np.arange(200))
        mine = scores(arm, seed, skill)
        return RunScores(**{**vars(mine), "val": (cases, mine.val[1])})

    found = Evidence([run(arm, s, skill) for arm, skill in GOOD_AND_BAD.items() for s in range(8)])
    result = judge_one(found, {"metric": "val_accuracy", "better": "good", "than": "bad", "margin": 0.02})
    assert (result.verdict, result.estimate.case_var) == ("supported", 0.0)


def test_two_modes_are_named():
    runs = [scores("a", s, 1.0) for s in range(10)] + [scores("b", s, 1.0 if s else 0.05, noise=0.5) for s in range(10)]
    result = judge_one(Evidence(runs), {"metric": "accuracy", "better": "a", "than": "b"})
    assert result.carried_by == 1


def test_no_number_is_silently_nan_where_there_is_an_interval():
    found = evidence({"e/1": 0.3, "e/10": 0.6, "e/100": 0.9})
    specs = [
        {"metric": "accuracy", "better": "1", "than": "10"},
        {"metric": "auroc", "trend": "increasing"},
        {"metric": "accuracy", "best": "10"},
        {"metric": "brier", "same": ["1", "10"], "margin": 0.01},
        {"metric": "train_gap", "arm": "all", "above": 0, "margin": 0.02},
        {"metric": "ece", "lower": "10", "than": "1", "margin": 0.01},
    ]
    for result in judge_claims(claims(found.arms, *specs), found):
        e = result.estimate
        assert not any(map(math.isnan, (e.value, e.se, e.df, e.lo, e.hi, result.decision.p, result.mdd)))
        assert isinstance(result.verdict, Verdict)


def test_the_rival_that_is_named_is_the_one_that_the_verdict_rests_on():
    def level(arm, seed, value):
        rows = np.arange(200) < round(200 * value)
        logits = np.where(rows, 1.0, -1.0) * (2 * LABELS - 1)
        found = {"accuracy": metrics.accuracy(LABELS, logits)}
        return RunScores(arm=arm, seed=seed, collapsed=False, metrics=found, test=(CASES, logits), val=None)

    runs = [level(arm, s, 0.8) for arm in ("a", "b") for s in range(8)]
    runs += [level("c", s, 0.75 + 0.2 * (-1) ** s) for s in range(8)]
    result = judge_one(Evidence(runs), {"metric": "accuracy", "best": "a"})
    assert (result.verdict, result.rival) == ("not supported", "b")
    assert result.estimate.value == 0


def test_best_is_decided_by_the_pairs_that_did_not_collapse():
    runs = [scores(arm, s, skill) for arm, skill in (("top", 1.2), ("middle", 0.5)) for s in range(10)]
    runs += [scores("gone", s, 1.0, collapsed=True) for s in range(10)]
    found = Evidence(runs)
    assert judge_one(found, {"metric": "accuracy", "best": "middle"}).verdict == "contradicted"
    best = judge_one(found, {"metric": "accuracy", "best": "top"})
    assert (best.verdict, best.decision.qualifier) == ("undecided", "collapse")


def test_test_cases_that_differ_between_seeds_are_not_taken_for_a_redrawn_split():
    def run(arm, seed, skill):
        names = tuple(f"s{seed}-{i}" for i in range(200))
        return scores(arm, seed, skill, cases=CaseSet(names=names, labels_N=LABELS, subjects_N=np.arange(200)))

    found = Evidence([run(arm, s, skill) for arm, skill in GOOD_AND_BAD.items() for s in range(8)])
    result = judge_one(found, {"metric": "accuracy", "better": "good", "than": "bad"})
    assert (result.verdict, result.decision.qualifier) == ("undecided", "not measured")


def test_from_twenty_seeds_on_the_bootstrap_stands_beside_the_interval():
    found = evidence(GOOD_AND_BAD, seeds=20)
    result = judge_one(found, {"metric": "accuracy", "better": "good", "than": "bad"})
    assert all(map(math.isnan, result.bootstrap))
    lo, hi = with_bootstrap(result, found).bootstrap
    assert lo < result.estimate.value < hi
    few = evidence(GOOD_AND_BAD, seeds=19)
    fewer = judge_one(few, {"metric": "accuracy", "better": "good", "than": "bad"})
    assert all(map(math.isnan, with_bootstrap(fewer, few).bootstrap))
    against = judge_one(found, {"metric": "accuracy", "arm": "good", "above": 0.5})
    lo, hi = with_bootstrap(against, found).bootstrap
    assert lo < against.estimate.value < hi


@pytest.mark.slow
def test_speed():
    """Twelve arms, thirty seeds, 624 cases, accuracy and AUROC, sixty claims: under two seconds."""
    rng = np.random.default_rng(0)
    labels = (np.arange(624) < 390).astype(int)
    cases = CaseSet(names=tuple(map(str, range(624))), labels_N=labels, subjects_N=np.arange(624) // 2)
    base = rng.normal(size=624)
    runs = []
    for arm in range(12):
        for seed in range(30):
            logits = 2 * labels - 1 + base + 0.3 * rng.normal(size=624) + 0.05 * arm * labels
            values = {"accuracy": metrics.accuracy(labels, logits), "auroc": metrics.auroc(labels, logits)}
            runs.append(RunScores(arm=f"e/{2**arm}", seed=seed, collapsed=False, metrics=values,
                                  test=(cases, logits), val=None))  # fmt: skip
    found = Evidence(runs)
    specs = [{"metric": m, "better": 2**a, "than": 2 ** (a + 1)} for m in ("accuracy", "auroc") for a in range(11)]
    specs += [{"metric": m, "best": 2**a} for m in ("accuracy", "auroc") for a in range(12)]
    specs += [{"metric": m, "trend": "increasing"} for m in ("accuracy", "auroc")]
    specs += [{"metric": m, "arm": 2**a, "above": 0.7} for m in ("accuracy", "auroc") for a in range(6)]
    asked = claims(found.arms, *specs)
    began = time.perf_counter()
    results = judge_claims(asked, found)
    assert time.perf_counter() - began < 2
    assert len(results) == 60
