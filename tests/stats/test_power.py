"""The smallest difference a study detects, and what it would take to detect a smaller one."""

import math

import numpy as np
import pytest
from scipy import stats

from doubleread.stats import cases_needed, contrast, decide, detectable, seeds_needed
from doubleread.stats.verdict import Question


def test_the_formula():
    a, b, r, m = 0.0009 / 10, 0.0002, 10, 4
    df = (a + b) ** 2 / (a**2 / (r - 1))
    expected = (stats.t.ppf(1 - 0.05 / 8, df) + stats.t.ppf(0.8, df)) * math.sqrt(a + b)
    assert detectable(0.0009, b, r, m) == pytest.approx(expected)


def test_it_is_what_four_of_five_studies_find():
    rng = np.random.default_rng(0)
    true = detectable(0.03**2, 0.0, 10)
    found = 0
    for _ in range(2000):
        psi = contrast(rng.normal(true, 0.03, size=(1, 10)), np.ones(1), None)
        found += decide([Question(gains=(psi,), margin=0.02, seeds=10)])[0].verdict == "supported"
    assert found / 2000 == pytest.approx(0.8, abs=0.03)


def test_seeds_needed_are_the_fewest_that_detect_the_margin():
    needed = seeds_needed(0.03**2, 0.004**2, 0.02)
    assert detectable(0.03**2, 0.004**2, needed) <= 0.02 < detectable(0.03**2, 0.004**2, needed - 1)


def test_where_images_hide_it_no_number_of_seeds_is_enough():
    margin = 0.02
    assert seeds_needed(0.001**2, (margin / 2.81) ** 2, margin) is not None
    assert seeds_needed(0.001**2, (margin / 2.80) ** 2, margin) is None


def test_cases_needed_are_the_fewest_that_detect_the_margin():
    needed = cases_needed(0.02**2, 0.01**2, 20, 400, 0.02)
    assert detectable(0.02**2, 0.01**2 * 400 / needed, 20) <= 0.02
    assert detectable(0.02**2, 0.01**2 * 400 / (needed - 1), 20) > 0.02
    assert cases_needed(0.2**2, 0.01**2, 10, 400, 0.02) is None


def test_one_seed_says_nothing():
    assert math.isnan(detectable(math.nan, 0.0, 1))
    assert seeds_needed(math.nan, 0.0, 0.02) is None


def test_more_cases_do_not_always_help_and_the_fewest_are_found_all_the_same():
    needed = cases_needed(6.0, 1.0, 6, 400, 5.9, family=20)
    assert needed is not None
    assert detectable(6.0, 1.0 * 400 / needed, 6, 20) <= 5.9 < detectable(6.0, 1.0 * 400 / (needed - 1), 6, 20)
    assert detectable(6.0, 0.0, 6, 20) > 5.9


@pytest.mark.parametrize("margin", [0.0157, 0.0163, 0.0171, 0.018, 0.019, 0.021, 0.03, 0.3])
def test_the_search_finds_what_trying_all_finds(margin):
    seeds = (r for r in range(6, 1000) if detectable(0.03**2, 0.005**2, r, 2) <= margin)
    assert seeds_needed(0.03**2, 0.005**2, margin, 2) == next(seeds)
    cases = (n for n in range(2, 3000) if detectable(0.01**2, 0.01**2 * 400 / n, 20) <= margin)
    found = cases_needed(0.01**2, 0.01**2, 20, 400, margin)
    assert found == next(cases)
    assert isinstance(found, int)


def test_two_seeds_can_be_enough_and_one_is_not():
    needed = cases_needed(1e-8, 0.01**2, 2, 400, 0.02)
    assert needed is not None
    assert detectable(1e-8, 0.01**2 * 400 / needed, 2) <= 0.02 < detectable(1e-8, 0.01**2 * 400 / (needed - 1), 2)
    assert cases_needed(1e-8, 0.01**2, 1, 400, 0.02) is None
    assert cases_needed(1e-8, 1e-8, 20, 400, 0.5) == 2


def test_what_has_no_part_in_it_or_is_unknown_needs_no_number():
    assert cases_needed(0.02**2, 0.0, 20, 400, 0.02) is None, "the cases have no part in it"
    assert cases_needed(0.02**2, math.nan, 20, 400, 0.02) is None
    assert seeds_needed(0.02**2, math.nan, 0.02) is None
    assert math.isnan(detectable(0.02**2, math.nan, 10))


def test_seeds_that_agree_and_two_seeds():
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert detectable(0.0, 0.01**2, 10) == pytest.approx(z * 0.01)
    assert detectable(0.01**2, 0.0, 2) == pytest.approx((stats.t.ppf(0.975, 1) + stats.t.ppf(0.8, 1)) * 0.01 / 2**0.5)
