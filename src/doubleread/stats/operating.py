"""Operating points: thresholds chosen on validation alone, and what they would have given on test."""

# R seeds, K of them redrawn, N cases, B draws

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from doubleread.metrics import probabilities
from doubleread.stats.contrast import Estimate, estimate
from doubleread.stats.redraw import REDRAWN, BothSplits, Redraws, between_seeds
from doubleread.stats.thresholds import Objective, cuts_of, weighted_rates

DRAWS = 200
RATES = ("accuracy", "sensitivity", "specificity")

Rule = Callable[[float], Objective]
"""From the validation prevalence to what a threshold is chosen by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OperatingPoint:
    """One rule of choosing a threshold for one arm.

    `thresholds_R` are the chosen probabilities. `val` has accuracy, sensitivity and specificity cross-fitted over
    subjects, `test` those at the threshold that the whole validation set chooses, `gain` the test accuracy minus that
    at 0.5.
    """

    thresholds_R: np.ndarray
    val: dict[str, Estimate]
    test: dict[str, Estimate]
    gain: Estimate


def operating_point(
    runs: Sequence[BothSplits], rule: Rule | float, rng: np.random.Generator, draws: int = DRAWS
) -> OperatingPoint:
    """Return what a rule, or a fixed probability, gives the runs of an arm, one a seed.

    The intervals count the seeds and the subjects of both sets: in every redraw the threshold is chosen anew.
    """
    weigh = Redraws(runs, rng, draws)
    every = [_run(run, rule, weigh, place < REDRAWN) for place, run in enumerate(runs)]
    measured_RQ = np.array([values[0] for values, _ in every])
    redrawn_BKQ = np.stack([values[1:] for values, _ in every[:REDRAWN]], axis=1)

    def part(column: int, less: int | None = None) -> Estimate:
        psi_R, psi_BK = measured_RQ[:, column], redrawn_BKQ[:, :, column]
        if less is not None:
            psi_R, psi_BK = psi_R - measured_RQ[:, less], psi_BK - redrawn_BKQ[:, :, less]
        return estimate(psi_R, between_seeds(psi_BK, len(psi_R)))

    return OperatingPoint(
        thresholds_R=np.array([threshold for _, threshold in every]),
        val={name: part(column) for column, name in enumerate(RATES)},
        test={name: part(3 + column) for column, name in enumerate(RATES)},
        gain=part(3, less=6),
    )


def _run(run: BothSplits, rule: Rule | float, weigh: Redraws, redrawn: bool) -> tuple[np.ndarray, float]:
    """Return (1 + draws, 7): three rates of validation, three of test, test accuracy at 0.5; and the threshold."""
    prevalence_v, prevalence_t = float(run.val.labels_N.mean()), float(run.test.labels_N.mean())
    val_NB, test_NB = weigh.weights(run.val, redrawn), weigh.weights(run.test, redrawn)
    test_logits = run.test.logits_N.astype(np.float64)[:, None]
    if not callable(rule):
        cut_B = np.full(val_NB.shape[1], math.log(rule / (1 - rule)))
        val = weighted_rates(run.val.logits_N[:, None] > cut_B, run.val.labels_N == 1, val_NB)
    else:
        objective, cuts = rule(prevalence_v), cuts_of(run.val.labels_N, run.val.logits_N)
        val = weigh.cross_fitted(run.val, objective, redrawn)
        cut_B = cuts.thresholds[cuts.chosen(objective, val_NB)]
    test = weighted_rates(test_logits > cut_B, run.test.labels_N == 1, test_NB)
    half = weighted_rates(test_logits > 0, run.test.labels_N == 1, test_NB)
    columns = [
        *_with_accuracy(val, prevalence_v),
        *_with_accuracy(test, prevalence_t),
        _with_accuracy(half, prevalence_t)[0],
    ]
    return np.stack(columns, axis=1), float(probabilities(cut_B[:1])[0])


def _with_accuracy(rates: tuple[np.ndarray, np.ndarray], prevalence: float) -> list[np.ndarray]:
    sens, spec = rates
    return [prevalence * sens + (1 - prevalence) * spec, sens, spec]
