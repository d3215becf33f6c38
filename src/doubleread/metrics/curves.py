"""Metrics of a run's curves: what people read off a figure, as numbers. Pure functions of one value an epoch."""

# E epochs

from __future__ import annotations

import numpy as np

CURVES = {"train_loss": -1, "train_accuracy": 1, "val_loss": -1, "val_accuracy": 1}
"""The curves that every run records, with the sign of improvement: a loss improves downwards."""


def roughness(values_E: np.ndarray, _improves: int) -> float:
    """Return how far a curve swings about a course that is straight over three epochs; NaN with fewer than three.

    In the curve's own unit: for noise of standard deviation σ about a straight line it estimates σ (Gasser, Sroka &
    Jennen-Steinmetz 1986). A steep but steady fall counts as smooth, which the standard deviation of a curve, or its
    total movement, would not do.
    """
    if len(values_E) < 3:
        return float("nan")
    return float(np.sqrt(np.mean(np.diff(values_E, n=2) ** 2) / 6))


def peak_epoch(values_E: np.ndarray, improves: int) -> float:
    """Return the epoch, from 1, of the best value: the highest accuracy or the lowest loss, the first of equals."""
    return float(np.argmax(improves * values_E)) + 1


def change_after_peak(values_E: np.ndarray, improves: int) -> float:
    """Return the last value less the best: 0 where a curve ends at its best, below 0 for an accuracy that fell.

    In the curve's own sign: a loss that rose again has a change above 0. It is never on the other side of 0, so a
    claim about it must name a number other than 0.
    """
    return float(values_E[-1] - values_E[np.argmax(improves * values_E)])


def change(values_E: np.ndarray, _improves: int) -> float:
    """Return the last value less the first.

    The first value of a training curve is the mean over the first epoch.
    """
    return float(values_E[-1] - values_E[0])


def steadiness(values_E: np.ndarray, improves: int) -> float:
    """Return the share of a curve's whole movement that is improvement.

    It is 0.5, too, where a curve never moves. Unlike a count of improving epochs, it does not mind a trembling at the
    end that is small beside the rise.
    """
    steps = improves * np.diff(values_E)
    moved = np.abs(steps).sum()
    return float(steps[steps > 0].sum() / moved) if moved > 0 else 0.5


def epochs_to_converge(values_E: np.ndarray, improves: int) -> float:
    """Return the first epoch, from 1, that has brought 90 % of all the improvement from the first value to the best.

    Measured against the curve's own best, so it says how fast and not how well; 1 where nothing improves.
    """
    gained = improves * (values_E - values_E[0])
    # an accuracy that is exactly nine tenths of the way must not miss it by a rounding
    return float(np.argmax(gained >= (0.9 - 1e-9) * gained.max())) + 1
