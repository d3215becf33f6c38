"""More than two classes: two of them agree with the binary functions, three with a bootstrap."""

import math

import numpy as np
import pytest

from doubleread import metrics
from doubleread.stats import CASE_COVARIANCES, MULTICLASS

BINARY = {"accuracy": "accuracy", "macro_recall": "balanced_accuracy", "macro_auroc": "auroc"}


@pytest.mark.parametrize("metric", MULTICLASS)
@pytest.mark.parametrize("images", [1, 3], ids=["alone", "clustered"])
def test_two_classes_are_the_binary_case(metric, images):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    logits = rng.normal(size=(4, 120)) + labels
    subjects = np.arange(120) // images
    scores = np.stack([-logits / 2, logits / 2], axis=2)
    value, covariance = MULTICLASS[metric](scores, labels, subjects)
    name = BINARY[metric]
    assert value == pytest.approx([metrics.CASE_METRICS[name](labels, row) for row in logits])
    assert covariance == pytest.approx(CASE_COVARIANCES[name](logits, labels, subjects))


@pytest.mark.parametrize("metric", MULTICLASS)
def test_three_classes_agree_with_a_bootstrap_within_classes(metric):
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [80, 60, 40])
    scores = rng.normal(size=(2, 180, 3)) + 1.2 * np.eye(3)[labels] + 0.7 * rng.normal(size=(180, 3))
    draws = []
    for _ in range(1500):
        rows = np.concatenate([rng.choice(np.flatnonzero(labels == c), (labels == c).sum()) for c in range(3)])
        draws.append(MULTICLASS[metric](scores[:, rows], labels[rows], np.arange(180))[0])
    covariance = MULTICLASS[metric](scores, labels, np.arange(180))[1]
    assert np.sqrt(np.diag(covariance)) == pytest.approx(np.std(draws, axis=0), rel=0.08)
    assert covariance[0, 1] == pytest.approx(np.cov(np.array(draws).T)[0, 1], rel=0.2)


def test_a_missing_class_has_no_macro_auroc():
    value, covariance = MULTICLASS["macro_auroc"](np.zeros((1, 4, 3)), np.array([0, 1, 0, 1]), np.arange(4))
    assert math.isnan(value[0])
    assert np.isnan(covariance).all()
    assert math.isnan(MULTICLASS["macro_recall"](np.zeros((1, 4, 3)), np.array([0, 1, 0, 1]), np.arange(4))[0][0])


def test_macro_covariances_are_sums_within_subjects_and_classes():
    """Three classes, subjects with cases of several: parts of one class by its subjects, of two by all."""
    rng = np.random.default_rng(5)
    labels, subjects = rng.integers(0, 3, 60), rng.permutation(np.arange(60) % 25)
    scores = (rng.normal(size=(2, 60, 3)) + 1.5 * np.eye(3)[labels]).round(1)
    right = (scores.argmax(axis=2) == labels).astype(float)
    counts = np.bincount(labels)
    influences = {"macro_recall": np.zeros((2, 60)), "macro_auroc": np.zeros((2, 60))}
    values = {"macro_recall": np.zeros(2), "macro_auroc": np.zeros(2)}
    for c in range(3):
        mine = labels == c
        recall = right[:, mine].mean(axis=1)
        values["macro_recall"] += recall / 3
        influences["macro_recall"][:, mine] += (right[:, mine] - recall[:, None]) / counts[c] / 3
        score = scores[:, :, c]
        wins = (score[:, :, None] > score[:, None, :]) + 0.5 * (score[:, :, None] == score[:, None, :])
        pairs = wins[:, mine][:, :, ~mine]
        area = pairs.mean(axis=(1, 2))
        values["macro_auroc"] += area / 3
        influences["macro_auroc"][:, mine] += (pairs.mean(axis=2) - area[:, None]) / mine.sum() / 3
        influences["macro_auroc"][:, ~mine] += (pairs.mean(axis=1) - area[:, None]) / (~mine).sum() / 3
    for name, influence in influences.items():
        for c in range(3):
            influence[:, labels == c] -= influence[:, labels == c].mean(axis=1, keepdims=True)
        expected = np.zeros((2, 2))
        for g in range(3):
            for h in range(3):
                sums = [
                    np.stack([(influence * (labels == c))[:, subjects == s].sum(axis=1) for s in range(25)], axis=1)
                    for c in (g, h)
                ]
                many = len(set(subjects[labels == g])) if g == h else 25
                expected += sums[0] @ sums[1].T * many / (many - 1)
        value, covariance = MULTICLASS[name](scores, labels, subjects)
        assert value == pytest.approx(values[name])
        assert covariance == pytest.approx(expected)


def test_a_class_of_one_subject_has_no_macro_covariance_and_accuracy_has_one():
    labels, subjects = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 2, 3, 4, 4])
    scores = np.random.default_rng(0).normal(size=(2, 6, 3))
    for name in ("macro_recall", "macro_auroc"):
        value, covariance = MULTICLASS[name](scores, labels, subjects)
        assert np.isfinite(value).all()
        assert np.isnan(covariance).all()
        assert covariance.shape == (2, 2)
        assert np.isfinite(MULTICLASS[name](scores, labels, np.arange(6))[1]).all()
    assert np.isfinite(MULTICLASS["accuracy"](scores, labels, subjects)[1]).all()


def test_a_missing_class_has_no_macro_recall():
    value, covariance = MULTICLASS["macro_recall"](np.zeros((2, 4, 3)), np.array([0, 1, 0, 1]), np.arange(4))
    assert value.shape == (2,)
    assert covariance.shape == (2, 2)
    assert np.isnan(covariance).all()


def test_cases_of_one_class_have_no_macro_auroc():
    value, covariance = MULTICLASS["macro_auroc"](np.zeros((1, 4, 2)), np.zeros(4, dtype=int), np.arange(4))
    assert np.isnan(value).all()
    assert np.isnan(covariance).all()
