"""Verdicts: the order of the rules, the three corrections, and what has no answer."""

import math

import numpy as np
import pytest
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests

from doubleread.stats import Estimate, Question, Verdict, contrast, decide, deciding, holm


def gain(value, se, df=20.0):
    half = student.ppf(0.975, df) * se
    p = float(2 * student.sf(abs(value) / se, df)) if se else (1.0 if value == 0 else math.nan)
    return Estimate(value=value, seed_var=se**2, case_var=0.0, se=se, df=df, lo=value - half, hi=value + half, p=p)


def one(value, se, *, seeds=10, margin=0.02, equal=False):
    return decide([Question(gains=(gain(value, se),), margin=margin, seeds=seeds, equal=equal)])[0]


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_holm_is_statsmodels():
    # it collects garbage at every call
    p = np.random.default_rng(0).random((10, 7)) ** 2
    assert [holm(row.tolist()) for row in p] == [pytest.approx(multipletests(row, method="holm")[1]) for row in p]


def test_holm_counts_what_has_no_p_as_one():
    corrected = holm([0.01, math.nan, 0.04])
    assert corrected[0] == pytest.approx(0.03)
    assert math.isnan(corrected[1])
    assert corrected[2] == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("value", "se", "verdict", "qualifier"),
    [
        (0.05, 0.01, "supported", None),
        (-0.05, 0.01, "contradicted", None),
        (0.012, 0.003, "supported", "too small to matter"),
        (-0.012, 0.003, "contradicted", "too small to matter"),
        (0.0, 0.005, "not supported", "no practical difference"),
        (-0.012, 0.012, "not supported", None),
        (0.0, 0.0, "not supported", "no practical difference"),
        (0.01, 0.02, "undecided", None),
        (0.05, 0.0, "undecided", "no variation"),
    ],
)
def test_the_rules_in_their_order(value, se, verdict, qualifier):
    found = one(value, se)
    assert (found.verdict, found.qualifier) == (verdict, qualifier)


@pytest.mark.parametrize(
    ("value", "se", "verdict"),
    [
        (0.001, 0.004, "supported"),
        (0.06, 0.01, "contradicted"),
        (-0.06, 0.01, "contradicted"),
        (0.02, 0.01, "undecided"),
    ],
)
def test_equality_is_shown_by_two_one_sided_tests(value, se, verdict):
    assert one(value, se, equal=True).verdict == verdict


@pytest.mark.parametrize("equal", [False, True])
def test_few_test_cases_on_which_nothing_differs_rule_out_little(equal):
    # 0.98 ** 148 = 0.0503, 0.98 ** 149 = 0.0493: none of so many cases would differ, although 2 % of all do
    for cases, decided in ((3, False), (148, False), (149, True), (400, True)):
        nothing = gain(0.0, 0.0)
        (found,) = decide([Question(gains=(nothing,), margin=0.02, seeds=6, equal=equal, agreed=(cases,))])
        assert found.equivalent == pytest.approx(0.98**cases)
        if decided:
            assert found.verdict == ("supported" if equal else "not supported")
        else:
            assert (found.verdict, found.qualifier) == ("undecided", "too few test images")


def test_a_margin_of_nothing_is_never_ruled_out():
    def undiffering(margin, cases):
        return decide([Question(gains=(gain(0.0, 0.0),), margin=margin, seeds=6, equal=True, agreed=(cases,))])[0]

    nothing = undiffering(0.0, 10_000)
    assert (nothing.equivalent, nothing.verdict, nothing.qualifier) == (1.0, "undecided", "too few test images")
    # of loss, say, a margin may be above 1; a metric without cases has none that could differ
    assert [undiffering(margin, 5).equivalent for margin in (1.0, 1.5)] == [0.0, 0.0]
    assert undiffering(0.0, 0).equivalent == 0.0


@pytest.mark.parametrize("equal", [False, True])
def test_sides_that_differ_on_cases_and_are_equal_all_the_same_tell_no_variance(equal):
    (found,) = decide([Question(gains=(gain(0.0, 0.0),), margin=0.02, seeds=6, equal=equal, agreed=(None,))])
    assert (found.verdict, found.qualifier) == ("undecided", "no variation")
    assert math.isnan(found.equivalent)


def test_five_seeds_give_no_verdict_and_one_seed_neither():
    assert (one(0.1, 0.001, seeds=5).verdict, one(0.1, 0.001, seeds=5).qualifier) == ("undecided", "too few seeds")
    alone = contrast(np.array([[0.9], [0.5]]), np.array([1.0, -1.0]), None)
    found = decide([Question(gains=(alone,), margin=0.02, seeds=1)])[0]
    assert (found.verdict, found.qualifier) == ("undecided", "one run each")
    assert math.isnan(found.p)


def test_a_claim_pays_for_its_family():
    question = Question(gains=(gain(0.05, 0.02),), margin=0.02, seeds=10)
    assert decide([question])[0].verdict == "supported"
    assert decide([question] * 8)[0].verdict == "undecided"


def test_best_of_all_must_win_every_comparison():
    clear, tie, loss = gain(0.06, 0.01), gain(0.004, 0.01), gain(-0.06, 0.01)
    verdicts = [
        decide([Question(gains=(clear, other), margin=0.02, seeds=10)])[0].verdict for other in (clear, tie, loss)
    ]
    assert verdicts == ["supported", "undecided", "contradicted"]


def test_a_loss_that_only_many_comparisons_bring_up_is_no_contradiction():
    loss, win = gain(-0.023, 0.01), gain(0.05, 0.01)
    assert decide([Question(gains=(loss,), margin=0.02, seeds=10)])[0].verdict == "contradicted"
    assert decide([Question(gains=(loss, win, win, win), margin=0.02, seeds=10)])[0].verdict != "contradicted"


def test_false_verdicts_of_the_best_of_equal_arms_are_rare():
    rng = np.random.default_rng(5)
    weights = [np.array([1.0, -1, 0, 0]), np.array([1.0, 0, -1, 0]), np.array([1.0, 0, 0, -1])]
    decided = 0
    for _ in range(400):
        theta = rng.normal(size=(4, 8)) * 0.02
        gains = tuple(contrast(theta, w, None) for w in weights)
        decided += decide([Question(gains=gains, margin=0.02, seeds=8)])[0].verdict in ("supported", "contradicted")
    assert decided / 400 <= 0.06


def test_equal_arms_at_the_margin_are_contradicted_in_one_study_of_twenty():
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(3000):
        found = contrast(rng.normal(0.002, 0.02, size=(1, 16)), np.ones(1), None)
        wrong += decide([Question(gains=(found,), margin=0.002, seeds=16, equal=True)])[0].verdict == "contradicted"
    assert wrong / 3000 <= 0.06


UNKNOWN = (0.05, math.nan)


@pytest.mark.parametrize(
    ("verdict", "gains", "rests_on"),
    [
        ("supported", [(0.06, 0.01), (0.03, 0.01), (0.09, 0.01)], 1),
        ("contradicted", [(0.2, 0.01), (-0.03, 0.01), (-0.06, 0.01), (0.0, 0.01)], 2),
        ("contradicted", [(-0.05, 0.0), (-0.06, 0.01)], 1),
        ("not supported", [(0.0, 0.01), (-0.02, 0.01), (0.01, 0.005)], 1),
        ("undecided", [(0.03, 0.01), (0.02, 0.02), (0.01, 0.001)], 1),
        # behind somewhere: that leaves it open, not what nothing is known of
        ("undecided", [(-0.01, 0.01), UNKNOWN, (0.02, 0.01)], 0),
        ("undecided", [(0.03, 0.01), UNKNOWN, (0.02, 0.01)], 1),
        ("undecided", [(0.01, 0.01), (0.0, 0.0)], 1),
        ("undecided", [(-0.01, 0.01), (0.0, 0.0)], 0),
        # without variance nothing is known of it
        ("undecided", [(0.01, 0.01), (0.05, 0.0)], 1),
        ("undecided", [(-0.01, 0.01), (-0.05, 0.0)], 0),
        ("undecided", [(0.005, 0.01), (0.0, 0.0)], 1),
        ("undecided", [(0.01, 0.01), (math.nan, math.nan)], 1),
        ("undecided", [(-0.01, 0.01), (math.nan, math.nan)], 0),
        ("supported", [(0.06, 0.01)], 0),
    ],
)
def test_what_a_verdict_rests_on(verdict, gains, rests_on):
    question = Question(gains=tuple(gain(*one) for one in gains), margin=0.02, seeds=10)
    assert deciding(question, Verdict(verdict)) == rests_on


def test_what_an_equality_rests_on_is_the_difference_beyond_the_margin():
    # against 0 the first is surer, beyond the margin the second
    question = Question(gains=(gain(-0.022, 0.002), gain(-0.06, 0.01)), margin=0.02, seeds=10, equal=True)
    assert deciding(question, Verdict.CONTRADICTED) == 1


def test_a_decision_gives_its_three_p():
    def above(t):
        return student.sf(t, 20)

    found = one(0.012, 0.01)
    assert found.p == found.p_holm == pytest.approx(2 * above(1.2))
    assert found.below_margin == pytest.approx(above(0.8))
    assert found.equivalent == pytest.approx(above(0.8))
    assert one(-0.012, 0.01).equivalent == pytest.approx(above(0.8))
    assert one(0.0, 0.0).p == 1.0
    same = one(-0.002, 0.01, equal=True)
    assert same.p == same.p_holm == pytest.approx(above(1.8))
    first, second = decide([Question(gains=(gain(v, 0.01),), margin=0.02, seeds=10) for v in (-0.02, -0.01)])
    assert (first.below_margin, second.below_margin) == pytest.approx((2 * above(4), above(3)))
    first, second = decide([Question(gains=(gain(v, 0.01),), margin=0.02, seeds=10, equal=True) for v in (0, 0.005)])
    assert (first.p_holm, second.p_holm) == pytest.approx((2 * above(2), above(1.5)))
    assert (first.p, second.p) == pytest.approx((above(2), above(1.5)))


@pytest.mark.parametrize(
    ("value", "margin", "verdict"),
    [
        (0.037, 0.02, "undecided"),  # (0.037 − 0.02) / 0.01 = 1.7, one-sided p .052
        (0.038, 0.02, "contradicted"),
        (-0.038, 0.02, "contradicted"),
        (0.02, 0.0, "undecided"),  # near a margin of 0 it is two-sided: p .059
        (0.021, 0.0, "contradicted"),
    ],
)
def test_where_an_equality_is_contradicted(value, margin, verdict):
    assert one(value, 0.01, margin=margin, equal=True).verdict == verdict


def test_a_p_of_five_percent_is_none_below_it():
    at = Estimate(value=0.05, seed_var=1e-4, case_var=0.0, se=0.01, df=20.0, lo=0.03, hi=0.07, p=0.05)
    found = decide([Question(gains=(at,), margin=0.02, seeds=10)])[0]
    assert (found.verdict, found.qualifier) == ("undecided", None)


@pytest.mark.parametrize(("lo", "hi"), [(-0.02, 0.015), (-0.015, 0.02)])
def test_an_interval_that_reaches_the_margin_is_not_too_small_to_matter(lo, hi):
    at = Estimate(value=0.01, seed_var=1e-4, case_var=0.0, se=0.01, df=20.0, lo=lo, hi=hi, p=0.01)
    found = decide([Question(gains=(at,), margin=0.02, seeds=10)])[0]
    assert (found.verdict, found.qualifier) == ("supported", None)


@pytest.mark.parametrize(
    ("gains", "seeds", "verdict", "qualifier"),
    [
        ([(0.06, 0.01)], 0, "undecided", "not measured"),
        ([(0.06, 0.01)], 1, "undecided", "one run each"),
        ([(0.06, 0.01)], 2, "undecided", "too few seeds"),
        ([(0.06, 0.01)], 6, "supported", None),
        ([UNKNOWN], 6, "undecided", "not measured"),
        ([(0.06, 0.01), UNKNOWN], 6, "undecided", "not measured"),
        ([(0.06, 0.01), (0.05, 0.0)], 6, "undecided", "no variation"),
        ([(-0.06, 0.01), UNKNOWN], 6, "contradicted", None),
        ([(0.06, 0.01), (0.0, 0.0)], 6, "not supported", None),
        ([UNKNOWN, (0.0, 0.0)], 6, "not supported", None),
        ([(1.0, 0.0)], 6, "undecided", "no variation"),
        ([(0.012, 0.003), (0.06, 0.01)], 6, "supported", None),
        ([(0.012, 0.003), (0.011, 0.003)], 6, "supported", "too small to matter"),
    ],
)
def test_qualifiers(gains, seeds, verdict, qualifier):
    found = decide([Question(gains=tuple(gain(*one) for one in gains), margin=0.02, seeds=seeds)])[0]
    assert (found.verdict, found.qualifier) == (verdict, qualifier)


def test_the_p_of_the_best_of_all():
    def above(t):
        return student.sf(t, 20)

    def found(*gains):
        return decide([Question(gains=tuple(gain(*one) for one in gains), margin=0.02, seeds=10)])[0]

    won = found((0.06, 0.01), (0.03, 0.01), (0.05, 0.01))
    assert won.p == pytest.approx(2 * above(3)), "as sure as the weakest comparison"
    assert won.below_margin == 1
    assert won.equivalent == pytest.approx(above(-4))
    lost = found((0.06, 0.01), (-0.03, 0.01), (-0.02, 0.01))
    assert lost.p == pytest.approx(3 * 2 * above(3)), "the clearest loss, for each of three comparisons"
    assert lost.below_margin == pytest.approx(3 * above(5))
    unknown = found((0.06, 0.01), (-0.03, 0.01), UNKNOWN)
    assert unknown.p == pytest.approx(3 * 2 * above(3))
    assert math.isnan(unknown.equivalent)
    assert math.isnan(found(UNKNOWN, UNKNOWN).below_margin)
    assert found((0.06, 0.01), (-0.001, 0.01)).p == 1, "no p is above 1"
