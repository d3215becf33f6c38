"""Thresholds: the best cut is the best by trying all, constraints are kept, folds keep subjects whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from doubleread.stats import CASE_COVARIANCES, BothSplits, Scored, operating_point, youden
from doubleread.stats.thresholds import (
    cross_fitted_rates,
    cuts_of,
    folds_of,
    least_cost,
    most_accurate,
    sensitivity_at_least,
    specificity_at_least,
    weighted_rates,
)

LOGITS = st.lists(st.integers(-4, 4), min_size=4, max_size=25)


def drawn(n=200, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return labels, (2 * labels - 1) + shift + rng.normal(size=n)


def chosen(rule, labels, logits, weights=None):
    cuts = cuts_of(labels, logits)
    weights = np.ones((len(labels), 1)) if weights is None else weights
    return cuts.thresholds[cuts.chosen(rule, weights)]


@settings(max_examples=100, deadline=None)
@given(logits=LOGITS, seed=st.integers(0, 1000), prevalence=st.sampled_from([0.05, 0.3, 0.5, 0.95]))
def test_no_other_threshold_is_more_accurate(logits, seed, prevalence):
    rng = np.random.default_rng(seed)
    logits = np.array(logits, dtype=float)
    labels = np.array([0, 1, *rng.integers(0, 2, len(logits) - 2)])
    weights = rng.exponential(size=(len(logits), 1))
    (best,) = chosen(most_accurate(prevalence), labels, logits, weights)

    def accuracy(threshold):
        sens, spec = weighted_rates((logits > threshold)[:, None], labels == 1, weights)
        return float(prevalence * sens[0] + (1 - prevalence) * spec[0])

    assert accuracy(best) >= max(accuracy(t) for t in np.arange(-5, 5, 0.5)) - 1e-7


def test_of_equally_good_cuts_the_one_nearest_to_logit_0_is_taken():
    labels, logits = np.array([0, 0, 1, 1]), np.array([-3.0, -2.0, 2.0, 3.0])
    assert chosen(youden, labels, logits).tolist() == [0.0]
    # all alike: calling everything positive is as good as nothing; 0.5 calls them positive
    assert chosen(youden, labels, np.full(4, 1.5)).tolist() == [0.0]
    # by the logit, not by how many cases lie between: 0.06 is nearer than -0.25
    logits = np.array([-1.0, -0.3, -0.2, -0.1, 0.02, 0.04, 0.08, 1.0])
    assert chosen(youden, np.array([0, 0, 1, 0, 0, 0, 1, 1]), logits).tolist() == pytest.approx([0.06])


def test_youden_is_that_of_the_roc_curve():
    labels, logits = drawn()
    (threshold,) = chosen(youden, labels, logits)
    false_positive, sensitivity, _ = roc_curve(labels, logits)
    sens, spec = weighted_rates((logits > threshold)[:, None], labels == 1, np.ones((200, 1)))
    assert sens[0] + spec[0] - 1 == pytest.approx((sensitivity - false_positive).max())


@pytest.mark.parametrize("wanted", [0.5, 0.95, 0.999])
def test_a_constraint_is_kept_by_as_little_as_possible(wanted):
    labels, logits = drawn()
    (threshold,) = chosen(sensitivity_at_least(wanted), labels, logits)
    positive = np.sort(logits[labels == 1])
    assert (positive > threshold).mean() >= wanted
    negative = logits[labels == 0]
    if (negative > threshold).any():
        above = negative[negative > threshold].min()
        assert (positive > above).mean() < wanted, "to call one more negative case right would break it"
    (threshold,) = chosen(specificity_at_least(wanted), labels, logits)
    assert (logits[labels == 0] <= threshold).mean() >= wanted


def test_a_constraint_that_is_met_exactly_is_met():
    logits = np.arange(20.0) - 10
    labels = np.tile([0, 1], 10)
    for wanted in (0.1, 0.3, 0.7, 0.9):
        (threshold,) = chosen(sensitivity_at_least(wanted), labels, logits)
        assert (logits[labels == 1] > threshold).mean() == pytest.approx(wanted)
        (threshold,) = chosen(specificity_at_least(wanted), labels, logits)
        assert (logits[labels == 0] <= threshold).mean() == pytest.approx(wanted)


def test_the_cuts_of_a_few_cases():
    cuts = cuts_of(np.array([1, 0, 1, 0]), np.array([2.0, -3.0, 5.0, 2.0]))
    assert cuts.thresholds.tolist() == [-4.0, 0.0, 3.5, 6.0]
    assert cuts.starts.tolist() == [0, 1, 3, 4]
    sens, spec = cuts.rates(np.ones((4, 1)))
    assert sens[:, 0].tolist() == [1, 1, 0.5, 0]
    assert spec[:, 0].tolist() == [0, 0.5, 1, 1]
    assert cuts_of(np.array([0, 1]), np.array([-3.0, -1.0])).thresholds.tolist() == [-4.0, -2.0, 0.0]
    assert cuts_of(np.array([0, 1]), np.array([1.0, 3.0])).thresholds.tolist() == [0.0, 2.0, 4.0]
    # logit 0 itself is not above 0
    assert cuts_of(np.array([0, 1]), np.array([0.0, 3.0])).thresholds.tolist() == [-1.0, 0.0, 4.0]
    assert cuts.penalty.max() < 1e-9
    assert np.argsort(cuts.penalty).tolist() == [1, 2, 0, 3]


def test_a_class_without_weight_is_cut_at_logit_0():
    labels, logits = np.array([0, 0, 1, 1]), np.array([-3.0, 1.0, 2.0, 3.0])
    weights = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [1.0, 0.0, 1.0]])
    assert chosen(youden, labels, logits, weights).tolist() == [1.5, 0.0, 0.0]
    weights[0, 2] = 0.0
    assert chosen(youden, labels, logits, weights).tolist() == [1.5, 0.0, 0.0]


def test_folds_deal_the_subjects_evenly_within_their_class():
    # 11 subjects with negative cases only, 8 with positive ones only, 6 with both
    subjects = np.concatenate([np.arange(11), np.arange(11, 19), np.arange(19, 25), np.arange(19, 25)])
    labels = np.array([0] * 11 + [1] * 8 + [0] * 6 + [1] * 6)
    for seed in range(8):
        fold = folds_of(labels, subjects, np.random.default_rng(seed))
        of_subject = np.array([fold[subjects == name][0] for name in range(25)])
        assert all((fold[subjects == name] == of_subject[name]).all() for name in range(25))
        for first, last in ((0, 11), (11, 19), (19, 25), (0, 25)):
            counts = np.bincount(of_subject[first:last], minlength=5)
            assert counts.max() - counts.min() <= 1
            assert len(counts) == 5
    fold = folds_of(labels, subjects, np.random.default_rng(0))
    again = folds_of(labels, subjects, np.random.default_rng(0))
    other = folds_of(labels, subjects, np.random.default_rng(1))
    assert (fold == again).all()
    assert (fold != other).any()


def test_folds_may_differ_from_draw_to_draw():
    labels, logits = drawn(60)
    weights = np.random.default_rng(1).exponential(size=(60, 300))
    folds = np.random.default_rng(2).integers(0, 5, (60, 300))
    cuts = cuts_of(labels, logits)
    every = cross_fitted_rates(cuts, youden, weights, folds)
    for draw in (0, 256, 299):
        one = cross_fitted_rates(cuts, youden, weights[:, [draw]], folds[:, [draw]])
        assert (every[0][draw], every[1][draw]) == pytest.approx((one[0][0], one[1][0]))


def test_dearer_misses_lower_the_threshold():
    labels, logits = drawn()
    costs = [chosen(least_cost(miss, 1.0, 0.5), labels, logits)[0] for miss in (0.2, 1.0, 5.0)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[2]
    assert chosen(least_cost(1.0, 1.0, 0.3), labels, logits) == chosen(most_accurate(0.3), labels, logits)


@pytest.mark.parametrize("seed", range(8))
def test_cross_fitting_uses_only_the_other_folds(seed):
    labels, logits = drawn(60, seed=seed)
    subjects = np.array([f"s{i // 2}" for i in range(60)])
    fold = folds_of(labels, subjects, np.random.default_rng(0), 5)
    assert all(len(set(fold[subjects == name])) == 1 for name in set(subjects))
    called = np.zeros(60, dtype=bool)
    for k in range(5):
        rest = fold != k
        (threshold,) = chosen(youden, labels, logits, rest[:, None].astype(float))
        called[~rest] = logits[~rest] > threshold
    found = cross_fitted_rates(cuts_of(labels, logits), youden, np.ones((60, 1)), fold[:, None])
    assert found[0][0] == pytest.approx(called[labels == 1].mean())
    assert found[1][0] == pytest.approx((~called[labels == 0]).mean())


def test_a_draw_without_a_class_has_no_rate_of_it_and_no_warning():
    called, positive = np.array([[True], [False], [True]]), np.array([True, True, False])
    weights = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    sens, spec = weighted_rates(called, positive, weights)
    assert np.array_equal(sens, [0.5, np.nan], equal_nan=True)
    assert np.array_equal(spec, [np.nan, 0.0], equal_nan=True)


def test_many_draws_are_each_as_one():
    labels, logits = drawn(80)
    weights = np.random.default_rng(1).exponential(size=(80, 600))
    fold = (np.arange(80) % 5)[:, None]
    cuts = cuts_of(labels, logits)
    every = cross_fitted_rates(cuts, most_accurate(0.4), weights, fold)
    for draw in (0, 255, 256, 599):
        one = cross_fitted_rates(cuts, most_accurate(0.4), weights[:, [draw]], fold)
        assert (every[0][draw], every[1][draw]) == (pytest.approx(one[0][0]), pytest.approx(one[1][0]))


def scored(seed, shift=0.0, name="v", n=200):
    labels, logits = drawn(n, shift, seed)
    return Scored(logits_N=logits, labels_N=labels, subjects_N=np.array([f"{name}{i}" for i in range(n)]))


def test_an_operating_point_at_one_half_is_the_accuracy_and_gains_nothing():
    runs = [BothSplits(val=scored(i), test=scored(10 + i, name="t")) for i in range(1)] * 6
    point = operating_point(runs, 0.5, np.random.default_rng(0), 20)
    right = (runs[0].test.logits_N > 0) == runs[0].test.labels_N
    assert point.test["accuracy"].value == pytest.approx(right.mean())
    assert (point.gain.value, point.gain.lo, point.gain.hi) == (0, 0, 0)
    assert point.thresholds_R.tolist() == [0.5] * 6


def test_a_threshold_is_chosen_on_validation_and_judged_on_test():
    # both splits are cut a whole logit too low: the rule finds that on validation, and test gains
    runs = [BothSplits(val=scored(0, 1.0, n=2000), test=scored(1, 1.0, name="t", n=2000))] * 6
    point = operating_point(runs, lambda _prevalence: youden, np.random.default_rng(0), 50)
    threshold = np.log(point.thresholds_R[0] / (1 - point.thresholds_R[0]))
    assert threshold == pytest.approx(chosen(youden, runs[0].val.labels_N, runs[0].val.logits_N)[0])
    assert point.test["accuracy"].value == pytest.approx(_accuracy(runs[0].test, threshold), abs=1e-12)
    assert point.gain.value == pytest.approx(_accuracy(runs[0].test, threshold) - _accuracy(runs[0].test, 0.0))
    assert point.gain.lo > 0
    fixed = operating_point(runs, 0.73, np.random.default_rng(0), 5)
    assert fixed.test["accuracy"].value == pytest.approx(_accuracy(runs[0].test, np.log(0.73 / 0.27)))


def _accuracy(part, threshold):
    sens = (part.logits_N > threshold)[part.labels_N == 1].mean()
    spec = (part.logits_N <= threshold)[part.labels_N == 0].mean()
    prevalence = part.labels_N.mean()
    return prevalence * sens + (1 - prevalence) * spec


def test_the_three_rates_of_a_fixed_threshold_on_both_sets():
    runs = [BothSplits(val=scored(i), test=scored(10 + i, 0.5, name="t")) for i in range(6)]
    point = operating_point(runs, 0.73, np.random.default_rng(0), 20)
    cut = np.log(0.73 / 0.27)
    for found, parts in ((point.val, [run.val for run in runs]), (point.test, [run.test for run in runs])):
        sens = [(part.logits_N[part.labels_N == 1] > cut).mean() for part in parts]
        spec = [(part.logits_N[part.labels_N == 0] <= cut).mean() for part in parts]
        right = [((part.logits_N > cut) == part.labels_N).mean() for part in parts]
        assert list(found) == ["accuracy", "sensitivity", "specificity"]
        values = [found[name].value for name in found]
        assert values == pytest.approx([np.mean(right), np.mean(sens), np.mean(spec)])
        assert found["accuracy"].seed_var == pytest.approx(np.var(right, ddof=1) / 6)
    gains = [_accuracy(run.test, cut) - _accuracy(run.test, 0.0) for run in runs]
    assert (point.gain.value, point.gain.seed_var) == pytest.approx((np.mean(gains), np.var(gains, ddof=1) / 6))


def test_the_validation_rates_of_a_chosen_threshold_are_cross_fitted():
    # labels that have nothing to do with the logits: on the cases that chose it, a threshold would look better
    rng = np.random.default_rng(3)
    parts = [
        Scored(
            logits_N=rng.normal(size=60), labels_N=np.arange(60) % 2,
            subjects_N=np.array([f"{name}{i}" for i in range(60)]),
        )
        for name in "vt"
    ]  # fmt: skip
    point = operating_point([BothSplits(val=parts[0], test=parts[1])] * 6, lambda _: youden, rng, 10)
    own = chosen(youden, parts[0].labels_N, parts[0].logits_N)[0]
    assert point.val["accuracy"].value < _accuracy(parts[0], own) - 0.03
    assert point.val["accuracy"].value == pytest.approx(
        (point.val["sensitivity"].value + point.val["specificity"].value) / 2
    )


def test_a_rule_sees_the_prevalence_of_validation():
    seen = []

    def rule(prevalence):
        seen.append(prevalence)
        return most_accurate(prevalence)

    run = BothSplits(val=scored(0), test=scored(1, name="t"))
    operating_point([run] * 2, rule, np.random.default_rng(0), 5)
    assert seen == [run.val.labels_N.mean()] * 2


def noisy(seeds, n=200):
    """Return runs on the same cases, each with noise of its own."""
    rng = np.random.default_rng(4)
    val, test = scored(0, n=n), scored(1, 0.5, name="t", n=n)
    return [
        BothSplits(
            **{
                name: Scored(
                    logits_N=part.logits_N + 0.3 * rng.normal(size=n), labels_N=part.labels_N,
                    subjects_N=part.subjects_N,
                )
                for name, part in (("val", val), ("test", test))
            }
        )
        for _ in range(seeds)
    ]  # fmt: skip


def test_the_cases_part_of_a_fixed_threshold_is_that_of_the_metric():
    runs = noisy(8)
    point = operating_point(runs, 0.5, np.random.default_rng(0), 1500)
    for found, parts in ((point.val, [run.val for run in runs]), (point.test, [run.test for run in runs])):
        logits = np.array([part.logits_N for part in parts])
        for name in ("accuracy", "sensitivity"):
            cov = CASE_COVARIANCES[name](logits, parts[0].labels_N, np.arange(200))
            wanted = (cov.sum() - np.trace(cov)) / (8 * 7)
            assert found[name].case_var == pytest.approx(wanted, rel=0.2)


def test_seeds_that_are_not_redrawn_count_in_the_mean_of_an_operating_point():
    runs = noisy(32, n=40)
    for rule in (0.73, lambda _: youden):
        point = operating_point(runs, rule, np.random.default_rng(0), 3)
        cuts = np.log(point.thresholds_R / (1 - point.thresholds_R))
        expected = [_accuracy(run.test, cut) for run, cut in zip(runs, cuts, strict=True)]
        assert point.test["accuracy"].value == pytest.approx(np.mean(expected))


def test_a_logit_at_the_threshold_is_not_above_it():
    part = Scored(
        logits_N=np.array([0.0, 0.0, 1.0, -1.0, 0.0]),
        labels_N=np.array([1, 0, 1, 0, 1]),
        subjects_N=np.array(list("abcde")),
    )
    point = operating_point([BothSplits(val=part, test=part)] * 2, 0.5, np.random.default_rng(0), 3)
    for found in (point.val, point.test):
        rates = [found[name].value for name in ("accuracy", "sensitivity", "specificity")]
        assert rates == pytest.approx([0.6, 1 / 3, 1.0])
    assert point.gain.value == 0
