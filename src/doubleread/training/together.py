"""Training the runs of a stack: their epochs, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from doubleread.processes import cpu_seconds
from doubleread.training.checkpoint import Checkpoint, restore
from doubleread.training.precision import settle_arithmetic
from doubleread.training.records import RunSpec, record_epoch
from doubleread.training.result import Diverged, Epoch, Result
from doubleread.training.stacked import Stack
from doubleread.training.steps import NO_STEPS, put_back

OnPause = Callable[[Mapping[int, Callable[[], Checkpoint]]], None]
"""Called between two epochs, with what makes a checkpoint of each run that is still going, by its number."""


def train_together(
    specs: Sequence[RunSpec],
    device: str,
    bf16: bool = False,
    on_epoch: Callable[[int, Epoch], None] = lambda _run, _epoch: None,
    *,
    on_pause: OnPause = lambda _takes: None,
    starts: Sequence[Checkpoint] = (),
) -> list[Result | Diverged]:
    """Train runs at once; return what each leaves, or where it diverged, in their order.

    The runs have the images and the sizes of the splits in common, and their `stack_key`. `on_epoch` is called with the
    number of a run and each of its epochs. `starts` has a checkpoint of each run, all after the same epoch, or none. A
    run's `seconds` are those of the whole stack over the number of its runs.

    Raises:
        Unfit: a checkpoint is of another run.
    """
    settle_arithmetic()
    course = _Course(specs, device, bf16, starts)
    for epoch in range(len(course.epochs[0]), specs[0].recipe.epochs):
        for run, record in course.epoch(epoch):
            on_epoch(run, record)
        if epoch + 1 < specs[0].recipe.epochs:
            on_pause({run: partial(course.checkpoint, run) for run in course.going()})
    return course.finished()


class _Course:
    """Runs on their way; a run that has diverged stays in the stack, and stands still."""

    def __init__(self, specs: Sequence[RunSpec], device: str, bf16: bool, starts: Sequence[Checkpoint]) -> None:
        self._specs = specs
        self._began = time.perf_counter() - sum(start.seconds for start in starts)
        self._stack = Stack(specs, device, bf16)
        self._step = self._stack.captured() if self._stack.can_be_captured() else self._stack.step
        for run, start in enumerate(starts):
            restore(partial(put_back, self._stack.state(run)), start)
        self.epochs: list[list[Epoch]] = [list(start.epochs) for start in starts] or [[] for _ in specs]
        self._earlier_cpu = [start.cpu_seconds for start in starts] or [0.0] * len(specs)
        self._ends: dict[int, Diverged] = {}

    def going(self) -> list[int]:
        """Return the numbers of the runs that have not diverged."""
        return [run for run in range(len(self._specs)) if run not in self._ends]

    def epoch(self, number: int) -> list[tuple[int, Epoch]]:
        """Train one epoch; return the record of each run that has not diverged, with its number."""
        began, specs = time.perf_counter(), self._specs
        rows, rates = [spec.rows(number) for spec in specs], [spec.rates(number) for spec in specs]
        done, val_RN = self._stack.epoch(number, rows, rates, self._step)
        seconds = (time.perf_counter() - began) / len(specs)
        records = []
        for r in self.going():
            try:
                record = record_epoch(specs[r], number, rows[r], rates[r][-1], done[r], val_RN[r], seconds)
            except Diverged as diverged:
                self._ends[r] = diverged
            else:
                self.epochs[r].append(record)
                records.append((r, record))
        return records

    def checkpoint(self, run: int) -> Checkpoint:
        """Return a run as it stands after an epoch; its dropout starts anew with each."""
        return Checkpoint(
            epochs=tuple(self.epochs[run]),
            part=NO_STEPS,
            state={name: tensor.cpu() for name, tensor in self._stack.state(run).items()},
            dropout={},
            best={},
            epoch_seconds=0.0,
            seconds=self._seconds(),
            cpu_seconds=self._earlier_cpu[run] + cpu_seconds() / len(self._specs),
        )

    def finished(self) -> list[Result | Diverged]:
        """Return what each run leaves."""
        seconds = self._seconds()
        return [
            self._ends.get(run) or self._stack.finished(run, self.epochs[run], seconds, self._earlier_cpu[run])
            for run in range(len(self._specs))
        ]

    def _seconds(self) -> float:
        return (time.perf_counter() - self._began) / len(self._specs)
