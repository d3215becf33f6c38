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
