"""Redraws of subjects: the same weight wherever a subject stands, and what is measured does not depend on them."""

import numpy as np
import pytest

from doubleread.stats import BothSplits, Scored, youden
from doubleread.stats.redraw import REPEATS, Redraws, between_seeds
from doubleread.stats.thresholds import cross_fitted_rates, cuts_of, folds_of


def scored(subjects, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(len(subjects)) % 2
    return Scored(logits_N=labels + rng.normal(size=len(subjects)), labels_N=labels, subjects_N=np.array(subjects))


@pytest.fixture
def run():
    val = scored([f"v{i // 2}" for i in range(40)])
    test = scored(["v3", *(f"t{i}" for i in range(29))], seed=1)
    return BothSplits(val=val, test=test, grouped=scored(["g1", "v3", "g2", "v3"], seed=2))


def redraws(run, draws=50):
    return Redraws([run], np.random.default_rng(7), draws)


def test_a_subject_has_one_weight_wherever_it_stands(run):
    weigh = redraws(run)
    val, test, grouped = (weigh.weights(part) for part in run.sets)
    assert (val.shape, test.shape, grouped.shape) == ((40, 51), (30, 51), (4, 51))
    # as measured, and then the redraws
    assert all((part[:, 0] == 1).all() for part in (val, test, grouped))
    assert (val[0::2] == val[1::2]).all()
    assert (val[6] == test[0]).all()
    assert (grouped[1] == test[0]).all()
    assert (grouped[1] == grouped[3]).all()
    assert (grouped[0, 1:] != grouped[2, 1:]).all()
    assert len(np.unique(val[:, 1:])) == 20 * 50


def test_weights_are_those_of_the_bayesian_bootstrap():
    many = scored([f"s{i}" for i in range(400)])
    weights = redraws(BothSplits(val=many, test=many), draws=300).weights(many)[:, 1:]
    assert weights.min() > 0
    assert (weights.mean(), weights.var()) == (pytest.approx(1, abs=0.02), pytest.approx(1, abs=0.05))


def test_without_redraws_every_case_counts_once(run):
    assert (redraws(run).weights(run.test, redrawn=False) == np.ones((30, 1))).all()


def test_runs_without_a_twin_have_two_sets(run):
    assert len(BothSplits(val=run.val, test=run.test).sets) == 2
    assert run.sets == [run.val, run.test, run.grouped]


def test_what_is_measured_does_not_depend_on_how_many_draws_there_are(run):
    few, many = (redraws(run, draws).cross_fitted(run.val, youden, True) for draws in (10, 60))
    assert [rates.shape for rates in few] == [(11,), (11,)]
    assert [rates.shape for rates in redraws(run, 1).cross_fitted(run.val, youden, True)] == [(2,), (2,)]
    assert [rates.shape for rates in many] == [(61,), (61,)]
    assert [rates[0] for rates in few] == [rates[0] for rates in many]
    alone = redraws(run, 10).cross_fitted(run.val, youden, False)
    assert [rates.tolist() for rates in alone] == [[rates[0]] for rates in few]


def test_rates_are_the_mean_over_the_ways_to_make_the_folds(run):
    # the seed of the folds is the first that the generator gives
    fold_seed = int(np.random.default_rng(7).integers(2**31))
    rng = np.random.Generator(np.random.PCG64(fold_seed))
    part = run.test
    folds = np.stack([folds_of(part.labels_N, part.subjects_N, rng) for _ in range(REPEATS)], axis=1)
    cuts = cuts_of(part.labels_N, part.logits_N)
    weigh = redraws(run)
    found = weigh.cross_fitted(part, youden, True)
    measured = cross_fitted_rates(cuts, youden, np.ones(folds.shape), folds)
    again = cross_fitted_rates(cuts, youden, weigh.weights(part)[:, 1:], folds[:, :1])
    for rates, first, rest in zip(found, measured, again, strict=True):
        assert rates[0] == pytest.approx(first.mean())
        assert rates[1:] == pytest.approx(rest)


def test_the_chance_of_seeds_is_the_mean_covariance_of_two():
    psi = np.random.default_rng(0).normal(size=(30, 3)) @ np.array([[1.0, 0.5, 0.2], [0, 1, 0.4], [0, 0, 1]])
    found = between_seeds(psi, 5)
    cov = np.cov(psi, rowvar=False)
    assert found == pytest.approx(np.full((5, 5), (cov[0, 1] + cov[0, 2] + cov[1, 2]) / 3))
    assert between_seeds(psi[:, :2], 2) == pytest.approx(np.full((2, 2), np.cov(psi[:, :2], rowvar=False)[0, 1]))


def test_of_one_seed_nothing_is_known_beyond_it():
    psi = np.random.default_rng(0).normal(size=(30, 1))
    assert between_seeds(psi, 1) is None
    # several seeds, of which one alone was redrawn
    alone = between_seeds(psi, 4)
    assert alone is not None
    assert alone.shape == (4, 4)
    assert np.isnan(alone).all()
