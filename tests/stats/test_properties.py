"""What is always true of the covariances and of a contrast."""

import math

import numpy as np
import pytest
from scipy import stats

from doubleread import metrics
from doubleread.stats import (
    CASE_COVARIANCES,
    MULTICLASS,
    called_positive_covariance,
    combined,
    contrast,
    covariance_of,
    difference_covariance,
    estimate,
    prediction_interval,
)
from doubleread.stats.case_covariance import jackknifed


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


def accuracies(logits, labels, weights):
    theta = np.array([metrics.accuracy(labels, row) for row in logits]).reshape(2, 3)
    cov = CASE_COVARIANCES["accuracy"](logits, labels, np.arange(120)).reshape(2, 3, 2, 3)
    return contrast(theta, np.array(weights), cov)


def test_swapping_arms_flips_the_sign(runs):
    one, two = accuracies(*runs, [1.0, -1.0]), accuracies(*runs, [-1.0, 1.0])
    assert (one.value, one.lo, one.hi) == pytest.approx((-two.value, -two.hi, -two.lo))
    assert (one.se, one.p) == pytest.approx((two.se, two.p))


def test_identical_arms_differ_by_nothing(runs):
    logits, labels = runs
    found = accuracies(np.concatenate([logits[:3], logits[:3]]), labels, [1.0, -1.0])
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


def test_a_contrast_is_the_formula_written_out():
    rng = np.random.default_rng(7)
    theta, weights = rng.normal(0.8, 0.02, size=(3, 4)), np.array([1.0, -0.25, -0.75])
    root = 0.01 * rng.normal(size=(12, 20)) + 0.03 * np.repeat(rng.normal(size=(3, 20)), 4, axis=0)
    cov = (root @ root.T / 20).reshape(3, 4, 3, 4)
    psi = [sum(weights[i] * theta[i, j] for i in range(3)) for j in range(4)]
    between = [
        sum(weights[i] * weights[k] * cov[i, j, k, m] for i in range(3) for k in range(3))
        for j in range(4) for m in range(4) if j != m
    ]  # fmt: skip
    a, b = np.var(psi, ddof=1) / 4, float(np.mean(between))
    df = (a + b) ** 2 / (a**2 / 3)
    half = stats.t.ppf(0.975, df) * math.sqrt(a + b)
    found = contrast(theta, weights, cov)
    assert b > 0
    assert (found.value, found.seed_var, found.case_var) == pytest.approx((np.mean(psi), a, b))
    assert (found.se, found.df) == pytest.approx((math.sqrt(a + b), df))
    assert (found.lo, found.hi) == pytest.approx((np.mean(psi) - half, np.mean(psi) + half))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(np.mean(psi)) / math.sqrt(a + b), df))
    one_more = 4 * a * (1 + 1 / 4) + b * (1 + 400 / 100)
    half = stats.t.ppf(0.975, 3) * math.sqrt(one_more)
    assert prediction_interval(found, 4, 400, 100) == pytest.approx((np.mean(psi) - half, np.mean(psi) + half))


def test_two_seeds_are_enough_for_an_interval():
    found = contrast(np.array([[0.70, 0.72]]), np.ones(1), np.full((1, 2, 1, 2), 1e-4))
    assert (found.seed_var, found.case_var) == pytest.approx((1e-4, 1e-4))
    assert found.df == pytest.approx(4)
    assert prediction_interval(found, 2, 400, 400)[0] < found.lo


def test_what_is_known_of_a_mean():
    nothing = estimate(np.zeros(0), None)
    assert all(map(math.isnan, (nothing.value, nothing.se, nothing.p)))
    seeds = np.array([0.1, 0.2, 0.3])
    assert estimate(seeds, np.full((3, 3), -1.0)).case_var == 0, "a variance is not below 0"
    unknown = estimate(seeds, np.full((3, 3), math.nan))
    assert unknown.value == pytest.approx(0.2)
    assert all(map(math.isnan, (unknown.case_var, unknown.se, unknown.df, unknown.lo, unknown.hi, unknown.p)))


def test_seeds_that_agree_leave_the_cases_and_their_normal_interval():
    found = contrast(np.full((1, 3), 0.1), np.ones(1), np.full((1, 3, 1, 3), 0.04**2))
    assert (found.value, found.seed_var, found.df) == (0.1, 0.0, math.inf)
    assert (found.lo, found.hi) == pytest.approx(stats.norm.interval(0.95, 0.1, 0.04))
    assert found.p == pytest.approx(2 * stats.norm.sf(2.5))
    certain = contrast(np.full((1, 3), 0.1), np.ones(1), None)
    assert (certain.se, certain.lo, certain.hi) == (0.0, 0.1, 0.1)
    assert math.isnan(certain.p)


def test_rounding_is_no_difference_and_a_small_difference_is_none_of_it():
    theta = np.array([[0.1 + 0.2, 0.7, 0.3], [0.3, 0.1 * 7, 0.1 * 3]])
    assert combined(theta, np.array([1.0, -1.0]), None)[0].tolist() == [0.0, 0.0, 0.0]
    theta[0] += 1e-9
    assert (combined(theta, np.array([1.0, -1.0]), None)[0] > 0).all()
    # weights of any size: rounding is beside what was added up
    assert combined(theta * 1e-9, np.array([1e9, -1e9]), None)[0] == pytest.approx([1e-9] * 3, rel=1e-3)
    cov = np.full((2, 3, 2, 3), 1e-4)
    cov[0] += 1e-18
    assert (combined(theta, np.array([1.0, -1.0]), cov)[1] == 0).all()
    for weight, added, kept in ((1.0, 1e-9, True), (1e4, 1e-18, False), (1e4, 1e-13, True)):
        cov = np.full((2, 3, 2, 3), 1e-4)
        cov[0, :, 0] += added
        assert (combined(theta, np.array([weight, -weight]), cov)[1] != 0).all() == kept


@pytest.fixture
def clustered():
    """Logits (3, 90) with ties, labels, and subjects of one to three cases, some of both classes, in no order."""
    rng = np.random.default_rng(11)
    labels, subjects = rng.integers(0, 2, 90), rng.permutation(np.repeat([f"s{i}" for i in range(45)], 2))
    subjects[:5] = "s7"
    logits = rng.normal(size=(3, 90)) + 1.5 * (labels - 0.5) + 0.8 * rng.normal(size=90)
    return logits.round(1), labels, subjects


def summed(influence, subjects):
    """Return Σ_s E_s E_sᵀ · P / (P − 1), written out."""
    names = sorted(set(subjects))
    sums = [influence[:, subjects == name].sum(axis=1) for name in names]
    return sum(np.outer(one, one) for one in sums) * len(names) / (len(names) - 1)


def centred(values, labels):
    values = values.astype(float)
    for label in (0, 1):
        values[:, labels == label] -= values[:, labels == label].mean(axis=1, keepdims=True)
    return values


def test_covariances_of_shares_are_sums_over_subjects(clustered):
    logits, labels, subjects = clustered
    called = logits > 0
    expected = summed(centred(called == labels, labels) / 90, subjects)
    assert CASE_COVARIANCES["accuracy"](logits, labels, subjects) == pytest.approx(expected)
    expected = summed(centred(called, labels) / 90, subjects)
    assert called_positive_covariance(logits, labels, subjects) == pytest.approx(expected)
    for name, label in (("sensitivity", 1), ("specificity", 0)):
        mine = labels == label
        right = centred(called == labels, labels)[:, mine] / mine.sum()
        assert CASE_COVARIANCES[name](logits, labels, subjects) == pytest.approx(summed(right, subjects[mine]))


def test_the_covariance_of_aurocs_is_delongs_with_subjects_summed(clustered):
    logits, labels, subjects = clustered
    wins = (logits[:, :, None] > logits[:, None, :]) + 0.5 * (logits[:, :, None] == logits[:, None, :])
    pairs = wins[:, labels == 1][:, :, labels == 0]
    theta = pairs.mean(axis=(1, 2))
    parts = np.zeros((2, 3, 90))
    parts[0][:, labels == 1] = (pairs.mean(axis=2) - theta[:, None]) / (labels == 1).sum()
    parts[1][:, labels == 0] = (pairs.mean(axis=1) - theta[:, None]) / (labels == 0).sum()
    names = sorted(set(subjects))
    sums = [np.stack([part[:, subjects == name].sum(axis=1) for name in names], axis=1) for part in parts]
    many = [len(set(subjects[labels == 1])), len(set(subjects[labels == 0])), len(names)]
    expected = sum(one @ one.T * p / (p - 1) for one, p in zip(sums, many[:2], strict=True))
    both = sums[0] @ sums[1].T * many[2] / (many[2] - 1)
    assert CASE_COVARIANCES["auroc"](logits, labels, subjects) == pytest.approx(expected + both + both.T)


@pytest.mark.parametrize("metric", ["f1", "brier", "mcc"])
@pytest.mark.parametrize("subjects", [45, 300])
def test_jackknifed_covariances_leave_out_every_subject_in_turn(clustered, metric, subjects):
    logits, labels, names = clustered
    if subjects == 300:
        rng = np.random.default_rng(12)
        labels, names = rng.integers(0, 2, 400), np.arange(400) % 300
        logits = rng.normal(size=(2, 400)) + labels
    every = np.unique(names)
    value = metrics.CASE_METRICS[metric]
    without = np.array([[value(labels[names != s], row[names != s]) for s in every] for row in logits])
    kinds = [tuple(sorted(set(labels[names == s].tolist()))) for s in every]
    expected = np.zeros((len(logits), len(logits)))
    for kind in set(kinds):
        mine = without[:, [k == kind for k in kinds]]
        d = mine - mine.mean(axis=1, keepdims=True)
        expected += d @ d.T * (mine.shape[1] - 1) / mine.shape[1]
    assert CASE_COVARIANCES[metric](logits, labels, names) == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["f1", "brier"])
def test_the_jackknife_of_any_metric_agrees_with_the_quick_ones(clustered, metric):
    weighted = metrics.CASE_METRICS[metric].weighted
    logits, labels, subjects = clustered
    assert jackknifed(weighted)(logits, labels, subjects) == pytest.approx(
        CASE_COVARIANCES[metric](logits, labels, subjects)
    )
    # more subjects than are left out at a time
    labels, logits = np.tile(labels, 7), np.tile(logits, 7) + np.linspace(-1, 1, 630)
    assert jackknifed(weighted)(logits, labels, np.arange(630)) == pytest.approx(
        CASE_COVARIANCES[metric](logits, labels, np.arange(630))
    )


@pytest.mark.parametrize("metric", [name for name in CASE_COVARIANCES if name != "ece"])
def test_one_subject_says_nothing(metric):
    logits, labels = np.array([[1.0, -1.0, 0.5, 2.0]] * 2), np.array([0, 1, 0, 1])
    found = CASE_COVARIANCES[metric](logits, labels, np.zeros(4))
    assert found.shape == (2, 2)
    assert np.isnan(found).all()


def test_two_subjects_of_a_class_say_something_and_a_missing_class_nothing():
    logits, labels = np.array([[1.0, -1.0, 0.5, 2.0]] * 2), np.array([0, 0, 1, 1])
    auroc = CASE_COVARIANCES["auroc"]
    assert np.isfinite(auroc(logits, labels, np.arange(4))).all()
    assert np.isnan(auroc(logits, labels, np.array([0, 1, 2, 2]))).all()
    assert np.isnan(auroc(logits, np.zeros(4, dtype=int), np.arange(4))).all()
    assert np.isnan(auroc(logits, np.ones(4, dtype=int), np.arange(4))).all()
    assert auroc(logits, np.ones(4, dtype=int), np.arange(4)).shape == (2, 2)
    assert np.isfinite(CASE_COVARIANCES["accuracy"](logits, labels, np.array([0, 0, 1, 1]))).all()
    for metric in ("balanced_accuracy", "brier"):
        assert np.isfinite(CASE_COVARIANCES[metric](logits, labels, np.array([0, 1, 0, 1]))).all()


def test_the_bootstrap_of_a_calibration_error_is_the_same_at_every_call(runs):
    logits, labels = runs
    once, again = (CASE_COVARIANCES["ece"](logits, labels, np.arange(120)) for _ in range(2))
    assert (once == again).all()
    assert CASE_COVARIANCES["ece"](logits[:1], labels, np.arange(120)).shape == (1, 1)


def test_of_more_classes_the_covariance_is_that_of_the_metric(clustered):
    logits, labels, subjects = clustered
    scores = np.stack([-logits / 2, logits / 2], axis=2)
    for name in MULTICLASS:
        found = covariance_of(name, scores, labels, subjects)
        assert (found == MULTICLASS[name](scores, labels, subjects)[1]).all()
    for name in ("auroc", "f1"):
        found = covariance_of(name, logits, labels, subjects)
        assert (found == CASE_COVARIANCES[name](logits, labels, subjects)).all()
    # the same cases twice: their difference is 0 and does not vary
    for values in (logits, scores):
        found = difference_covariance(values, labels, subjects, values, labels, subjects)
        assert found == pytest.approx(np.zeros((3, 3)), abs=1e-15)
