"""Domain classifier, label-shift check, tests of outputs, ROC bands, rescaling."""

import math

import numpy as np
import pytest
from scipy.stats import ks_2samp
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from doubleread.metrics import brier
from doubleread.stats import (
    GRID,
    BothSplits,
    Scored,
    calibration,
    calibration_covariance,
    curves_of,
    domain_classifier,
    estimated_prevalence,
    label_shift,
    outputs_differ,
    platt,
    reliability,
    temperature,
)

NAMES = ("a", "b", "c")


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_equal_distributions_are_called_different_as_often_as_p_says(rng):
    second, subjects = np.arange(60) >= 30, np.arange(60) // 2
    found = [domain_classifier(rng.normal(size=(60, 3)), second, subjects, NAMES, rng, 99).p for _ in range(150)]
    assert np.mean(np.array(found) <= 0.05) < 0.11
    assert 0.4 < np.mean(found) < 0.6


@pytest.mark.parametrize("spread", [False, True])
def test_a_shift_and_a_spread_are_found_and_the_feature_named(rng, spread):
    second, features = np.arange(200) >= 100, rng.normal(size=(200, 3))
    features[second, 1] = features[second, 1] * 4 if spread else features[second, 1] + 1.5
    found = domain_classifier(features, second, np.arange(200), NAMES, rng, 199)
    assert found.auroc > 0.7
    assert found.p == pytest.approx(1 / 200)
    if not spread:
        assert (found.feature, found.cases) == ("b", (100, 100))
        assert found.feature_auroc == pytest.approx(roc_auc_score(second, features[:, 1]))


def test_subjects_are_kept_whole(rng):
    # ten subjects, each image of one the same: known by heart if a fold could see it
    subjects = np.repeat(np.arange(10), 20)
    features, second = rng.normal(size=(10, 3))[subjects], subjects >= 5
    assert domain_classifier(features, second, subjects, NAMES, rng, 199).p > 0.01


@pytest.mark.parametrize(("n", "first"), [(10, 9), (10, 1), (10, 10), (0, 0)])
def test_too_few_subjects_say_nothing(rng, n, first):
    found = domain_classifier(rng.normal(size=(n, 3)), np.arange(n) >= first, np.arange(n), NAMES, rng, 9)
    assert (found.cases, found.feature) == ((first, n - first), "")
    assert all(math.isnan(value) for value in (found.p, found.auroc, found.feature_auroc))


def test_two_subjects_on_each_side_say_something(rng):
    found = domain_classifier(rng.normal(size=(4, 3)), np.arange(4) >= 2, np.arange(4), NAMES, rng, 9)
    assert 0 < found.p <= 1
    # both of them on both sides
    both = domain_classifier(rng.normal(size=(8, 3)), np.arange(8) >= 4, np.arange(8) % 2, NAMES, rng, 9)
    assert 0 < both.p <= 1
    alone = domain_classifier(rng.normal(size=(8, 3)), np.arange(8) >= 4, np.zeros(8, dtype=int), NAMES, rng, 9)
    assert math.isnan(alone.p)


def test_a_feature_that_is_lower_in_the_second_set_is_named_too(rng):
    second, features = np.arange(100) >= 60, rng.normal(size=(100, 3))
    features[second, 2] -= 3
    found = domain_classifier(features, second, np.arange(100), NAMES, rng, 19)
    assert (found.feature, found.cases) == ("c", (60, 40))
    assert found.feature_auroc == pytest.approx(roc_auc_score(second, features[:, 2]))
    assert found.feature_auroc < 0.1


def by_hand(features, second, subjects, rng, permutations):
    """Return AUROC and p of the domain classifier, written out: ridge regression in closed form, case by case."""
    names = np.unique(subjects)
    fold_of = dict(zip(names, rng.permutation(len(names)) % 5, strict=True))
    folds = np.array([fold_of[subject] for subject in subjects])
    columns = []
    for column in features.T:
        scaled = np.clip((column - column.mean()) / column.std(), -4, 4) if column.std() > 0 else 0 * column
        columns += [(scaled, scaled**2)]
    design = np.stack([one for one, _ in columns] + [two for _, two in columns], axis=1)

    def auroc(target):
        scores = np.zeros(len(target))
        for fold in range(5):
            train, rest = folds != fold, folds == fold
            x, y = design[train] - design[train].mean(axis=0), target[train] - target[train].mean()
            weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ y)
            scores[rest] = design[rest] @ weights
        return roc_auc_score(target, scores)

    # a subject that stands in both sets is one of each
    units = sorted({(subject, set_) for subject, set_ in zip(subjects, second, strict=True)})
    of_unit = np.array([set_ for _, set_ in units])
    place = [units.index((subject, set_)) for subject, set_ in zip(subjects, second, strict=True)]
    found = auroc(second)
    permuted = [auroc(rng.permutation(of_unit)[place]) for _ in range(permutations)]
    return found, (1 + sum(value >= found - 1e-12 for value in permuted)) / (1 + permutations)


def test_it_is_ridge_regression_with_subjects_kept_whole_and_permuted():
    rng = np.random.default_rng(5)
    subjects = np.repeat(np.arange(20), 4)
    second = np.where(subjects < 4, np.arange(80) % 2 == 0, subjects < 11)
    features = np.column_stack([0.1 * rng.normal(size=80) + 3 + 0.05 * second, rng.normal(size=80), np.ones(80)])
    # an odd image on either side
    features[:2, 1] = 40, -40
    found = domain_classifier(features, second, subjects, NAMES, np.random.default_rng(9), 150)
    auroc, p = by_hand(features, second, subjects, np.random.default_rng(9), 150)
    assert found.auroc == pytest.approx(auroc)
    assert found.p == pytest.approx(p)
    assert 0.05 < p < 0.95, "else it would hardly depend on the permutations"


def test_features_that_are_all_the_same_say_nothing(rng):
    found = domain_classifier(np.ones((20, 3)), np.arange(20) >= 10, np.arange(20), NAMES, rng, 19)
    assert (found.auroc, found.p) == (0.5, 1.0)


def scored(rng, n, positive, shift, name):
    labels = (np.arange(n) < positive * n).astype(int)
    logits = (2 * labels - 1) * 1.5 + shift + rng.normal(size=n)
    return Scored(logits_N=logits, labels_N=labels, subjects_N=np.array([f"{name}{i}" for i in range(n)]))


def test_another_prevalence_alone_is_estimated_and_a_shift_is_refused(rng):
    val = scored(rng, 800, 0.5, 0.0, "v")
    alone = label_shift([BothSplits(val=val, test=scored(rng, 800, 0.2, 0.0, "t"))] * 6, rng)
    assert alone.applies is True
    assert alone.estimated == pytest.approx(0.2, abs=0.05)
    shifted = label_shift([BothSplits(val=val, test=scored(rng, 800, 0.5, 1.5, "t"))] * 6, rng)
    assert shifted.applies is False
    assert shifted.estimated > 0.7
    assert estimated_prevalence(0.9, 0.8, 0.4) == pytest.approx(0.285714, abs=1e-6)


def test_the_estimated_prevalence_is_that_of_the_counts(rng):
    def counted(labels, logits):
        return Scored(
            logits_N=np.array(logits), labels_N=np.array(labels), subjects_N=np.arange(len(labels)).astype(str)
        )

    # validation: sensitivity 3 of 4, specificity 3 of 4; a logit of 0 is no positive call
    val = counted([1, 1, 1, 1, 0, 0, 0, 0], [1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 0.0, 1.0])
    # 2 of 5 are called positive, one of them rightly
    test = counted([1, 1, 0, 0, 0], [1.0, -1.0, 1.0, 0.0, -1.0])
    both = BothSplits(val=val, test=test)
    one = label_shift([both], rng)
    assert one.prevalence == pytest.approx(2 / 5)
    assert one.estimated == pytest.approx(estimated_prevalence(3 / 4, 3 / 4, 2 / 5))
    # of one seed nothing is known beyond it
    assert (math.isnan(one.lo), math.isnan(one.hi), one.applies) == (True, True, None)
    two = label_shift([both, both], rng)
    assert two.estimated == pytest.approx(one.estimated)
    assert two.lo < two.hi


def test_the_label_shift_of_a_constant_predictor_is_unknown(rng):
    part = Scored(logits_N=np.ones(20), labels_N=np.arange(20) % 2, subjects_N=np.arange(20).astype(str))
    found = label_shift([BothSplits(val=part, test=part)] * 6, rng)
    assert math.isnan(found.estimated)
    assert found.applies is None


def test_outputs_are_compared_by_subject(rng):
    a, b = rng.normal(size=100), rng.normal(0.8, size=100)
    assert outputs_differ(a, np.arange(100), b, np.arange(100)) < 0.001
    # the same ten values ten times each are ten observations, not a hundred
    ten = rng.normal(size=10)
    few = outputs_differ(np.repeat(ten, 10), np.repeat(np.arange(10), 10), b[:10], np.arange(10))
    assert few == pytest.approx(outputs_differ(ten, np.arange(10), b[:10], np.arange(10)))
    assert math.isnan(outputs_differ(a[:0], np.arange(0), b, np.arange(100)))
    assert math.isnan(outputs_differ(a, np.arange(100), b[:0], np.arange(0)))
    means = (a[::2] + a[1::2]) / 2, (b[::2] + b[1::2]) / 2
    pairs = np.arange(100) // 2
    assert outputs_differ(a, pairs, b, pairs) == pytest.approx(ks_2samp(*means).pvalue)


def test_curves_are_those_of_scikit_learn(rng):
    labels = rng.integers(0, 2, 300)
    logits = np.round(labels + rng.normal(size=300), 1)
    found = curves_of(labels, logits[None])
    false_positive, sensitivity, _ = roc_curve(labels, logits, drop_intermediate=False)
    for rate, height in zip(GRID, found.roc_RG[0], strict=True):
        if np.isclose(false_positive, rate).any():
            assert height == pytest.approx(sensitivity[np.isclose(false_positive, rate)].max())
    precision, recall, _ = precision_recall_curve(labels, logits)
    for wanted, height in zip(GRID[1:], found.pr_RG[0, 1:], strict=True):
        # the last of them has the largest threshold
        assert height == pytest.approx(precision[recall >= wanted - 1e-12][-1])


def test_curves_agree_with_the_auroc_and_ties_count_one_half(rng):
    labels = rng.integers(0, 2, 400)
    logits = labels + rng.normal(size=(3, 400))
    found = curves_of(labels, logits)
    for seed in range(3):
        area = np.trapezoid(found.roc_RG[seed], GRID)
        assert area == pytest.approx(roc_auc_score(labels, logits[seed]), abs=0.01)
    flat = curves_of(labels, np.zeros((1, 400)))
    assert np.allclose(flat.roc_RG[0], GRID)
    assert np.allclose(flat.pr_RG[0], labels.mean())
    perfect = curves_of(labels, labels[None] * 2.0 - 1)
    assert np.allclose(perfect.roc_RG, 1)
    assert np.allclose(perfect.pr_RG, 1)


@pytest.fixture
def cases(rng):
    logits = 2 * rng.normal(size=3000)
    return (rng.random(3000) < 1 / (1 + np.exp(-logits))).astype(int), logits


def test_rescaling_undoes_a_scale_and_a_shift(cases):
    labels, logits = cases
    slope, intercept = platt(labels, 3 * logits + 1)
    assert slope == pytest.approx(1 / 3, rel=0.1)
    assert slope * 1 + intercept == pytest.approx(0, abs=0.15)
    assert temperature(labels, 3 * logits) == pytest.approx(3, rel=0.1)
    after = calibration(labels, slope * (3 * logits + 1) + intercept)
    assert (after.intercept, after.slope) == (pytest.approx(0, abs=1e-4), pytest.approx(1, abs=1e-4))
    assert brier(labels, slope * (3 * logits + 1) + intercept) < brier(labels, 3 * logits + 1)


def test_what_has_no_scale_is_left_as_it_is():
    assert platt(np.array([0, 0, 1, 1]), np.array([-2.0, -1.0, 1.0, 2.0])) == (1.0, 0.0)
    assert platt(np.ones(4, dtype=int), np.arange(4.0)) == (1.0, 0.0)
    slope, intercept = platt(np.array([0, 0, 0, 1]), np.zeros(4))
    assert (slope, intercept) == (1.0, pytest.approx(math.log(1 / 3)))
    assert math.isnan(calibration(np.array([0, 0, 1, 1]), np.array([-2.0, -1.0, 1.0, 2.0])).slope)


def test_the_chance_of_calibration_is_that_of_a_simulation(rng):
    values, variances = [], []
    for _ in range(200):
        logits = np.repeat(rng.normal(0, 2, 100), 2)
        # two images of a subject share their label: half as many cases as it seems
        labels = np.repeat((rng.random(100) < 1 / (1 + np.exp(-logits[::2]))).astype(int), 2)
        found = calibration_covariance(labels, logits[None], np.repeat(np.arange(100), 2))
        values.append([found[name][0][0] for name in ("intercept", "slope")])
        variances.append([found[name][1][0, 0] for name in ("intercept", "slope")])
    assert np.sqrt(np.mean(variances, axis=0)) == pytest.approx(np.std(values, axis=0), rel=0.2)


def test_a_reliability_curve_counts_every_case_once(cases):
    labels, logits = cases
    found = reliability(labels, np.stack([logits, logits]))
    assert found.cases.sum() == len(labels)
    assert np.nansum(found.cases * found.observed) == pytest.approx(labels.sum())
    assert np.allclose(found.predicted, found.observed, atol=0.12)
