"""What a schedule of the rate is: its options, and the rate as a pure function of where a run is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from doubleread.recipe.spec import Spec, expecting

Per = Annotated[Literal["epoch", "batch"], expecting("epoch or batch")]
"""When the rate changes: after each epoch, or after each batch."""


class Rate(NamedTuple):
    """The learning rate of one step, and the momentum where the schedule moves it too."""

    lr: float
    momentum: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """Where a run is: before its update `step`, of which 0 is the first, with the validation losses so far.

    `val_losses` are those of the epochs that are over.
    """

    step: int
    steps_per_epoch: int
    epochs: int
    val_losses: Sequence[float] = ()

    def at(self, per: Per) -> tuple[int, int]:
        """Return how many batches, or epochs, are over, and how many there are in all."""
        if per == "batch":
            return self.step, self.epochs * self.steps_per_epoch
        return self.step // self.steps_per_epoch, self.epochs


class Schedule(Spec, ABC):
    """The options of a schedule. Nothing is carried along, so a stopped run goes on where it was."""

    @abstractmethod
    def rate(self, lr: float, moment: Moment) -> Rate:
        """Return the rate of one update, `lr` being the optimizer's own."""
