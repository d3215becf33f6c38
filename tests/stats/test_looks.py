"""Looks at a growing study: Pocock's published bounds, simulation, and what a corrected p means."""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from doubleread.stats import Estimate, Looks, Question, Verdict, decide, look_seeds, seeds_could_decide, widened
from doubleread.stats.contrast import t_above
from doubleread.stats.looks import _crossing


@pytest.fixture(autouse=True)
def computed_anew():
    """No test gets what another one made."""
    _crossing.cache_clear()


@pytest.mark.parametrize(("looks", "bound"), [(1, 1.960), (2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413)])
def test_bounds_are_pococks(looks, bound):
    """Pocock (1977), Table 1: α = .05, two-sided, equal steps."""
    assert -ndtri(Looks(tuple(range(1, looks + 1))).level / 2) == pytest.approx(bound, abs=1e-3)


def test_when_a_study_is_looked_at():
    assert look_seeds(6, 30) == (6, 9, 13, 20, 30)
    assert look_seeds(6, 7) == (6, 7)
    assert look_seeds(6, 8) == (6, 7, 8)
    for fewest, most in ((6, 10), (8, 9), (10, 1000), (7, 40)):
        found = look_seeds(fewest, most)
        assert (found[0], found[-1]) == (fewest, most)
        assert len(found) <= 5
        assert list(found) == sorted(set(found))


def test_a_corrected_p_is_the_chance_of_any_look_as_small():
    looks = Looks((6, 9, 13, 20, 30))
    steps = np.random.default_rng(0).normal(size=(100_000, 30)).cumsum(axis=1)
    z = steps[:, np.array(looks.seeds) - 1] / np.sqrt(looks.seeds)
    for p in (0.3, 0.05, 0.01, 0.002):
        assert looks.both_sides(p) == pytest.approx((np.abs(z) >= -ndtri(p / 2)).any(axis=1).mean(), abs=0.005)
        assert looks.one_side(p) == pytest.approx((z >= -ndtri(p)).any(axis=1).mean(), abs=0.005)
    assert looks.both_sides(looks.level) == pytest.approx(0.05, abs=1e-6)


def test_a_corrected_p_is_never_smaller_and_rises_with_p():
    looks = Looks((6, 9, 13, 20, 30))
    for corrected in (looks.both_sides, looks.one_side):
        values = [corrected(p) for p in (0.0, 1e-12, 1e-4, 0.01, 0.2, 0.5, 0.9, 1.0)]
        assert values == sorted(values)
        assert values[0] == 0
        assert values[-1] == 1
        assert all(value >= p for value, p in zip(values, (0.0, 1e-12, 1e-4, 0.01, 0.2, 0.5, 0.9, 1.0), strict=True))
    assert math.isnan(looks.both_sides(math.nan))
    assert math.isnan(looks.one_side(math.nan))
    assert Looks((6,)).both_sides(0.03) == Looks((6,)).one_side(0.03) == 0.03
    assert 0.03 < Looks((6, 9)).one_side(0.03) < 0.06


def estimate_of(value, se, df=math.inf):

    p = 2 * t_above(abs(value) / se, df)
    return Estimate(value=value, seed_var=se**2, case_var=0.0, se=se, df=df, lo=0.0, hi=0.0, p=p)


def test_a_verdict_takes_more_when_a_study_is_looked_at():
    looks, found = Looks((6, 9, 13, 20, 30)), estimate_of(2.2, 1.0)
    question = Question(gains=(found,), margin=0.1, seeds=9)
    assert decide([question])[0].verdict is Verdict.SUPPORTED
    (corrected,) = decide([question], looks)
    assert corrected.verdict is Verdict.UNDECIDED
    assert corrected.p == found.p
    assert corrected.p_holm == pytest.approx(looks.both_sides(found.p))
    sure = Question(gains=(estimate_of(3.0, 1.0),), margin=0.1, seeds=9)
    assert decide([sure], looks)[0].verdict is Verdict.SUPPORTED
    # of two claims each p is corrected for looking first, then for their number
    pair = decide([sure, question], looks)
    assert pair[0].p_holm == pytest.approx(2 * looks.both_sides(sure.gains[0].p))


def test_what_is_unknown_stays_so_when_it_is_looked_at():
    (found,) = decide([Question(gains=(estimate_of(1.0, math.nan),), margin=0.1, seeds=9)], Looks((6, 9)))
    assert (found.verdict, found.qualifier) == (Verdict.UNDECIDED, "not measured")
    assert all(map(math.isnan, (found.p, found.p_holm, found.below_margin, found.equivalent)))


def test_every_rival_is_corrected_before_they_are_put_together():
    looks = Looks((6, 9, 13, 20, 30))
    gains = (estimate_of(3.0, 1.0), estimate_of(2.6, 1.0))
    (found,) = decide([Question(gains=gains, margin=0.1, seeds=9)], looks)
    assert found.p_holm == pytest.approx(looks.both_sides(gains[1].p))
    losses = (estimate_of(-3.0, 1.0), estimate_of(2.6, 1.0))
    (found,) = decide([Question(gains=losses, margin=0.1, seeds=9)], looks)
    assert found.p_holm == pytest.approx(2 * looks.both_sides(losses[0].p))


def test_an_interval_of_a_look_is_as_wide_as_its_bound():
    looks, found = Looks((1, 2, 3, 4, 5)), estimate_of(1.0, 2.0)
    wide = widened(found, looks.level)
    assert (wide.hi - wide.lo) / 2 / found.se == pytest.approx(2.413, abs=1e-3)
    assert widened(found, 0.05).hi == pytest.approx(1 + 1.959964 * 2)


def test_whether_more_seeds_could_decide():
    # the test set alone leaves a standard error of .01
    assert seeds_could_decide(0.05, 0.01**2, 0.02, 0.05)
    assert seeds_could_decide(-0.05, 0.01**2, 0.02, 0.05)
    assert not seeds_could_decide(0.01, 0.01**2, 0.02, 0.05)
    assert seeds_could_decide(0.0, 0.01**2, 0.02, 0.05)
    assert not seeds_could_decide(0.0, 0.01**2, 0.02, 0.05, family=10)
    assert seeds_could_decide(0.0, 0.0, 0.02, 0.05)
    assert not seeds_could_decide(math.nan, 0.1, 0.02, 0.05)
    assert not seeds_could_decide(math.nan, 0.0, 0.02, 0.05)
    assert not seeds_could_decide(0.05, math.nan, 0.02, 0.05)


@pytest.mark.parametrize(
    ("gain", "margin", "family", "decides"),
    [
        # to differ from 0 takes 1.960 standard errors, of two claims 2.241
        (0.0197, 0.0, 1, True),
        (0.0195, 0.0, 1, False),
        (0.0225, 0.0, 2, True),
        (0.0223, 0.0, 2, False),
        # to lie below the margin takes 1.645, of two claims 1.960
        (0.0, 0.0165, 1, True),
        (0.0, 0.0164, 1, False),
        (0.0, 0.0197, 2, True),
        (0.0, 0.0195, 2, False),
        (-0.005, 0.012, 1, True),
        (0.005, 0.021, 1, False),
    ],
)
def test_how_much_would_decide(gain, margin, family, decides):
    assert seeds_could_decide(gain, 0.01**2, margin, 0.05, family) is decides
    if family == 1:
        assert seeds_could_decide(gain, 0.01**2, margin, 0.05) is decides
