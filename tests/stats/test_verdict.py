"""Verdicts: the order of the rules, the three corrections, and what has no answer."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from doubleread.stats import Estimate, Question, contrast, decide, holm


def gain(value, se, df=20.0):
    from scipy.stats import t

    half = t.ppf(0.975, df) * se
    p = float(2 * t.sf(abs(value) / se, df)) if se else (1.0 if value == 0 else math.nan)
    return Estimate(value=value, seed_var=se**2, case_var=0.0, se=se, df=df, lo=value - half, hi=value + half, p=p)


def one(value, se, *, seeds=10, margin=0.02, equal=False):
    return decide([Question(gains=(gain(value, se),), margin=margin, seeds=seeds, equal=equal)])[0]


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_holm_is_statsmodels():
    p = np.random.default_rng(0).random((50, 7)) ** 2
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
