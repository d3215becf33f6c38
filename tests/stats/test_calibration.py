"""Calibration intercept and slope: what scaling and shifting the logits does to them."""

import math

import numpy as np
import pytest

from doubleread.stats import calibration, calibration_covariance, estimated_prevalence, platt, reliability, temperature


@pytest.fixture
def cases():
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=4000)
    return (rng.random(4000) < 1 / (1 + np.exp(-logits))).astype(int), logits


def test_true_probabilities_are_calibrated(cases):
    found = calibration(*cases)
    assert found.intercept == pytest.approx(0, abs=0.1)
    assert found.slope == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("k", [0.5, 3.0])
def test_scaled_logits_have_a_slope_of_one_over_the_scale(cases, k):
    labels, logits = cases
    assert calibration(labels, k * logits).slope == pytest.approx(calibration(labels, logits).slope / k, rel=1e-6)


@pytest.mark.parametrize("c", [-1.5, 0.7])
def test_shifted_logits_shift_the_intercept_back(cases, c):
    labels, logits = cases
    assert calibration(labels, logits + c).intercept == pytest.approx(
        calibration(labels, logits).intercept - c, abs=1e-6
    )


def test_what_has_no_answer_is_nan():
    assert math.isnan(calibration(np.ones(5), np.arange(5.0)).slope)
    assert math.isnan(calibration(np.array([0, 1, 0]), np.ones(3)).slope)
    for label in (0, 1):
        alone = calibration(np.full(5, label), np.arange(5.0))
        assert (math.isnan(alone.intercept), math.isnan(alone.slope)) == (True, True)
    # the largest of one class is the smallest of the other
    for labels in (np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])):
        assert math.isnan(calibration(labels, np.array([0.0, 1.0, 1.0, 2.0])).slope)


@pytest.mark.parametrize("scale", [1.0, 30.0, 100.0, 1000.0])
def test_large_logits_lead_no_intercept_astray(scale):
    rng = np.random.default_rng(4)
    for _ in range(30):
        logits = scale * rng.normal(size=60)
        labels = np.where(rng.random(60) < 0.2, logits < 0, logits > 0).astype(int)
        base = calibration(labels, logits).intercept
        chance = 1 / (1 + np.exp(-np.clip(base + logits, -700, 700)))
        assert chance.sum() == pytest.approx(labels.sum(), abs=1e-6), "as many positive as are expected"
        assert abs(base) < 5 * scale


def test_logits_that_hardly_differ_have_no_slope():
    labels = np.arange(40) % 2
    assert math.isnan(calibration(labels, np.linspace(0.2, 0.209, 40)).slope)
    assert not math.isnan(calibration(labels, np.linspace(-1, 1, 40)).slope)


def test_logits_that_differ_by_the_least_have_a_slope():
    labels, logits = np.array([0, 0, 1, 0, 1, 1]), np.array([0.0, 0.0, 0.0, 0.01, 0.01, 0.01])
    # odds of 1 : 2 and of 2 : 1
    assert calibration(labels, logits).slope == pytest.approx(2 * math.log(2) / 0.01)
    assert platt(labels, logits)[0] == pytest.approx(2 * math.log(2) / 0.01)


def written_out(labels, logits, subjects, columns):
    """Return the covariance of a logistic regression's coefficients over another draw of subjects, case by case."""
    chance = 1 / (1 + np.exp(-columns @ logits))
    information = sum(p * (1 - p) * np.outer(x, x) for p, x in zip(chance, columns, strict=True))
    scores = {name: np.zeros(columns.shape[1]) for name in set(subjects)}
    for label, p, x, subject in zip(labels, chance, columns, subjects, strict=True):
        scores[subject] += np.linalg.inv(information) @ x * (label - p)
    many = len(scores)
    return many / (many - 1) * sum(np.outer(one, one) for one in scores.values())


def test_the_covariance_is_the_sandwich_written_out():
    labels = np.array([0, 1, 0, 1, 1, 0, 1, 0])
    logits = np.array([-1.0, 2.0, 0.5, -0.5, 1.0, -2.0, 0.2, 1.5])
    subjects = np.array(["a", "a", "b", "b", "c", "c", "d", "d"])
    found = calibration_covariance(labels, logits[None], subjects)
    point = calibration(labels, logits)
    flat = np.column_stack([np.ones(8), logits])
    # the logit as offset: the coefficient of the second column is 1, and only the first is estimated
    offset = 1 / (1 + np.exp(-(point.intercept + logits)))
    scores = [(labels - offset)[subjects == name].sum() / (offset * (1 - offset)).sum() for name in "abcd"]
    assert found["intercept"][0] == pytest.approx([point.intercept])
    assert found["intercept"][1][0, 0] == pytest.approx(4 / 3 * np.square(scores).sum())
    both = platt(labels, logits)
    assert found["slope"][0] == pytest.approx([point.slope])
    whole = written_out(labels, np.array([both[1], both[0]]), subjects, flat)
    assert found["slope"][1][0, 0] == pytest.approx(whole[1, 1], rel=1e-6)


def test_two_subjects_have_a_covariance_and_one_has_none():
    labels, logits = np.array([0, 1, 0, 1]), np.array([-1.0, 0.5, 0.7, -0.2])
    both = calibration_covariance(labels, logits[None], np.array(["a", "a", "b", "b"]))
    assert np.isfinite(both["intercept"][1]).all()
    one = calibration_covariance(labels, logits[None], np.array(["a"] * 4))
    assert np.isnan(one["intercept"][1]).all()
    assert np.isnan(one["slope"][1]).all()


def test_what_has_no_slope_has_no_covariance():
    labels, good = np.array([0, 0, 1, 1]), np.array([-2.0, 1.0, -1.0, 2.0])
    separated = np.array([-2.0, -1.0, 1.0, 2.0])
    found = calibration_covariance(labels, np.stack([separated, good]), np.arange(4))
    assert np.isnan(found["slope"][0]).tolist() == [True, False]
    assert np.isnan(found["slope"][1]).tolist() == [[True, True], [True, False]]
    assert np.isfinite(found["intercept"][1]).all()
    # one class alone
    for label in (0, 1):
        found = calibration_covariance(np.full(4, label), good[None], np.arange(4))
        for name in ("intercept", "slope"):
            assert np.isnan(found[name][0]).all()
            assert np.isnan(found[name][1]).all()
            assert found[name][1].shape == (1, 1)
    # chances of exactly 0 and 1 hold no information
    extreme = calibration_covariance(np.array([0, 1, 0, 1]), np.array([[-1e4, -1e4, 1e4, 1e4]]), np.arange(4))
    assert extreme["intercept"][0] == pytest.approx([0], abs=1e-6)
    assert np.isnan(extreme["intercept"][1]).all()


def test_rescaling_leaves_alone_what_it_cannot_scale():
    assert platt(np.array([0, 0, 1, 1]), np.array([-2.0, -1.0, 1.0, 5.0])) == (1.0, 0.0)
    for label in (0, 1):
        assert platt(np.full(4, label), np.zeros(4)) == (1.0, 0.0)
    slope, intercept = platt(np.array([0, 0, 0, 1]), np.array([0.3, 0.301, 0.302, 0.303]))
    assert (slope, intercept) == (1.0, pytest.approx(math.log(1 / 3) - 0.3015, abs=1e-4))


def test_no_other_temperature_has_a_lower_log_loss(cases):
    labels, logits = cases
    best = temperature(labels, 2.5 * logits)

    def log_loss(t):
        return np.logaddexp(0, -np.where(labels == 1, 1, -1) * 2.5 * logits / t).mean()

    assert log_loss(best) < min(log_loss(best * 1.01), log_loss(best / 1.01))
    # all right, and all wrong: the end of the range
    assert temperature(np.array([0, 1]), np.array([-1.0, 1.0])) == pytest.approx(math.exp(-5), rel=0.01)
    assert temperature(np.array([0, 1]), np.array([1.0, -1.0])) == pytest.approx(math.exp(5), rel=0.01)


def test_an_empty_bin_has_neither_chance_nor_share():
    found = reliability(np.array([0, 1, 1, 0]), np.array([[-4.0, -4.0, 0.1, 0.3]]))
    assert found.cases.tolist() == [2, 0, 0, 0, 0, 2, 0, 0, 0, 0]
    assert np.isnan(found.predicted).tolist() == np.isnan(found.observed).tolist() == (found.cases == 0).tolist()
    assert found.observed[[0, 5]].tolist() == [0.5, 0.5]
    assert found.predicted[0] == pytest.approx(1 / (1 + math.exp(4)))
    # two runs that were scored on different cases, in one row
    halves = reliability(np.array([0, 1, 1, 0]), np.array([[-4.0, -4.0, 0.1, 0.3]]), runs=2)
    assert halves.cases.sum() == 2


def test_a_prevalence_is_between_0_and_1():
    assert estimated_prevalence(0.9, 0.8, 0.4) == pytest.approx(0.2 / 0.7)
    assert estimated_prevalence(0.7, 0.6, 0.95) == 1.0
    assert estimated_prevalence(0.7, 0.6, 0.1) == 0.0
    assert math.isnan(estimated_prevalence(0.5, 0.5, 0.5))
