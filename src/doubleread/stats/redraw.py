"""Runs scored on validation and test, and redraws of the subjects behind both."""

# R seeds, K of them redrawn, N cases, P subjects, B draws

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doubleread.stats.thresholds import folds_of

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


class Redraws:
    """Weights of the subjects of several runs, 1 in the first draw; and folds of each set of cases.

    The weights come from the exponential distribution (the Bayesian bootstrap, Rubin 1981): a subject has one weight
    wherever it stands, no class can vanish, and with rates taken within the classes each keeps its share of a split.
    """

    def __init__(self, runs: Sequence[BothSplits], rng: np.random.Generator, draws: int) -> None:
        sets = {id(part.subjects_N): part.subjects_N for run in runs for part in run.sets}
        self._names = np.unique(np.concatenate(list(sets.values())))
        self._weights_PB = np.ones((len(self._names), 1 + draws))
        self._weights_PB[:, 1:] = rng.standard_exponential((len(self._names), draws))
        self._fold_seed = int(rng.integers(2**31))
        self._made: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def of(self, scored: Scored, redrawn: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights (N, 1 + draws), or just the first ones (N, 1), and the folds (N,) of a set of cases."""
        key = id(scored.subjects_N)
        if key not in self._made:
            weights_NB = self._weights_PB[np.searchsorted(self._names, scored.subjects_N)]
            rng = np.random.Generator(np.random.PCG64(self._fold_seed))
            # the subjects are kept too: an id is another array's once its own is gone
            self._made[key] = weights_NB, folds_of(scored.labels_N, scored.subjects_N, rng), scored.subjects_N
        weights_NB, fold_N, _ = self._made[key]
        return weights_NB if redrawn else weights_NB[:, :1], fold_N


def between_seeds(psi_BK: np.ndarray, seeds: int) -> np.ndarray | None:
    """Return a covariance (R, R) of the values of `seeds` over redraws of K of them: for all the mean of two seeds'.

    None for one seed, of which nothing is known.
    """
    redrawn = psi_BK.shape[1]
    if seeds < 2:
        return None
    cov_KK = np.cov(psi_BK, rowvar=False)
    return np.full((seeds, seeds), (cov_KK.sum() - np.trace(cov_KK)) / (redrawn * (redrawn - 1)))
