"""Published data sets with known answers."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from doubleread import metrics
from doubleread.stats import CASE_COVARIANCES, contrast
from doubleread.stats.case_covariance import auroc_covariance


@pytest.fixture(scope="module")
def vandyke(shared):
    """Ratings (2 treatments, 5 readers, 114 cases) and truth (114,)."""
    table = pd.read_csv(shared / "golden" / "vandyke.csv").sort_values(["treatment", "reader", "case"])
    return table.rating.to_numpy(float).reshape(2, 5, 114), table.truth.to_numpy()[:114]


@pytest.fixture(scope="module")
def asah(shared):
    """Scores of wfns, s100b and ndka (3, 113), and outcome Poor (113,)."""
    table = pd.read_csv(shared / "golden" / "asah.csv")
    return table[["wfns", "s100b", "ndka"]].to_numpy(float).T, (table.outcome == "Poor").to_numpy(int)


def estimate(metric, logits_TRN, labels):
    arms, seeds, cases = logits_TRN.shape
    flat = logits_TRN.reshape(-1, cases)
    theta = np.array([metrics.CASE_METRICS[metric](labels, row) for row in flat]).reshape(arms, seeds)
    cov = CASE_COVARIANCES[metric](flat, labels, np.arange(cases)).reshape(arms, seeds, arms, seeds)
    return contrast(theta, np.array([1.0, -1.0]), cov)


def test_van_dyke_auroc(vandyke):
    ratings, truth = vandyke
    found = estimate("auroc", ratings, truth)
    assert found.value == pytest.approx(-0.04380032, abs=5e-9)
    assert found.se == pytest.approx(0.0206825, abs=5e-8)
    assert found.df == pytest.approx(15.06611, abs=5e-6)
    assert found.p == pytest.approx(0.05123303, abs=5e-9)
    assert (found.lo, found.hi) == (pytest.approx(-0.0878672, abs=5e-8), pytest.approx(0.00026655, abs=5e-9))


def test_van_dyke_sensitivity_at_rating_3(vandyke):
    ratings, truth = vandyke
    found = estimate("sensitivity", ratings - 2.5, truth)
    assert found.value == pytest.approx(-0.09777778, abs=5e-9)
    assert found.se == pytest.approx(0.03780451, abs=5e-9)
    assert found.df == pytest.approx(15.71732, abs=5e-6)
    assert found.p == pytest.approx(0.02008822, abs=5e-9)


def test_asah_delong(asah):
    scores, poor = asah
    areas = [metrics.auroc(poor, row) for row in scores]
    assert areas == pytest.approx([0.8236789, 0.7313686, 0.6119580], abs=5e-8)
    cov = auroc_covariance(scores, poor, np.arange(113))
    assert np.diag(cov) == pytest.approx([0.00146991470882, 0.00266868245717, 0.00319081054939], abs=5e-15)
    assert cov[1, 0] == pytest.approx(0.00119615567377, abs=5e-15)


@pytest.mark.parametrize(
    ("other", "z", "p"), [(1, 2.20898359144, 0.0271757822), (2, 2.79777592, 0.00514558)], ids=["s100b", "ndka"]
)
def test_asah_differences(asah, other, z, p):
    scores, poor = asah
    cov = auroc_covariance(scores, poor, np.arange(113))
    difference = metrics.auroc(poor, scores[0]) - metrics.auroc(poor, scores[other])
    se = np.sqrt(cov[0, 0] + cov[other, other] - 2 * cov[0, other])
    assert difference / se == pytest.approx(z, abs=5e-9)
    assert 2 * norm.sf(difference / se) == pytest.approx(p, abs=5e-9)
