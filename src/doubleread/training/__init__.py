"""Training one run: losses, optimizers, schedules, the reference loop."""

from doubleread.training.loop import Cost, Diverged, Epoch, Result, measure, train
from doubleread.training.schedules import Rate, rate_at

__all__ = ["Cost", "Diverged", "Epoch", "Rate", "Result", "measure", "rate_at", "train"]
