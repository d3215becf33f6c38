"""Training one run: losses, optimizers, schedules, the reference loop and the faster paths."""

from doubleread.training.checkpoint import Checkpoint, Unfit
from doubleread.training.loop import train
from doubleread.training.measure import measure
from doubleread.training.paths import compute_of, resolve_device
from doubleread.training.result import Cost, Diverged, Epoch, Result
from doubleread.training.schedules import Rate, rate_at

__all__ = [
    "Checkpoint",
    "Cost",
    "Diverged",
    "Epoch",
    "Rate",
    "Result",
    "Unfit",
    "compute_of",
    "measure",
    "rate_at",
    "resolve_device",
    "train",
]
