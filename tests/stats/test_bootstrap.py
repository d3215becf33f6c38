"""The bootstrap over seeds and subjects."""

import math

import numpy as np
import pytest

from doubleread import metrics
from doubleread.stats import CASE_COVARIANCES, contrast, draw_subjects, two_way_interval


@pytest.fixture
def runs():
    rng = np.random.default_rng(3)
    labels = np.tile([0, 1], 100)
    base = rng.normal(size=200) + 1.5 * (labels - 0.5)
    arms = np.array([0.0, 0.4])[:, None, None] * (2 * labels - 1)
    # most of the noise belongs to arm and case or to arm and seed: that of single runs a two-way bootstrap counts twice
    noise = 0.8 * rng.normal(size=(2, 1, 200)) + 0.4 * rng.normal(size=(2, 24, 1)) * (2 * labels - 1)
    return base + arms + noise + 0.1 * rng.normal(size=(2, 24, 200)), labels


@pytest.mark.parametrize("metric", metrics.CASE_METRICS)
def test_equal_weights_give_the_metric(runs, metric):
    logits, labels = runs
    rounded = logits[0, 0].round(1)
    found = metrics.CASE_METRICS[metric].weighted(labels, rounded, np.full((2, 200), 3.0))
    assert found == pytest.approx([metrics.CASE_METRICS[metric](labels, rounded)] * 2)


@pytest.mark.parametrize("metric", metrics.CASE_METRICS)
def test_whole_weights_are_copies_of_cases(runs, metric):
    logits, labels = runs
    weights = np.random.default_rng(0).integers(0, 3, size=200)
    found = metrics.CASE_METRICS[metric].weighted(labels, logits[0, 0].round(1), weights[None].astype(float))
    copied = metrics.CASE_METRICS[metric](np.repeat(labels, weights), np.repeat(logits[0, 0].round(1), weights))
    assert found[0] == pytest.approx(copied)


@pytest.mark.parametrize("metric", ["accuracy", "auroc"])
def test_with_many_seeds_it_agrees_with_the_interval(runs, metric):
    logits, labels = runs
    theta = np.array([[metrics.CASE_METRICS[metric](labels, run) for run in arm] for arm in logits])
    cov = CASE_COVARIANCES[metric](logits.reshape(48, 200), labels, np.arange(200)).reshape(2, 24, 2, 24)
    weights = np.array([-1.0, 1.0])
    exact = contrast(theta, weights, cov)
    lo, hi = two_way_interval(metric, logits, labels, np.arange(200), weights, np.random.default_rng(0))
    assert hi - lo == pytest.approx(exact.hi - exact.lo, rel=0.2)
    assert (lo + hi) / 2 == pytest.approx(exact.value, abs=0.2 * (exact.hi - exact.lo))


def test_the_same_generator_gives_the_same_interval(runs):
    logits, labels = runs
    found = [
        two_way_interval(
            "accuracy", logits, labels, np.arange(200), np.array([-1.0, 1.0]), np.random.default_rng(s), 200
        )
        for s in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


def test_no_class_can_vanish():
    labels = np.array([1, 0, 0, 0, 0, 1])
    weights = draw_subjects(labels, np.array(["a", "b", "c", "d", "e", "f"]), np.random.default_rng(0), 500)
    assert (weights[:, labels == 1].sum(axis=1) == 2).all()
    assert (weights[:, labels == 0].sum(axis=1) == 4).all()
    together = draw_subjects(labels, np.array(["a", "b", "b", "d", "e", "f"]), np.random.default_rng(0), 10)
    assert (together[:, 1] == together[:, 2]).all()


def test_a_metric_that_exists_in_no_draw_is_nan():
    labels = np.ones(6, dtype=int)
    lo, hi = two_way_interval(
        "auroc", np.zeros((2, 3, 6)), labels, np.arange(6), np.array([1.0, -1.0]), np.random.default_rng(0), 20
    )
    assert math.isnan(lo)
    assert math.isnan(hi)
