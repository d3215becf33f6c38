"""Studies with a known truth, for the pictures: recipes whose true accuracies are given, judged by the product."""

# T recipes, R seeds, N images

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from doubleread.stats import CASE_COVARIANCES, Estimate, contrast

SHARED, OWN, ONCE = 0.8, 0.35, 0.35
"""How much an image is hard for every run, for the runs of one recipe, for one run alone: standard deviations of what
they add to a logit."""
CASES = 400
SEED_NOISE = 0.05
"""How much the strength of a recipe's runs differs from seed to seed: runs of it differ by 1.9 points of accuracy."""


def logits_of(
    rng: np.random.Generator, accuracies: Sequence[float], seeds: int, cases: int = CASES, noise: float = SEED_NOISE
) -> np.ndarray:
    """Return the logits (T, R, N) of recipes with these true accuracies; every other image is positive.

    A logit is ± the run's strength, + for a positive image, plus what the image adds. The true accuracy is that over
    all seeds and all images: a normal integral.
    """
    return scored(rng, strengths(rng, accuracies, seeds, noise), cases)


def strengths(rng: np.random.Generator, accuracies: Sequence[float], seeds: int, noise: float) -> np.ndarray:
    """Return the strength of each trained run, (T, R)."""
    sd = math.sqrt(SHARED**2 + OWN**2 + ONCE**2 + noise**2)
    means = sd * ndtri(np.asarray(accuracies))
    return means[:, None] + noise * rng.normal(size=(len(means), seeds))


def scored(rng: np.random.Generator, strength_TR: np.ndarray, cases: int = CASES) -> np.ndarray:
    """Return the logits (T, R, N) of trained runs on a new test set."""
    recipes, seeds = strength_TR.shape
    seen = SHARED * rng.normal(size=cases) + OWN * rng.normal(size=(recipes, 1, cases))
    return strength_TR[:, :, None] * (2 * labels_of(cases) - 1) + seen + ONCE * rng.normal(size=(recipes, seeds, cases))


def labels_of(cases: int) -> np.ndarray:
    """Return the labels (N,) of the images."""
    return np.arange(cases) % 2


def accuracies_of(logits_TRN: np.ndarray) -> np.ndarray:
    """Return the accuracy of every run, (T, R)."""
    return ((logits_TRN > 0) == labels_of(logits_TRN.shape[2])).mean(axis=2)


def gain_of(logits_TRN: np.ndarray, weights_T: Sequence[float] = (1.0, -1.0)) -> Estimate:
    """Return the first recipe's accuracy less the second's (or what the weights say), as the product estimates it."""
    recipes, seeds, cases = logits_TRN.shape
    flat = logits_TRN.reshape(-1, cases)
    covariance = CASE_COVARIANCES["accuracy"](flat, labels_of(cases), np.arange(cases))
    shape = (recipes, seeds) * 2
    return contrast(accuracies_of(logits_TRN), np.asarray(weights_T), covariance.reshape(shape))
