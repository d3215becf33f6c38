"""Runs scored on validation and test, and redraws of the subjects behind both."""

# R seeds, K of them redrawn, N cases, P subjects, B draws

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from doubleread.stats.thresholds import Objective, cross_fitted_rates, cuts_of, folds_of

REPEATS = 8
"""Ways to make the folds: one alone moves an accuracy of 300 cases by up to a point."""
REDRAWN = 30
"""Seeds of an arm that are redrawn: what the seeds' chance has in common is the same for every two."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """One run's logits (N,) of cases with labels (N,) of 0 and 1 and subjects (N,)."""

    logits_N: np.ndarray
    labels_N: np.ndarray
    subjects_N: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class BothSplits:
    """One run on its validation and test cases; `grouped` is the run of its arm and seed on a split by groups."""

    val: Scored
    test: Scored
    grouped: Scored | None = None

    @property
    def sets(self) -> list[Scored]:
        """All sets of cases."""
        return [self.val, self.test] if self.grouped is None else [self.val, self.test, self.grouped]


_Kept = dict[int, tuple[np.ndarray, np.ndarray]]


class Redraws:
    """Redraws of the subjects of several runs, by weights; and folds of each set of cases.

    The weights come from the exponential distribution (the Bayesian bootstrap, Rubin 1981): a subject has one weight
    wherever it stands, no class can vanish, and with rates taken within the classes each keeps its share of a split.
    What is measured has weights of 1; where it is cross-fitted, it is the mean over `REPEATS` ways to make the folds.
    Neither depends on how many draws there are.
    """

    def __init__(self, runs: Sequence[BothSplits], rng: np.random.Generator, draws: int) -> None:
        sets = {id(part.subjects_N): part.subjects_N for run in runs for part in run.sets}
        self._names = np.unique(np.concatenate(list(sets.values())))
        self._fold_seed = int(rng.integers(2**31))
        self._weights_PB = np.ones((len(self._names), 1 + draws))
        self._weights_PB[:, 1:] = rng.standard_exponential((len(self._names), draws))
        self._weights: _Kept = {}
        self._folds: _Kept = {}

    def weights(self, scored: Scored, redrawn: bool = True) -> np.ndarray:
        """Return the weights of a set of cases, (N, 1 + draws): 1, and the redraws; without them (N, 1)."""
        if not redrawn:
            return np.ones((len(scored.labels_N), 1))
        return self._kept(
            self._weights, scored, lambda: self._weights_PB[np.searchsorted(self._names, scored.subjects_N)]
        )

    def cross_fitted(self, scored: Scored, objective: Objective, redrawn: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return sensitivity and specificity at cross-fitted cuts, (1 + draws,) each: as measured, and the redraws."""
        fold_NF = self._kept(self._folds, scored, lambda: self._made_folds(scored))
        cuts = cuts_of(scored.labels_N, scored.logits_N)
        measured = cross_fitted_rates(cuts, objective, np.ones(fold_NF.shape), fold_NF)
        found = [np.array([rate_F.mean()]) for rate_F in measured]
        weights_NB = self.weights(scored, redrawn)
        if weights_NB.shape[1] > 1:
            again = cross_fitted_rates(cuts, objective, weights_NB[:, 1:], fold_NF[:, :1])
            found = [np.concatenate([first, rest]) for first, rest in zip(found, again, strict=True)]
        return found[0], found[1]

    def _made_folds(self, scored: Scored) -> np.ndarray:
        rng = np.random.Generator(np.random.PCG64(self._fold_seed))
        return np.stack([folds_of(scored.labels_N, scored.subjects_N, rng) for _ in range(REPEATS)], axis=1)

    def _kept(self, kept: _Kept, scored: Scored, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return what belongs to a set of cases, made once."""
        key = id(scored.subjects_N)
        if key not in kept:
            # the subjects are kept too: an id is another array's once its own is gone
            kept[key] = make(), scored.subjects_N
        return kept[key][0]


def between_seeds(psi_BK: np.ndarray, seeds: int) -> np.ndarray | None:
    """Return a covariance (R, R) of the values of `seeds` over redraws of K of them: for all the mean of two seeds'.

    None for one seed, of which nothing is known; NaN where fewer than two were redrawn.
    """
    redrawn = psi_BK.shape[1]
    if seeds < 2:
        return None
    if redrawn < 2:
        return np.full((seeds, seeds), np.nan)
    cov_KK = np.cov(psi_BK, rowvar=False)
    return np.full((seeds, seeds), (cov_KK.sum() - np.trace(cov_KK)) / (redrawn * (redrawn - 1)))
