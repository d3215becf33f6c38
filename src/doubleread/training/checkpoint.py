"""The complete state of a run between two of its steps: what it takes to go on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from doubleread.training.result import Epoch
from doubleread.training.steps import Stretch


class Unfit(Exception):
    """A checkpoint is not of the run that it was given to; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A run that has `epochs` behind it, and of the next one the steps in `part`.

    `state` is the trainer's, `dropout` where torch's stream stands, by device; `best` has the weights of the best epoch
    so far where those are kept, else nothing. `epoch_seconds` were spent in the epoch
    that is under way; `seconds` and `cpu_seconds` in the whole run. Tensors are valid until the run takes a step.
    """

    epochs: tuple[Epoch, ...]
    part: Stretch
    state: dict[str, torch.Tensor]
    dropout: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]
    epoch_seconds: float
    seconds: float
    cpu_seconds: float


def restore(put: Callable[[Mapping[str, torch.Tensor]], None], checkpoint: Checkpoint) -> None:
    """Let `put` take the state of a checkpoint.

    Raises:
        Unfit: it is another run's.
    """
    try:
        put(checkpoint.state)
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        raise Unfit(f"it does not fit the run ({error})") from error
