"""What a run leaves: its epochs, logits, weights, health and cost."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from doubleread.training.health import is_collapsed, is_overfit, is_undertrained


class Diverged(Exception):
    """A loss or a final logit is not a finite number; of a training loss, before the optimizer would have used it."""

    def __init__(self, epoch: int, step: int, value: float, what: str = "loss") -> None:
        self.epoch, self.step, self.value = epoch, step, value
        super().__init__(f"the {what} is {value} in epoch {epoch + 1}, step {step + 1}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One epoch: the rate of its last step, losses and accuracies as fractions, wall-clock seconds.

    Training loss and accuracy are means over the epoch's batches as they were trained, each case weighing the same;
    validation is measured after the epoch. `val_auroc` is None where a class is missing, or an earlier release wrote
    it.
    """

    epoch: int
    rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float
    val_auroc: float | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run leaves: its epochs, the logit of every validation and test case, the weights, health, and cost.

    Logits are float32, (n,), or (n, classes) where there are more than two, in the order of `RunData.val` and
    `RunData.test`; `seconds` is wall-clock time in the loop,
    `kept_epoch` is the place of the epoch whose weights these are, and
    `cpu_seconds` and `peak_bytes` are those of the process; of a stack, `cpu_seconds` over the number of its runs.
    """

    epochs: tuple[Epoch, ...]
    val_logits: np.ndarray
    test_logits: np.ndarray
    weights: dict[str, torch.Tensor]
    health: dict[str, bool]
    kept_epoch: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run of a recipe takes: seconds of one training step, and bytes of its weights."""

    step_seconds: float
    weight_bytes: int


def health_of(epochs: Sequence[Epoch], val_logits: np.ndarray, test_logits: np.ndarray) -> dict[str, bool]:
    """Return the health flags of a finished run."""
    train_loss = [epoch.train_loss for epoch in epochs]
    return {
        "collapsed": is_collapsed(val_logits, test_logits),
        "undertrained": is_undertrained(train_loss),
        "overfit": is_overfit(train_loss, [epoch.val_loss for epoch in epochs]),
    }


def peak_bytes() -> int:
    """Return the largest memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
