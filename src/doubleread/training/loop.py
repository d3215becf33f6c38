"""The reference loop: any model, any loss, any optimizer, images in memory, no DataLoader."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from doubleread.models import BUILDERS
from doubleread.nouns import RunData
from doubleread.recipe import Recipe
from doubleread.seeds import data_order
from doubleread.training.health import is_collapsed, is_overfit, is_undertrained
from doubleread.training.losses import OUTPUTS, Loss, logit_of, make_loss
from doubleread.training.optimizers import make_optimizer, set_rate
from doubleread.training.pixels import PixelReader, scaling_of
from doubleread.training.randomness import initialise, seed_dropout
from doubleread.training.schedules import rate_at

EVALUATION_BATCH = 100
"""Cases at once when logits are computed; fixed, because the last bits of a product depend on it."""


class Diverged(Exception):
    """The loss is not a finite number; raised before the optimizer would have used it."""

    def __init__(self, epoch: int, step: int, loss: float) -> None:
        self.epoch, self.step, self.loss = epoch, step, loss
        super().__init__(f"the loss is {loss} in epoch {epoch + 1}, step {step + 1}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One epoch: the rate of its last step, losses and accuracies as fractions, wall-clock seconds.

    Training loss and accuracy are means over the epoch's batches as they were trained, each case weighing the same;
    validation is measured after the epoch.
    """

    epoch: int
    rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run leaves: its epochs, the logit of every validation and test case, the weights, health, and cost.

    Logits are float32, in the order of `RunData.val` and `RunData.test`; `seconds` is wall-clock time in the loop,
    `cpu_seconds` and `peak_bytes` are those of the process.
    """

    epochs: tuple[Epoch, ...]
    val_logits: np.ndarray
    test_logits: np.ndarray
    weights: dict[str, torch.Tensor]
    health: dict[str, bool]
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def train(
    recipe: Recipe,
    seed: int,
    intensity: str,
    data: RunData,
    on_epoch: Callable[[Epoch], None] = lambda _epoch: None,
) -> Result:
    """Train one run and return what it leaves; `on_epoch` is called after each epoch.

    The result depends on the arguments, the number of threads torch uses and the processor, and on nothing else.

    Raises:
        Diverged: a loss, or a final logit, is not finite.
    """
    # denormal moments of weights at dead pixels would slow Adam by an order of magnitude
    torch.set_flush_denormal(True)
    began = time.perf_counter()
    run = _Run(recipe, seed, intensity, data)
    epochs: list[Epoch] = []
    for epoch in range(recipe.epochs):
        epochs.append(run.epoch(epoch))
        on_epoch(epochs[-1])
    seconds = time.perf_counter() - began
    val, test = run.logits(data.val), run.logits(data.test)
    if not (np.isfinite(val).all() and np.isfinite(test).all()):
        raise Diverged(recipe.epochs - 1, run.steps_per_epoch - 1, math.nan)
    return Result(
        epochs=tuple(epochs),
        val_logits=val,
        test_logits=test,
        weights={name: tensor.detach() for name, tensor in run.model.state_dict().items()},
        health=health_of(epochs, val, test),
        seconds=seconds,
        cpu_seconds=time.process_time(),
        peak_bytes=_peak_bytes(),
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run of a recipe takes: seconds of one training step, and bytes of its weights."""

    step_seconds: float
    weight_bytes: int


def measure(recipe: Recipe, intensity: str, data: RunData, steps: int = 4) -> Cost:
    """Return the cost of a recipe from the fastest of `steps` training steps; nothing is kept."""
    torch.set_flush_denormal(True)
    run = _Run(recipe, 0, intensity, data)
    batches = list(run.batches(0))
    spent = []
    for step in range(steps):
        began = time.perf_counter()
        # a recipe that diverges costs as much as one that does not
        with suppress(Diverged):
            run.step(step % run.steps_per_epoch, batches[step % len(batches)])
        spent.append(time.perf_counter() - began)
    size = sum(tensor.numel() * tensor.element_size() for tensor in run.model.state_dict().values())
    return Cost(min(spent), size)


def health_of(epochs: list[Epoch], val_logits: np.ndarray, test_logits: np.ndarray) -> dict[str, bool]:
    """Return the health flags of a finished run."""
    train_loss = [epoch.train_loss for epoch in epochs]
    return {
        "collapsed": is_collapsed(val_logits, test_logits),
        "undertrained": is_undertrained(train_loss),
        "overfit": is_overfit(train_loss, [epoch.val_loss for epoch in epochs]),
    }


class _Run:
    """The moving parts of one run."""

    def __init__(self, recipe: Recipe, seed: int, intensity: str, data: RunData) -> None:
        self.recipe, self.seed, self.data = recipe, seed, data
        self.steps_per_epoch = math.ceil(len(data.train) / recipe.batch_size)
        options = recipe.model.model_dump(exclude={"name"})
        pixels = data.images.shape[1] * data.images.shape[2]
        self.model: nn.Module = BUILDERS[recipe.model.name](pixels=pixels, outputs=OUTPUTS[recipe.loss.name], **options)
        initialise(self.model, seed)
        self.optimizer = make_optimizer(recipe.optimizer, self.model.parameters())
        self.loss: Loss = make_loss(recipe.loss, data.labels[data.train])
        self.labels = torch.from_numpy(data.labels)
        largest = max(recipe.batch_size, EVALUATION_BATCH)
        self.reader = PixelReader(data.images, scaling_of(intensity, data), min(largest, len(data.images)))

    def epoch(self, epoch: int) -> Epoch:
        began = time.perf_counter()
        self.model.train()
        seed_dropout(self.seed, epoch)
        loss_sum, right = 0.0, 0
        rate = 0.0
        for number, rows in enumerate(self.batches(epoch)):
            loss, batch_right, rate = self.step(epoch * self.steps_per_epoch + number, rows)
            loss_sum += loss * len(rows)
            right += batch_right
        val = torch.from_numpy(self.logits(self.data.val))
        val_labels = self.labels[self.data.val]
        val_loss = float(nn.functional.binary_cross_entropy_with_logits(val, val_labels.to(val.dtype)))
        if not math.isfinite(val_loss):
            raise Diverged(epoch, self.steps_per_epoch - 1, val_loss)
        n = len(self.data.train)
        return Epoch(
            epoch=epoch,
            rate=rate,
            train_loss=loss_sum / n,
            train_accuracy=right / n,
            val_loss=val_loss,
            val_accuracy=float(((val > 0) == (val_labels == 1)).double().mean()),
            seconds=time.perf_counter() - began,
        )

    def batches(self, epoch: int) -> Iterator[torch.Tensor]:
        rows = torch.from_numpy(self.data.train[data_order(self.seed, epoch, len(self.data.train))])
        yield from rows.split(self.recipe.batch_size)

    def step(self, step: int, rows: torch.Tensor) -> tuple[float, int, float]:
        """Take one optimizer step; return the loss, how many cases were right before it, and the rate."""
        labels = self.labels[rows]
        outputs = self.model(self.reader.batch(rows))
        loss = self.loss(outputs, labels)
        value = loss.item()
        if not math.isfinite(value):
            raise Diverged(*divmod(step, self.steps_per_epoch), value)
        # the gradients' memory is kept: given back, it would cost thousands of page faults a step
        self.optimizer.zero_grad(set_to_none=False)
        loss.backward()
        rate = rate_at(self.recipe, step, self.steps_per_epoch)
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        right = int(((logit_of(outputs) > 0) == (labels == 1)).sum())
        return value, right, rate.lr

    @torch.no_grad()
    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Return the logits of `rows`, shape (n,), float32, in batches of one fixed size."""
        self.model.eval()
        parts = [
            logit_of(self.model(self.reader.batch(part))) for part in torch.from_numpy(rows).split(EVALUATION_BATCH)
        ]
        return torch.cat(parts).numpy()


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
