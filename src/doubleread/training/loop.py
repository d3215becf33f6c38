"""Training one run on one path: its epochs, one after the other, each in stretches of steps."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from doubleread.nouns import Compute, RunData, bits_of
from doubleread.processes import cpu_seconds
from doubleread.recipe import Recipe
from doubleread.training.checkpoint import Checkpoint, restore
from doubleread.training.paths import compute_of, make_trainer
from doubleread.training.precision import settle_arithmetic
from doubleread.training.randomness import dropout_state, restore_dropout, seed_dropout
from doubleread.training.records import RunSpec, finish, record_epoch
from doubleread.training.result import Epoch, Result
from doubleread.training.steps import NO_STEPS
from doubleread.training.stopping import best_epoch, stops

FIRST_STRETCH = 8
"""Steps of the first stretch, before it is known how long a step takes."""
STRETCH_SECONDS = 1.0

OnPause = Callable[[Callable[[], Checkpoint]], None]
"""Called between two stretches, with what makes a checkpoint of the run as it stands; may raise to stop the run."""


def train(
    recipe: Recipe,
    seed: int,
    intensity: str,
    data: RunData,
    on_epoch: Callable[[Epoch], None] = lambda _epoch: None,
    compute: Compute | None = None,
    *,
    on_pause: OnPause = lambda _take: None,
    start: Checkpoint | None = None,
) -> Result:
    """Train one run and return what it leaves; `on_epoch` is called after each epoch, `on_pause` about every second.

    `compute` is how; by default the fastest path that the recipe and this machine allow. The result depends on the
    arguments before it, on `compute`, the number of threads torch uses, the processor and the compiler; on nothing
    else: a run that goes on from a checkpoint of its own, `start`, ends like one that was never interrupted.

    Raises:
        Diverged: a loss, or a final logit, is not finite.
        Unavailable: `compute` names the compiled routine, and it cannot be had here.
        Unfit: `start` is another run's.
    """
    settle_arithmetic()
    spec = RunSpec(recipe=recipe, seed=seed, intensity=intensity, data=data)
    course = _Course(
        spec,
        compute or compute_of(recipe, intensity=intensity, classes=data.classes, bits=bits_of(data.images)),
        start,
    )
    while not course.is_over:
        on_epoch(course.epoch(on_pause))
    return course.finished()


class _Course:
    """A run on its way."""

    def __init__(self, spec: RunSpec, compute: Compute, start: Checkpoint | None) -> None:
        self._spec, self._device = spec, compute.device
        self._clock = _Clock(start)
        self._trainer = make_trainer(spec, compute)
        self.epochs: list[Epoch] = []
        self._best: dict[str, torch.Tensor] = {}
        self._part, self._stretch = NO_STEPS, FIRST_STRETCH
        if start is not None:
            restore(self._trainer.restore, start)
            restore_dropout(start.dropout)
            self.epochs, self._part, self._best = list(start.epochs), start.part, dict(start.best)

    @property
    def is_over(self) -> bool:
        """Whether the run has had all its epochs, or all that it is given: see `stopping.stops`."""
        return len(self.epochs) == self._spec.recipe.epochs or stops(self._spec.recipe.stop, self.epochs)

    def epoch(self, on_pause: OnPause) -> Epoch:
        """Train to the end of the epoch that is under way, or of the next; return its record."""
        spec, number = self._spec, len(self.epochs)
        rows, rates = spec.rows(number), spec.rates(number, [epoch.val_loss for epoch in self.epochs])
        changes = spec.changes(number)
        if not len(self._part.losses):
            seed_dropout(spec.seed, number, self._device)
            self._clock.next_epoch()
        while (at := len(self._part.losses)) < spec.steps and not self._part.broken:
            if at:
                on_pause(self.checkpoint)
            cases = slice(at * spec.recipe.batch_size, (at + self._stretch) * spec.recipe.batch_size)
            began = time.perf_counter()
            drawn = None if changes is None else changes.at(cases)
            done = self._trainer.train(rows[cases], rates[at : at + self._stretch], drawn)
            self._part = self._part.then(done)
            self._stretch = steps_for(STRETCH_SECONDS, len(done.losses), time.perf_counter() - began)
        val_logits = self._trainer.evaluate(spec.data.val)
        self.epochs.append(
            record_epoch(spec, number, rows, rates[-1], self._part, val_logits, self._clock.epoch_seconds())
        )
        self._part = NO_STEPS
        if spec.recipe.keep == "best" and best_epoch(self.epochs) == number:
            self._best = {name: tensor.clone() for name, tensor in self._trainer.weights().items()}
        if not self.is_over:
            on_pause(self.checkpoint)
        return self.epochs[-1]

    def checkpoint(self) -> Checkpoint:
        """Return the run as it stands."""
        return Checkpoint(
            epochs=tuple(self.epochs),
            part=self._part,
            state=self._trainer.state(),
            dropout=dropout_state(self._device),
            best=self._best,
            epoch_seconds=self._clock.epoch_seconds(),
            seconds=self._clock.seconds(),
            cpu_seconds=self._clock.cpu_seconds(),
        )

    def finished(self) -> Result:
        """Return what the run leaves."""
        weights = self._best or self._trainer.weights()
        return finish(self._spec, self.epochs, weights, self._clock.seconds(), self._clock.earlier_cpu)


class _Clock:
    """Time spent in a run and in its present epoch, what was spent before it was interrupted included."""

    def __init__(self, start: Checkpoint | None) -> None:
        now = time.perf_counter()
        self._run_began = now - (start.seconds if start else 0.0)
        self._epoch_began = now - (start.epoch_seconds if start else 0.0)
        self.earlier_cpu = start.cpu_seconds if start else 0.0

    def next_epoch(self) -> None:
        self._epoch_began = time.perf_counter()

    def epoch_seconds(self) -> float:
        return time.perf_counter() - self._epoch_began

    def seconds(self) -> float:
        return time.perf_counter() - self._run_began

    def cpu_seconds(self) -> float:
        return self.earlier_cpu + cpu_seconds()


def steps_for(seconds: float, steps: int, took: float) -> int:
    """Return how many steps take about so many seconds, at least one, if `steps` of them took `took` seconds."""
    return max(1, int(seconds * steps / max(took, 1e-6)))
