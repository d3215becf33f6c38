"""The complete state of a run between two of its steps: what it takes to go on as if nothing had happened."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from doubleread.training.result import Epoch
from doubleread.training.steps import Stretch


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A run that has `epochs` behind it, and of the next one the steps in `part`.

    `state` is the trainer's, `dropout` where torch's stream stands, by device. `epoch_seconds` were spent in the epoch
    that is under way; `seconds` and `cpu_seconds` in the whole run. Tensors are valid until the run takes a step.
    """

    epochs: tuple[Epoch, ...]
    part: Stretch
    state: dict[str, torch.Tensor]
    dropout: dict[str, torch.Tensor]
    epoch_seconds: float
    seconds: float
    cpu_seconds: float
