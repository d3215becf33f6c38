"""Thresholds: the best cut is the best by trying all, constraints are kept, folds keep subjects whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from doubleread.stats import BothSplits, Scored, operating_point, youden
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


def test_dearer_misses_lower_the_threshold():
    labels, logits = drawn()
    costs = [chosen(least_cost(miss, 1.0, 0.5), labels, logits)[0] for miss in (0.2, 1.0, 5.0)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[2]
    assert chosen(least_cost(1.0, 1.0, 0.3), labels, logits) == chosen(most_accurate(0.3), labels, logits)


def test_cross_fitting_uses_only_the_other_folds():
    labels, logits = drawn(60)
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
