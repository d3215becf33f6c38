"""A stretch of training steps: what a path must do, and how those that go step by step do it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from doubleread.training.schedules import Rate


@dataclass(frozen=True, slots=True)
class Stretch:
    """What steps left: each batch's loss and each case's logit, both from before the batch's update.

    Where a loss is not finite it is the last one: its update was not made, and no batch after it was looked at.
    """

    losses: np.ndarray
    logits: np.ndarray


class Trainer(Protocol):
    """The moving parts of one run, on one path."""

    def train(self, epoch: int, rows: torch.Tensor, rates: Sequence[Rate]) -> Stretch:
        """Train on the cases at `rows`, int64, a batch for each of `rates`; dropout is the epoch's from its start."""
        ...

    def evaluate(self, rows: np.ndarray) -> np.ndarray:
        """Return the logits of the cases at `rows`, shape (n,), float32; for the curves."""
        ...

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the model's state as it is, by name, float32."""
        ...


def step_by_step(
    rows: torch.Tensor,
    batch: int,
    rates: Sequence[Rate],
    forward: Callable[[torch.Tensor], tuple[float, torch.Tensor]],
    update: Callable[[Rate, torch.Tensor | None], None],
) -> Stretch:
    """Train on the cases at `rows`, `batch` at a time.

    `forward` takes a batch's rows and gives its loss and logits; `update` then takes the step at a rate, and the next
    batch's rows, if there is one.
    """
    losses: list[float] = []
    logits: list[torch.Tensor] = []
    batches = rows.split(batch)
    for here, following, rate in zip(batches, [*batches[1:], None], rates, strict=True):
        loss, found = forward(here)
        losses.append(loss)
        logits.append(found)
        if not math.isfinite(loss):
            break
        update(rate, following)
    return Stretch(np.array(losses), torch.cat(logits).numpy())
