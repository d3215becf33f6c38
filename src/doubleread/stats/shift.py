"""Are two sets of cases from one distribution? A domain classifier, tests of outputs, the label-shift check."""

# N cases, F features, U units (one subject's cases in one set), B permutations

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from doubleread.late import late
from doubleread.stats.calibration import estimated_prevalence
from doubleread.stats.redraw import REDRAWN, BothSplits, Redraws
from doubleread.stats.thresholds import weighted_rates

scipy_stats = late("scipy.stats")
linear_model = late("sklearn.linear_model")

PERMUTATIONS = 999
BLOCK = 100
FOLDS = 5
RIDGE = 10.0
"""Strength of the penalty on standardised features: few cases must not be told apart by chance alone."""
SPREAD = 4.0
"""Standard deviations beyond which a feature says no more: one odd image must not decide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Domain:
    """How well two sets of cases of one class can be told apart: AUROC of a classifier, 0.5 not at all, with its p.

    `feature` is the one that tells most by itself and `feature_auroc` how well; above 0.5 where it is higher in the
    second set.
    """

    cases: tuple[int, int]
    auroc: float
    p: float
    feature: str
    feature_auroc: float


def domain_classifier(
    features_NF: np.ndarray,
    second_N: np.ndarray,
    subjects_N: np.ndarray,
    names: tuple[str, ...],
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> Domain:
    """Return how well cases with `second_N` can be told from those without, by features (N, F).

    Ridge regression on the features and their squares, subjects kept whole in cross-validation; p from permutations of
    the subjects' set, refitted each time. NaN with fewer than two subjects in either.
    """
    cases = (int((~second_N).sum()), int(second_N.sum()))
    names_P, subject_N = np.unique(subjects_N, return_inverse=True)
    _, unit_N = np.unique(subject_N * 2 + second_N, return_inverse=True)
    of_unit_U = np.zeros(unit_N.max() + 1 if len(unit_N) else 0, dtype=bool)
    of_unit_U[unit_N] = second_N
    folds = min(FOLDS, len(names_P))
    if min(int(of_unit_U.sum()), int((~of_unit_U).sum())) < 2 or folds < 2:
        return Domain(cases=cases, auroc=math.nan, p=math.nan, feature="", feature_auroc=math.nan)
    alone_F = np.array([_auroc(column[None], second_N[None])[0] for column in features_NF.T])
    most = int(np.abs(alone_F - 0.5).argmax())
    design_NF = _design(features_NF)
    # drawn without a look at the sets: folds that balance the true ones, but not the permuted, would look like skill
    fold_N = (rng.permutation(len(names_P)) % folds)[subject_N]
    auroc = float(_cross_validated(design_NF, of_unit_U[None, unit_N], fold_N)[0])
    permuted: list[np.ndarray] = []
    for start in range(0, permutations, BLOCK):
        many = min(BLOCK, permutations - start)
        targets_BN = np.stack([rng.permutation(of_unit_U) for _ in range(many)])[:, unit_N]
        permuted.append(_cross_validated(design_NF, targets_BN, fold_N))
    p = float((1 + (np.concatenate(permuted) >= auroc - 1e-12).sum()) / (1 + permutations))
    return Domain(cases=cases, auroc=auroc, p=p, feature=names[most], feature_auroc=float(alone_F[most]))


def _cross_validated(design_NF: np.ndarray, targets_BN: np.ndarray, fold_N: np.ndarray) -> np.ndarray:
    """Return the AUROC of out-of-fold scores for each target, (B,)."""
    scores_BN = np.zeros(targets_BN.shape)
    for fold in np.unique(fold_N):
        train, rest = fold_N != fold, fold_N == fold
        model = linear_model.Ridge(alpha=RIDGE).fit(design_NF[train], targets_BN[:, train].T.astype(np.float64))
        # without the mean of the fold's own training part, which would speak for the set that is rarer there
        scores_BN[:, rest] = np.atleast_2d(model.coef_) @ design_NF[rest].T
    return _auroc(scores_BN, targets_BN)


def _design(features_NF: np.ndarray) -> np.ndarray:
    """Return standardised features, their squares too; one that is the same for all stays 0."""
    spread_F = features_NF.std(axis=0)
    centred_NF = features_NF - features_NF.mean(axis=0)
    scaled_NF = np.divide(centred_NF, spread_F, out=np.zeros_like(centred_NF), where=spread_F > 0)
    scaled_NF = scaled_NF.clip(-SPREAD, SPREAD)
    return np.column_stack([scaled_NF, scaled_NF**2])


def _auroc(scores_BN: np.ndarray, positive_BN: np.ndarray) -> np.ndarray:
    """Return the AUROC of each row, (B,), each with both classes."""
    ranks_BN = scipy_stats.rankdata(scores_BN, axis=1)
    m_B = positive_BN.sum(axis=1)
    n_B = positive_BN.shape[1] - m_B
    return ((ranks_BN * positive_BN).sum(axis=1) - m_B * (m_B + 1) / 2) / (m_B * n_B)


def outputs_differ(
    first_N: np.ndarray, first_subjects_N: np.ndarray, second_M: np.ndarray, second_subjects_M: np.ndarray
) -> float:
    """Return the two-sided p of Kolmogorov and Smirnov's test that two sets of outputs have one distribution.

    A subject counts once, with its mean. NaN where a set is empty.
    """
    if not len(first_N) or not len(second_M):
        return math.nan
    result: Any = scipy_stats.ks_2samp(
        subject_means(first_N, first_subjects_N), subject_means(second_M, second_subjects_M)
    )
    return float(result.pvalue)


def subject_means(values_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    """Return the mean of each subject's values, (P,), subjects in the order of their names."""
    _, subject_N = np.unique(subjects_N, return_inverse=True)
    return np.bincount(subject_N, weights=values_N) / np.bincount(subject_N)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelShift:
    """The prevalence that the calls on the test set point to, if only the prevalence had changed since validation.

    `lo` and `hi` bound its 95 % interval. `applies` tells whether the true prevalence lies within, and so whether a
    correction for label shift may be used; None where nothing is known.
    """

    prevalence: float
    estimated: float
    lo: float
    hi: float

    @property
    def applies(self) -> bool | None:
        """Whether a correction for label shift may be used."""
        return None if math.isnan(self.lo) else self.lo <= self.prevalence <= self.hi


def label_shift(runs: Sequence[BothSplits], rng: np.random.Generator, draws: int = 200) -> LabelShift:
    """Return the label-shift check of an arm's runs: rates of validation, calls on test, averaged over the seeds.

    The interval is a percentile one; every draw redraws seeds and subjects.
    """
    weigh, prevalence = Redraws(runs, rng, draws), float(runs[0].test.labels_N.mean())
    measured_3 = np.mean([np.concatenate(_rates(run, prevalence, weigh, redrawn=False)) for run in runs], axis=0)
    some = runs[:REDRAWN]
    rates_BR3 = np.stack([np.stack(_rates(run, prevalence, weigh, redrawn=True), axis=1) for run in some], axis=1)[1:]
    seeds_BR = rng.multinomial(len(some), np.full(len(some), 1 / len(some)), size=draws) / len(some)
    means_B3 = np.einsum("br,brk->bk", seeds_BR, rates_BR3)
    found_B = np.array([estimated_prevalence(*row) for row in means_B3.tolist()])
    found_B = found_B[~np.isnan(found_B)]
    lo, hi = np.quantile(found_B, [0.025, 0.975]) if len(found_B) and len(runs) > 1 else (math.nan, math.nan)
    estimated = estimated_prevalence(*measured_3.tolist())
    return LabelShift(prevalence=prevalence, estimated=estimated, lo=float(lo), hi=float(hi))


def _rates(run: BothSplits, prevalence: float, weigh: Redraws, *, redrawn: bool) -> list[np.ndarray]:
    """Return sensitivity and specificity on validation and the share of test cases called positive, (B,) each."""
    val, test = (
        weighted_rates(scored.logits_N[:, None] > 0, scored.labels_N == 1, weigh.weights(scored, redrawn))
        for scored in (run.val, run.test)
    )
    return [*val, prevalence * test[0] + (1 - prevalence) * (1 - test[1])]
