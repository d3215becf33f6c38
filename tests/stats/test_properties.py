"""What is always true of the covariances and of a contrast."""

import math

import numpy as np
import pytest
from scipy import stats

from doubleread import metrics
from doubleread.stats import CASE_COVARIANCES, contrast, difference_covariance, prediction_interval


@pytest.fixture
def runs():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    logits = rng.normal(size=(6, 120)) + 1.2 * (labels - 0.5) + 0.5 * rng.normal(size=120)
    return logits, labels


@pytest.mark.parametrize("metric", CASE_COVARIANCES)
def test_every_case_metric_has_a_covariance_that_is_one(runs, metric):
    logits, labels = runs
    cov = CASE_COVARIANCES[metric](logits, labels, np.arange(120))
    assert cov == pytest.approx(cov.T)
    assert np.linalg.eigvalsh(cov).min() > -1e-12
    assert set(CASE_COVARIANCES) == set(metrics.CASE_METRICS)


@pytest.mark.parametrize("metric", CASE_COVARIANCES)
def test_variance_is_that_of_a_bootstrap_within_the_classes(runs, metric):
    logits, labels = runs
    rng = np.random.default_rng(1)
    draws = []
    for _ in range(3000):
        rows = np.concatenate([rng.choice(np.flatnonzero(labels == k), 60) for k in (0, 1)])
        draws.append(metrics.CASE_METRICS[metric](labels[rows], logits[0, rows]))
    analytic = CASE_COVARIANCES[metric](logits, labels, np.arange(120))[0, 0]
    assert math.sqrt(analytic) == pytest.approx(np.std(draws), rel=0.08)


@pytest.mark.parametrize("metric", CASE_COVARIANCES)
def test_copies_of_a_subject_add_no_information(runs, metric):
    logits, labels = runs
    alone = CASE_COVARIANCES[metric](logits, labels, np.arange(120))
    tripled = CASE_COVARIANCES[metric](np.repeat(logits, 3, axis=1), np.repeat(labels, 3), np.repeat(np.arange(120), 3))
    assert tripled == pytest.approx(alone, rel=1e-9)


def test_the_name_of_a_subject_does_not_matter(runs):
    logits, labels = runs
    names = np.array([f"s{i}" for i in range(120)])
    for metric, covariance in CASE_COVARIANCES.items():
        # the bootstrap deals its draws to the subjects in the order of their names
        tolerance = 3e-4 if metric == "ece" else 1e-12
        assert covariance(logits, labels, names) == pytest.approx(
            covariance(logits, labels, np.arange(120)), abs=tolerance
        )


def estimate(logits, labels, weights):
    theta = np.array([metrics.accuracy(labels, row) for row in logits]).reshape(2, 3)
    cov = CASE_COVARIANCES["accuracy"](logits, labels, np.arange(120)).reshape(2, 3, 2, 3)
    return contrast(theta, np.array(weights), cov)


def test_swapping_arms_flips_the_sign(runs):
    one, two = estimate(*runs, [1.0, -1.0]), estimate(*runs, [-1.0, 1.0])
    assert (one.value, one.lo, one.hi) == pytest.approx((-two.value, -two.hi, -two.lo))
    assert (one.se, one.p) == pytest.approx((two.se, two.p))


def test_identical_arms_differ_by_nothing(runs):
    logits, labels = runs
    found = estimate(np.concatenate([logits[:3], logits[:3]]), labels, [1.0, -1.0])
    assert (found.value, found.se, found.p) == (0.0, 0.0, 1.0)


def test_one_seed_has_no_interval():
    found = contrast(np.array([[0.8]]), np.array([1.0]), np.full((1, 1, 1, 1), 0.001))
    assert found.value == 0.8
    assert math.isnan(found.lo)
    assert all(map(math.isnan, prediction_interval(found, 1, 400, 400)))


def test_a_run_metric_gives_a_t_interval_over_seeds():
    values = np.array([0.21, 0.25, 0.24, 0.30])
    found = contrast(values[None], np.array([1.0]), None)
    expected = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert (found.lo, found.hi) == pytest.approx(expected)


def test_a_prediction_is_wider_than_the_mean_and_widest_on_few_images():
    found = contrast(np.array([[0.70, 0.74, 0.72]]), np.array([1.0]), np.full((1, 3, 1, 3), 0.0004))
    few, many = prediction_interval(found, 3, 400, 100), prediction_interval(found, 3, 400, 10_000)
    assert few[0] < many[0] < found.lo
    assert few[1] > many[1] > found.hi


def two_sets(shared):
    """Return 80 cases and 120 others, 4 runs on both; of the subjects, `shared` stand in both sets."""
    rng = np.random.default_rng(4)
    subjects = np.arange(80), np.arange(80 - shared, 200 - shared)
    skill = rng.normal(size=(1, 300))
    parts = []
    for names in subjects:
        labels = names % 2
        parts.append((0.8 * (2 * labels - 1) + skill[:, names] + 0.5 * rng.normal(size=(4, len(names))), labels, names))
    return parts


def test_a_difference_of_two_sets_without_shared_subjects_is_the_sum_of_their_parts():
    a, b = two_sets(shared=0)
    accuracy = CASE_COVARIANCES["accuracy"]
    assert difference_covariance(*a, *b) == pytest.approx(accuracy(*a) + accuracy(*b))
    assert difference_covariance(*b, *a) == pytest.approx(difference_covariance(*a, *b))


def test_a_difference_of_two_sets_with_shared_subjects_agrees_with_a_bootstrap_of_subjects():
    a, b = two_sets(shared=60)
    rng = np.random.default_rng(0)
    names = np.unique(np.concatenate([a[2], b[2]]))
    groups = [np.flatnonzero(names % 2 == label) for label in (0, 1)]
    right = [((logits > 0) == labels).astype(float) for logits, labels, _ in (a, b)]
    draws = []
    for _ in range(4000):
        counts = np.zeros(len(names))
        for group in groups:
            np.add.at(counts, rng.choice(group, len(group)), 1)
        weights = [counts[np.searchsorted(names, part[2])] for part in (a, b)]
        # the class counts of each set stay fixed, as in the formula
        values = []
        for hits, w, part in zip(right, weights, (a, b), strict=True):
            shares = [(hits[:, part[1] == k] @ w[part[1] == k]) / w[part[1] == k].sum() for k in (0, 1)]
            values.append(sum(s * (part[1] == k).mean() for k, s in enumerate(shares)))
        draws.append(values[0] - values[1])
    found = difference_covariance(*a, *b)
    assert np.sqrt(np.diag(found)) == pytest.approx(np.std(draws, axis=0), rel=0.08)
    alone = CASE_COVARIANCES["accuracy"](*a) + CASE_COVARIANCES["accuracy"](*b)
    assert np.trace(found) < 0.95 * np.trace(alone), "shared subjects move both sets together"


def test_a_value_that_is_nan_makes_the_estimate_nan():
    found = contrast(np.array([[0.5, np.nan, 0.6]]), np.array([1.0]), None)
    assert all(map(math.isnan, (found.value, found.se, found.lo, found.p)))


def test_balanced_accuracy_varies_with_subjects_that_have_both_classes():
    rng = np.random.default_rng(0)
    labels, subjects = np.tile([0, 1], 60), np.repeat(np.arange(60), 2)
    skill = np.repeat(rng.normal(size=60), 2)
    logits = (2 * labels - 1) * (0.5 + skill) + 0.3 * rng.normal(size=(2, 120))
    found = CASE_COVARIANCES["balanced_accuracy"](logits, labels, subjects)
    draws = []
    for _ in range(3000):
        rows = (2 * rng.integers(0, 60, 60)[:, None] + [0, 1]).ravel()
        draws.append([metrics.balanced_accuracy(labels[rows], row[rows]) for row in logits])
    assert found == pytest.approx(np.cov(np.array(draws).T), rel=0.12)
    # with as many cases of each class, it is accuracy
    assert found == pytest.approx(CASE_COVARIANCES["accuracy"](logits, labels, subjects))
