"""Calibration of probabilities, and the prevalence that a classifier's calls point to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Calibration-in-the-large (`intercept`, ideal 0) and `slope` (ideal 1); Cox 1958, Van Calster et al. 2019."""

    intercept: float
    slope: float


def calibration(labels_N: np.ndarray, logits_N: np.ndarray) -> Calibration:
    """Return intercept and slope of labels (N,) of 0 and 1 on logits (N,).

    The slope is the coefficient of the logit in a logistic regression, the intercept that of a regression with the
    logit as offset. NaN where a class is missing or, for the slope, where the logits are all the same.
    """
    if len(np.unique(labels_N)) < 2:
        return Calibration(intercept=float("nan"), slope=float("nan"))
    logits = logits_N.astype(np.float64)
    ones = np.ones((len(labels_N), 1))
    intercept = GLM(labels_N, ones, family=Binomial(), offset=logits).fit().params[0]
    if np.ptp(logits) == 0:
        return Calibration(intercept=float(intercept), slope=float("nan"))
    slope = GLM(labels_N, np.column_stack([ones, logits]), family=Binomial()).fit().params[1]
    return Calibration(intercept=float(intercept), slope=float(slope))


def estimated_prevalence(sensitivity: float, specificity: float, called_positive: float) -> float:
    """Return the prevalence that makes a share of positive calls plausible (black-box shift estimation).

    (rate + specificity − 1) / (sensitivity + specificity − 1), clipped to [0, 1] (Rogan & Gladen 1978; Lipton et al.
    2018). NaN where the classifier is no better than a coin.
    """
    informed = sensitivity + specificity - 1
    if informed <= 0:
        return float("nan")
    return float(np.clip((called_positive + specificity - 1) / informed, 0.0, 1.0))
