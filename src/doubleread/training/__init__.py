"""Training one run: losses, optimizers, schedules, the reference loop and the faster paths."""

from doubleread.training.loop import measure, train
from doubleread.training.paths import compute_of
from doubleread.training.result import Cost, Diverged, Epoch, Result
from doubleread.training.schedules import Rate, rate_at

__all__ = ["Cost", "Diverged", "Epoch", "Rate", "Result", "compute_of", "measure", "rate_at", "train"]
