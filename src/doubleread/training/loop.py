"""Training one run: epochs, batches, rates and records; what a step does is the path's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import nn

from doubleread.nouns import Compute, RunData
from doubleread.recipe import Recipe
from doubleread.seeds import data_order
from doubleread.training.evaluation import Evaluator
from doubleread.training.model import build_model
from doubleread.training.paths import compute_of, make_trainer
from doubleread.training.result import Diverged, Epoch, Result, health_of, peak_bytes
from doubleread.training.schedules import Rate, rate_at
from doubleread.training.steps import Stretch


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


def train(
    recipe: Recipe,
    seed: int,
    intensity: str,
    data: RunData,
    on_epoch: Callable[[Epoch], None] = lambda _epoch: None,
    compute: Compute | None = None,
) -> Result:
    """Train one run and return what it leaves; `on_epoch` is called after each epoch.

    `compute` is how; by default the fastest path that the recipe and the processor allow. The result depends on the
    arguments, the number of threads torch uses and the processor, and on nothing else.

    Raises:
        Diverged: a loss, or a final logit, is not finite.
    """
    # denormal moments of weights at dead pixels would slow Adam by an order of magnitude
    torch.set_flush_denormal(True)
    began = time.perf_counter()
    trainer = make_trainer(recipe, seed, intensity, data, compute or compute_of(recipe))
    epochs: list[Epoch] = []
    for epoch in range(recipe.epochs):
        epochs.append(_epoch(trainer, recipe, seed, data, epoch))
        on_epoch(epochs[-1])
    seconds = time.perf_counter() - began
    weights = trainer.weights()
    val, test = final_logits(recipe, seed, intensity, data, weights)
    return Result(
        epochs=tuple(epochs),
        val_logits=val,
        test_logits=test,
        weights=weights,
        health=health_of(epochs, val, test),
        seconds=seconds,
        cpu_seconds=time.process_time(),
        peak_bytes=peak_bytes(),
    )


def final_logits(
    recipe: Recipe, seed: int, intensity: str, data: RunData, weights: dict[str, torch.Tensor]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the validation and test logits of a trained model, by the reference path whatever path trained it.

    Raises:
        Diverged: one of them is not finite.
    """
    model = build_model(recipe, seed, data)
    model.load_state_dict(weights)
    evaluator = Evaluator(model, intensity, data)
    val, test = evaluator.logits(data.val), evaluator.logits(data.test)
    if not (np.isfinite(val).all() and np.isfinite(test).all()):
        raise Diverged(recipe.epochs - 1, steps_per_epoch(recipe, data) - 1, math.nan)
    return val, test


def steps_per_epoch(recipe: Recipe, data: RunData) -> int:
    """Return how many batches an epoch has, the last short one included."""
    return math.ceil(len(data.train) / recipe.batch_size)


def rows_of(seed: int, data: RunData, epoch: int) -> torch.Tensor:
    """Return the rows of the training cases in the order of an epoch, int64."""
    return torch.from_numpy(data.train[data_order(seed, epoch, len(data.train))])


def validation(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the unweighted binary cross-entropy of the logits, and the accuracy."""
    target = torch.from_numpy(labels)
    found = torch.from_numpy(logits)
    loss = float(nn.functional.binary_cross_entropy_with_logits(found, target.to(found.dtype)))
    return loss, float(((found > 0) == (target == 1)).double().mean())


def _epoch(trainer: Trainer, recipe: Recipe, seed: int, data: RunData, epoch: int) -> Epoch:
    began = time.perf_counter()
    rows, steps = rows_of(seed, data, epoch), steps_per_epoch(recipe, data)
    rates = [rate_at(recipe, step, steps) for step in range(epoch * steps, (epoch + 1) * steps)]
    done = trainer.train(epoch, rows, rates)
    if not math.isfinite(done.losses[-1]):
        raise Diverged(epoch, len(done.losses) - 1, float(done.losses[-1]))
    val_loss, val_accuracy = validation(trainer.evaluate(data.val), data.labels[data.val])
    if not math.isfinite(val_loss):
        raise Diverged(epoch, steps - 1, val_loss)
    cases = [len(batch) for batch in rows.split(recipe.batch_size)]
    return Epoch(
        epoch=epoch,
        rate=rates[-1].lr,
        train_loss=float(np.average(done.losses, weights=cases)),
        train_accuracy=float(((done.logits > 0) == (data.labels[rows.numpy()] == 1)).mean()),
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        seconds=time.perf_counter() - began,
    )
