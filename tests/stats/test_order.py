"""Trends, monotone order, which of two runs comes out ahead, and seeds that carry a result."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from doubleread.stats import carried_by, contrast, monotone_p, order_shown, rates_differ, trend_weights


def test_a_trend_is_the_change_from_the_lowest_to_the_highest_level():
    levels = [8, 32, 128]
    weights = trend_weights(levels)
    assert weights.sum() == pytest.approx(0)
    assert weights @ (0.7 + 0.01 * np.log(levels)) == pytest.approx(0.01 * np.log(16))
    assert trend_weights([128, 8, 32]) == pytest.approx(weights[[2, 0, 1]])
    assert trend_weights([1e-4, 1e-2]) == pytest.approx([-1, 1])


@pytest.mark.parametrize("levels", [[0, 1], [-1, 2]])
def test_a_level_without_a_logarithm_is_an_error(levels):
    with pytest.raises(ValueError, match="has no logarithm"):
        trend_weights(levels)


def test_a_trend_needs_two_levels():
    with pytest.raises(ValueError, match=r"^a trend needs two different levels$"):
        trend_weights([3, 3])


def test_monotone_is_as_sure_as_its_weakest_step():
    rng = np.random.default_rng(0)
    steps = [contrast(rng.normal(m, 0.01, (1, 10)), np.ones(1), None) for m in (0.05, 0.004)]
    assert monotone_p(steps) == pytest.approx(max(s.p / 2 if s.value > 0 else 1 - s.p / 2 for s in steps))


def test_order_shown_is_the_mann_whitney_share_of_pairs():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.3, 1, 9), rng.normal(0, 1, 7).round(1)
    assert order_shown(a, b) == pytest.approx(mannwhitneyu(a, b).statistic / 63)
    assert order_shown(a, b) + order_shown(b, a) == pytest.approx(1)
    assert order_shown(np.ones(3), np.ones(4)) == 0.5


def test_seeds_that_carry_a_result():
    even = np.full(10, 0.02) + np.linspace(-0.01, 0.01, 10)
    one, two = np.zeros(10), np.zeros(10)
    one[3], two[[3, 4]] = 0.3, -0.3
    assert [carried_by(x) for x in (even, one, two)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("psi", "seeds"),
    [
        ([0, 0, 1], 0),  # of three seeds nothing is said
        ([0, 0, 0, 1], 1),
        ([0.1] * 9 + [1.5], 1),  # without it, the mean is between a third and a half
        ([1, 1, 1, 5], 0),  # without it, the mean is a half, and not less
        ([-1, 1] * 3 + [6], 1),  # the others' standard deviation is between a third and a half of all
        ([0.2] + [0.6] * 8 + [2.0], 0),  # one is far out, but the mean stands without it
        ([-1, 1.1] * 5, 0),  # a mean that is small beside its noise
        ([-1, 1] * 3, 0),  # no mean, nothing to carry
    ],
)
def test_when_few_seeds_carry_a_mean(psi, seeds):
    assert carried_by(np.array(psi, dtype=float)) == seeds
    assert carried_by(-np.array(psi, dtype=float)) == seeds


def test_rates_of_collapse():
    assert rates_differ(10, 10, 0, 10) == rates_differ(0, 10, 10, 10) == pytest.approx(2 / 184756)
    assert rates_differ(1, 10, 0, 10) == pytest.approx(1.0)


def test_monotone_is_unknown_where_a_step_is():
    known = contrast(np.array([[0.1, 0.2, 0.3]]), np.ones(1), None)
    unknown = contrast(np.array([[0.1]]), np.ones(1), None)
    constant = contrast(np.array([[0.1, 0.1, 0.1]]), np.ones(1), None)
    assert np.isnan(monotone_p([known, unknown]))
    assert np.isnan(monotone_p([known, constant]))
    assert monotone_p([known, contrast(np.zeros((1, 3)), np.ones(1), None)]) == 1.0
