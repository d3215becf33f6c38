"""What one run each can show: the published answers, and the two reports' own numbers."""

import math
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import pytest
from scipy.stats import binomtest, chi2_contingency
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from doubleread.stats import (
    counts_printed_as,
    estimated_prevalence,
    expected_discordant,
    largest_discordant,
    mcnemar_exact,
    most_discordant,
    newcombe,
    pooled_p,
    unpaired_p,
    wilson,
)

REPORTS = [
    ("BCE > CE", 0.7275, 0.6950, 0.31, 37),
    ("batch 32 > 8", 0.7525, 0.7375, 0.63, 6),
    ("128 > 32", 0.7925, 0.7525, 0.18, 58),
    ("128 > 8", 0.7925, 0.7375, 0.066, 114),
    ("50 > 10", 0.735, 0.73, 0.87, None),
    ("100 > 50", 0.785, 0.735, 0.097, 94),
    ("100 > 10", 0.785, 0.73, 0.069, 114),
    ("rate .1 > 1e-3", 0.7950, 0.7525, 0.15, 67),
    ("1e-3 > 1e-6", 0.7525, 0.6950, 0.068, 125),
    (".1 > 1e-6", 0.7950, 0.6950, 0.0011, 396),
    ("OneCycle > Cosine", 0.8050, 0.7875, 0.54, 9),
    ("Cosine > Exponential", 0.7875, 0.7250, 0.039, 149),
    ("OneCycle > Exponential", 0.8050, 0.7250, 0.0074, 250),
]


@pytest.mark.parametrize(("name", "a", "b", "p", "most"), REPORTS, ids=[r[0] for r in REPORTS])
def test_the_reports_single_runs(name, a, b, p, most):
    right = round(400 * a), round(400 * b)
    assert float(f"{unpaired_p(right[0], 400, right[1], 400):.2g}") == p
    assert largest_discordant(right[0] - right[1]) == most


def test_only_one_of_them_survives_holm():
    from doubleread.stats import holm

    corrected = holm([unpaired_p(round(400 * a), 400, round(400 * b), 400) for _, a, b, _, _ in REPORTS])
    assert sum(p < 0.05 for p in corrected) == 1


def test_discordant_images_of_independent_errors():
    expected = [expected_discordant(round(400 * a), round(400 * b), 400) for _, a, b, _, _ in REPORTS]
    assert 129 < min(expected) < max(expected) < 166


def test_mcnemar():
    assert mcnemar_exact(((23, 15), (19, 31))) == pytest.approx(0.60759136, abs=5e-9)
    assert mcnemar_exact(((101, 121), (59, 33))) == pytest.approx(4.43445e-6, abs=5e-12)
    assert mcnemar_exact(((10, 0), (0, 10))) == 1.0
    assert mcnemar_exact(((3, 7), (0, 0))) == mcnemar_exact(((3, 0), (7, 0))) == pytest.approx(2 / 128)


def test_wilson():
    assert wilson(291, 400) == pytest.approx((0.681857, 0.768815), abs=5e-7)
    assert wilson(278, 400) == pytest.approx((0.648203, 0.738087), abs=5e-7)


def test_the_number_of_discordant_images_is_bounded_by_what_is_right_and_wrong():
    assert most_discordant(318, 278, 400) == 204
    assert most_discordant(100, 100, 400) == 200


def test_black_box_shift_estimation():
    assert estimated_prevalence(0.9, 0.8, 0.4) == pytest.approx(0.285714, abs=5e-7)
    assert estimated_prevalence(0.9, 0.8, 0.05) == 0.0
    assert math.isnan(estimated_prevalence(0.5, 0.5, 0.4))


def test_two_proportions_that_are_equal_or_have_no_variance():
    assert unpaired_p(5, 10, 50, 100) == 1.0
    assert math.isnan(unpaired_p(10, 10, 0, 10))


TWO = [(291, 400, 278, 400), (278, 400, 291, 400), (5, 10, 70, 100), (398, 400, 2, 400), (1, 3, 99, 1000)]


@pytest.mark.parametrize("counts", TWO)
def test_the_pooled_p_is_that_of_chi_squared_and_of_statsmodels(counts):
    a, n, b, m = counts
    assert pooled_p(*counts) == pytest.approx(proportions_ztest([a, b], [n, m])[1], rel=1e-9)
    assert pooled_p(*counts) == pytest.approx(chi2_contingency([[a, n - a], [b, m - b]], correction=False).pvalue)


def test_the_pooled_p_where_all_or_nothing_is_right():
    assert pooled_p(0, 400, 400, 400) == pytest.approx(proportions_ztest([0, 400], [400, 400])[1], rel=1e-9)
    assert pooled_p(400, 400, 10, 10) == pooled_p(0, 400, 0, 10) == pooled_p(1, 3, 2, 6) == 1.0


@pytest.mark.parametrize("counts", [*TWO, (0, 400, 400, 400), (400, 400, 394, 400), (0, 5, 0, 9)])
def test_newcombes_interval_is_that_of_statsmodels(counts):
    assert newcombe(*counts) == pytest.approx(confint_proportions_2indep(*counts, method="newcomb"), abs=1e-9)


def test_newcombes_interval_as_published():
    """Newcombe 1998, table II, method 10."""
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe(9, 10, 3, 10) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    assert newcombe(10, 10, 0, 20) == pytest.approx((0.6791, 1.0), abs=5e-5)


def printed(right: int, cases: int, digits: int) -> set[str]:
    """Return how a percentage may be printed: a half rounded up, or to the even digit."""
    with localcontext() as context:
        context.prec = 60
        exact = Fraction(100 * right, cases)
        value = Decimal(exact.numerator) / Decimal(exact.denominator)
        return {str(value.quantize(Decimal(1).scaleb(-digits), rule)) for rule in (ROUND_HALF_UP, ROUND_HALF_EVEN)}


@pytest.mark.parametrize("cases", [1, 3, 7, 8, 16, 40, 125, 200, 400, 624, 1000, 2000])
@pytest.mark.parametrize("digits", [0, 1, 2, 3])
def test_the_counts_that_a_percentage_fits_are_those_of_trying_all(cases, digits):
    by_text: dict[str, list[int]] = {}
    for right in range(cases + 1):
        for text in printed(right, cases, digits):
            by_text.setdefault(text, []).append(right)
    assert {text: list(counts_printed_as(text, cases)) for text in by_text} == by_text


def test_a_half_is_rounded_up_or_to_the_even_digit():
    assert (290 in counts_printed_as("73", 400), 290 in counts_printed_as("72", 400)) == (True, True)
    assert (294 in counts_printed_as("73", 400), 294 in counts_printed_as("74", 400)) == (False, True)
    assert list(counts_printed_as("100", 400)) == [398, 399, 400]
    assert list(counts_printed_as("72.76", 400)) == []


@pytest.mark.parametrize("difference", [0, 1, 5, 6, 7, 8, 12, 13, 20, 29, -8])
def test_the_largest_number_of_discordant_images_is_that_of_trying_all(difference):
    ahead = abs(difference)
    p = [binomtest(losses, ahead + 2 * losses).pvalue if ahead + losses else 1.0 for losses in range(130)]
    enough = [losses for losses in range(130) if p[losses] < 0.05]
    found = largest_discordant(difference)
    assert found == (ahead + 2 * enough[-1] if enough else None)
    assert found is None or isinstance(found, int)
