"""A stretch of training steps: what a path must do, and how those that go step by step do it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from doubleread.training.augment import Changes
from doubleread.training.schedules import Rate


@dataclass(frozen=True, slots=True)
class Stretch:
    """What steps left: each batch's loss and each case's logits, both from before the batch's update.

    Where a loss is not finite it is the last one: its update was not made, and no batch after it was looked at.
    """

    losses: np.ndarray
    logits: np.ndarray

    def then(self, other: Stretch) -> Stretch:
        """Return this stretch and the one that came after it as one."""
        if not len(self.losses):
            return other
        return Stretch(np.concatenate([self.losses, other.losses]), np.concatenate([self.logits, other.logits]))

    @property
    def broken(self) -> bool:
        """Whether it ended with a loss that is not finite."""
        return len(self.losses) > 0 and not math.isfinite(self.losses[-1])


NO_STEPS = Stretch(np.empty(0), np.empty(0, dtype=np.float32))


class Trainer(Protocol):
    """The moving parts of one run, on one path.

    Where an epoch is cut into stretches changes nothing, to the last bit; the dropout that they draw is torch's own
    stream, which whoever trains starts with each epoch.
    """

    def train(self, rows: torch.Tensor, rates: Sequence[Rate], changes: Changes | None = None) -> Stretch:
        """Train on the cases at `rows`, int64, a batch for each of `rates`; `changes` augment them."""
        ...

    def evaluate(self, rows: np.ndarray) -> np.ndarray:
        """Return the logits of the cases at `rows`, of the shape that is stored; for the curves, in the run's
        precision.
        """
        ...

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the model's state as it is, by name, float32."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """Return everything that steps change, on the CPU, by name; valid until the next step."""
        ...

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state` of the same run.

        Raises:
            KeyError, RuntimeError: it is another run's.
        """
        ...


def put_back(live: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor]) -> None:
    """Copy a state into the tensors that it was taken from, by name.

    Raises:
        KeyError, RuntimeError: a name is missing, or a shape is another.
    """
    for name, tensor in live.items():
        if state[name].shape != tensor.shape:
            raise RuntimeError(f"{name} has shape {tuple(state[name].shape)}, not {tuple(tensor.shape)}")
        tensor.copy_(state[name])


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
