"""Ensembles: the mean of probabilities, and an interval that counts the seeds and the cases."""

from functools import partial

import numpy as np
import pytest
from scipy.special import softmax

from doubleread.metrics import CASE_METRICS, probabilities
from doubleread.stats import CASE_COVARIANCES, ensemble, ensemble_logits
from doubleread.stats.contrast import estimated


def case_variance(metric, labels_N, logits_N):
    return float(CASE_COVARIANCES[metric](logits_N[None], labels_N, np.arange(len(labels_N)))[0, 0])


def averaged(metric, logits_RN, labels_N):
    return ensemble(logits_RN, partial(CASE_METRICS[metric], labels_N), partial(case_variance, metric, labels_N))


def test_it_is_the_mean_of_probabilities():
    logits = np.random.default_rng(0).normal(0, 3, (5, 40))
    assert probabilities(ensemble_logits(logits)) == pytest.approx(probabilities(logits).mean(axis=0))
    many = np.random.default_rng(1).normal(0, 3, (5, 40, 3))
    assert softmax(ensemble_logits(many), axis=1) == pytest.approx(softmax(many, axis=2).mean(axis=0))
    assert np.isfinite(ensemble_logits(np.array([[800.0, -800.0], [790.0, -790.0]]))).all()


def test_equal_runs_are_one_run():
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 30)
    one = rng.normal(labels, 1.0)
    found = averaged("auroc", np.stack([one] * 4), labels)
    assert found.value == CASE_METRICS["auroc"](labels, one)
    assert found.seed_var == 0
    assert found.case_var == pytest.approx(case_variance("auroc", labels, one))


def test_ensembles_that_do_not_differ_have_no_variance_of_the_seeds():
    # the mean of three times 0.1 is not 0.1 to the bit
    found = ensemble(np.zeros((3, 4)), lambda _: 0.1, lambda _: 0.0)
    assert (found.value, found.seed_var) == (0.1, 0.0)


def test_one_run_has_no_interval():
    found = averaged("accuracy", np.array([[1.0, -1.0, 2.0, -2.0]]), np.array([1, 0, 1, 1]))
    assert found.value == 0.75
    assert np.isnan([found.lo, found.hi, found.seed_var]).all()


def test_more_seeds_shrink_the_seeds_part_and_leave_the_cases():
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], 200)
    signal = rng.normal(2.0 * labels - 1, 1.0)
    logits = signal + rng.normal(0, 1.5, (40, 400))
    few, many = averaged("auroc", logits[:5], labels), averaged("auroc", logits, labels)
    assert many.seed_var < few.seed_var / 4
    assert many.case_var == pytest.approx(few.case_var, rel=0.5)
    assert many.df > 29
    assert many.value > np.mean([CASE_METRICS["auroc"](labels, run) for run in logits])


@pytest.mark.parametrize("runs", [2, 6, 35])
def test_the_seeds_part_is_the_jackknife_written_out(runs):
    rng = np.random.default_rng(6)
    labels = np.repeat([0, 1], 40)
    logits = rng.normal(labels, 1.0) + rng.normal(size=(runs, 80))
    groups = min(runs, 30)
    without = [
        CASE_METRICS["auroc"](labels, ensemble_logits(logits[np.arange(runs) % groups != g])) for g in range(groups)
    ]
    expected = sum((one - np.mean(without)) ** 2 for one in without) * (groups - 1) / groups
    found = averaged("auroc", logits, labels)
    assert found.seed_var == pytest.approx(expected)
    assert found == estimated(found.value, found.seed_var, found.case_var, groups)
    many = np.stack([-logits / 2, logits / 2], axis=2)
    again = ensemble(many, partial(CASE_METRICS["auroc"], labels), partial(case_variance, "auroc", labels))
    assert again.seed_var == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "most"), [("auroc", 0.99), ("accuracy", 1.0)])
def test_intervals_hold_the_truth(metric, most):
    """Six seeds, 200 cases, a model that is wrong in its own way on each case: 95 % intervals, not too narrow."""
    rng = np.random.default_rng(4)

    def drawn(n):
        labels = np.repeat([0, 1], n // 2)
        signal = 1.2 * (2 * labels - 1) + rng.normal(0, 1, n)
        return labels, 1.5 * (signal + rng.normal(0, 1, (6, n)) + rng.normal(0, 0.5, (6, 1)))

    def value(n):
        labels, logits = drawn(n)
        return CASE_METRICS[metric](labels, ensemble_logits(logits))

    truth = np.mean([value(4000) for _ in range(100)])
    found = [averaged(metric, logits, labels) for labels, logits in (drawn(200) for _ in range(300))]
    held = np.mean([one.lo <= truth <= one.hi for one in found])
    # the jackknife of a count is too wide, never too narrow
    assert 0.92 <= held <= most
