"""Where to cut logits in two: rules that choose a threshold, with weights on the cases and cross-fitted over subjects.

A case is called positive where its logit is above the threshold. Candidates lie between neighbouring different logits;
of equally good ones, the one nearest to logit 0 (probability 0.5) is taken.
"""

# N cases, B draws, M cuts

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FOLDS = 5
BLOCK = 256
Objective = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From sensitivity and specificity at each cut (M, B) to what is maximised (M, B)."""


def most_accurate(prevalence: float) -> Objective:
    """Return the rule of the highest accuracy at a prevalence."""
    return lambda sens_MB, spec_MB: prevalence * sens_MB + (1 - prevalence) * spec_MB


def youden(sens_MB: np.ndarray, spec_MB: np.ndarray) -> np.ndarray:
    """Maximise sensitivity + specificity − 1 (Youden 1950)."""
    return sens_MB + spec_MB - 1


def sensitivity_at_least(wanted: float) -> Objective:
    """Return the rule of the highest specificity among cuts whose sensitivity is `wanted` or more."""
    return lambda sens_MB, spec_MB: np.where(sens_MB >= wanted - 1e-9, spec_MB, sens_MB - 2)


def specificity_at_least(wanted: float) -> Objective:
    """Return the rule of the highest sensitivity among cuts whose specificity is `wanted` or more."""
    return lambda sens_MB, spec_MB: np.where(spec_MB >= wanted - 1e-9, sens_MB, spec_MB - 2)


def least_cost(false_negative: float, false_positive: float, prevalence: float) -> Objective:
    """Return the rule of the lowest expected cost of errors at a prevalence."""

    def saved(sens_MB: np.ndarray, spec_MB: np.ndarray) -> np.ndarray:
        return false_negative * prevalence * sens_MB + false_positive * (1 - prevalence) * spec_MB

    return saved


@dataclass(frozen=True, kw_only=True, eq=False)
class Cuts:
    """The ways to cut N logits in two: `thresholds` (M,), ascending; cut m calls `order[starts[m]:]` positive.

    The first and the last threshold lie 1 beyond the logits. `penalty` (M,) is too small to matter but between equals:
    it grows with the distance from logit 0.
    """

    order: np.ndarray
    starts: np.ndarray
    thresholds: np.ndarray
    penalty: np.ndarray
    positive: np.ndarray

    def chosen(self, objective: Objective, weights_NB: np.ndarray) -> np.ndarray:
        """Return the cut that each draw's weights make best, (B,); without weight on a class, that at logit 0."""
        value_MB = objective(*self.rates(weights_NB))
        value_MB -= self.penalty[:, None]
        cut_B = np.argmax(value_MB, axis=0)
        return np.where(np.isnan(value_MB).any(axis=0), int(np.argmin(self.penalty)), cut_B)

    def rates(self, weights_NB: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return weighted sensitivity and specificity at each cut, (M, B) each; NaN where a class has no weight."""
        ordered_NB = weights_NB[self.order]
        below_pos, below_neg = self._below(ordered_NB, ~self.positive), self._below(ordered_NB, self.positive)
        with np.errstate(invalid="ignore", divide="ignore"):
            below_pos *= -1 / below_pos[-1]
            below_pos += 1
            below_neg *= 1 / below_neg[-1]
        return below_pos, below_neg

    def _below(self, ordered_NB: np.ndarray, left_out_N: np.ndarray) -> np.ndarray:
        """Return the sum of weights below each cut, (M, B); the last cut is above every case."""
        sums = np.zeros((len(ordered_NB) + 1, ordered_NB.shape[1]))
        if ordered_NB.shape[1] == 1:
            np.cumsum(ordered_NB * ~left_out_N[:, None], axis=0, out=sums[1:])
            return sums[self.starts]
        # row by row: np.cumsum along the first axis takes four times as long
        for row, left_out in enumerate(left_out_N.tolist()):
            if left_out:
                sums[row + 1] = sums[row]
            else:
                np.add(sums[row], ordered_NB[row], out=sums[row + 1])
        return sums if len(self.starts) == len(sums) else sums[self.starts]


def cuts_of(labels_N: np.ndarray, logits_N: np.ndarray) -> Cuts:
    """Return every way to cut logits (N,) with labels (N,) of 0 and 1."""
    order = np.argsort(logits_N, kind="stable")
    values = logits_N[order].astype(np.float64)
    starts = np.concatenate([[0], 1 + np.flatnonzero(np.diff(values)), [len(values)]])
    inner = (values[starts[1:-1] - 1] + values[starts[1:-1]]) / 2
    thresholds = np.concatenate([[values[0] - 1.0], inner, [values[-1] + 1.0]])
    # logit 0 is where the model's own calls are cut: its interval comes first, whatever its midpoint
    zero = int(np.searchsorted(values[starts[:-1]], 0.0, side="right"))
    thresholds[zero] = 0.0
    distance = np.argsort(np.argsort(np.abs(thresholds), kind="stable"))
    return Cuts(
        order=order,
        starts=starts,
        thresholds=thresholds,
        penalty=distance * (1e-9 / len(starts)),
        positive=labels_N[order] == 1,
    )


def folds_of(labels_N: np.ndarray, subjects_N: np.ndarray, rng: np.random.Generator, folds: int = FOLDS) -> np.ndarray:
    """Return the fold of each case, (N,): subjects stay whole, and are dealt out evenly within their class."""
    names, subject_N = np.unique(subjects_N, return_inverse=True)
    kind_P = np.zeros(len(names), dtype=np.int64)
    np.bitwise_or.at(kind_P, subject_N, np.where(labels_N == 1, 2, 1))
    fold_P = np.zeros(len(names), dtype=np.int64)
    dealt = 0
    for kind in (1, 2, 3):
        mine = rng.permutation(np.flatnonzero(kind_P == kind))
        fold_P[mine] = (dealt + np.arange(len(mine))) % folds
        dealt += len(mine)
    return fold_P[subject_N]


def cross_fitted_rates(
    cuts: Cuts, objective: Objective, weights_NB: np.ndarray, fold_NB: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted sensitivity and specificity, (B,) each, every fold called by the cut that the others choose.

    Folds (N, 1) are the same in every draw.
    """
    found = []
    # in blocks that stay in the cache
    for start in range(0, weights_NB.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        folds = fold_NB if fold_NB.shape[1] == 1 else fold_NB[:, block]
        found.append(_cross_fitted(cuts, objective, np.ascontiguousarray(weights_NB[:, block]), folds))
    return np.concatenate([sens for sens, _ in found]), np.concatenate([spec for _, spec in found])


def _cross_fitted(
    cuts: Cuts, objective: Objective, weights_NB: np.ndarray, fold_NB: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    called_NB = np.zeros(weights_NB.shape, dtype=bool)
    rank_N = np.empty(len(cuts.order), dtype=np.int64)
    rank_N[cuts.order] = np.arange(len(cuts.order))
    for fold in range(int(fold_NB.max()) + 1):
        mine_NB = fold_NB == fold
        first_B = cuts.starts[cuts.chosen(objective, weights_NB * ~mine_NB)]
        called_NB |= mine_NB & (rank_N[:, None] >= first_B)
    positive_N = np.empty(len(cuts.order), dtype=bool)
    positive_N[cuts.order] = cuts.positive
    return weighted_rates(called_NB, positive_N, weights_NB)


def weighted_rates(
    called_NB: np.ndarray, positive_N: np.ndarray, weights_NB: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted sensitivity and specificity of calls, (B,) each; calls (N, 1) are the same in every draw."""
    found = []
    for mine, right_NB in ((positive_N, called_NB), (~positive_N, ~called_NB)):
        weights = weights_NB[mine]
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append((weights * right_NB[mine]).sum(axis=0) / weights.sum(axis=0))
    return found[0], found[1]
