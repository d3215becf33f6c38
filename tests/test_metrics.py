"""Metrics equal scikit-learn's, and hold their properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from doubleread import metrics

LOGITS = st.lists(st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]), min_size=4, max_size=40)


@given(LOGITS, st.randoms(use_true_random=False))
def test_equal_to_scikit_learn(values, random):
    logits = np.array(values, dtype=np.float32)
    labels = np.array([0, 1] + [random.randint(0, 1) for _ in values[2:]])
    called = (logits > 0).astype(int)
    assert metrics.accuracy(labels, logits) == pytest.approx(reference.accuracy_score(labels, called))
    assert metrics.auroc(labels, logits) == pytest.approx(reference.roc_auc_score(labels, logits))
    assert metrics.sensitivity(labels, logits) == pytest.approx(reference.recall_score(labels, called))
    assert metrics.specificity(labels, logits) == pytest.approx(reference.recall_score(labels, called, pos_label=0))
    assert metrics.balanced_accuracy(labels, logits) == pytest.approx(reference.balanced_accuracy_score(labels, called))
    assert metrics.f1(labels, logits) == pytest.approx(reference.f1_score(labels, called))
    assert metrics.CASE_METRICS["mcc"](labels, logits) == pytest.approx(reference.matthews_corrcoef(labels, called))
    assert metrics.brier(labels, logits) == pytest.approx(
        reference.brier_score_loss(labels, metrics.probabilities(logits)), abs=1e-12
    )


def test_a_metric_of_a_missing_class_is_nan():
    labels, logits = np.zeros(3, dtype=int), np.array([-1.0, 1.0, 2.0])
    for name in ("auroc", "sensitivity", "balanced_accuracy"):
        assert math.isnan(metrics.CASE_METRICS[name](labels, logits))
    assert metrics.specificity(labels, logits) == pytest.approx(1 / 3)


def test_auroc_turns_around_with_the_scores():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 2, 50), rng.normal(size=50).round(1)
    assert metrics.auroc(labels, -logits) == pytest.approx(1 - metrics.auroc(labels, logits))


def test_probabilities_do_not_overflow():
    assert metrics.probabilities(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("name", [*metrics.CASE_METRICS, *metrics.CLASS_METRICS])
def test_what_is_called_better_is(name):
    """Sure and right against sure and wrong, by the direction that the metric says it has; a share stays one."""
    labels = np.array([0, 0, 1, 1, 1])
    sure = np.where(labels == 1, 3.0, -3.0)
    found = metrics.CASE_METRICS.get(name)
    one = found if found is not None else metrics.CLASS_METRICS[name]
    right, wrong = (one(labels, logits if found else np.stack([-logits, logits], axis=1)) for logits in (sure, -sure))
    assert (right - wrong) * metrics.direction(name) > 0
    assert metrics.is_share(name)
    assert max(abs(right), abs(wrong)) <= 1


@pytest.mark.parametrize("name", metrics.CURVE_METRICS)
def test_a_curve_metric_says_what_it_is(name):
    metric = metrics.CURVE_METRICS[name]
    assert metric.label.count("{}") == 1
    assert metric.definition[0] != " "
    assert metrics.direction(f"{name}_val_loss") == metric.better
    assert np.isfinite(metric(np.array([0.9, 0.5, 0.6, 0.4]), -1))


def test_every_case_metric_has_its_validation_name():
    names = metrics.metric_names()
    assert len(names) == len(set(names))
    assert {f"val_{name}" for name in metrics.CASE_METRICS} <= set(names)
