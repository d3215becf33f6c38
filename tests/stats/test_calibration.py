"""Calibration intercept and slope: what scaling and shifting the logits does to them."""

import math

import numpy as np
import pytest

from doubleread.stats import calibration


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
