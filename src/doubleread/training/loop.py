"""Training one run on one path: its epochs, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable

from doubleread.nouns import Compute, RunData
from doubleread.recipe import Recipe
from doubleread.training.paths import compute_of, make_trainer
from doubleread.training.precision import settle_arithmetic
from doubleread.training.records import RunSpec, finish, record_epoch
from doubleread.training.result import Epoch, Result


def train(
    recipe: Recipe,
    seed: int,
    intensity: str,
    data: RunData,
    on_epoch: Callable[[Epoch], None] = lambda _epoch: None,
    compute: Compute | None = None,
) -> Result:
    """Train one run and return what it leaves; `on_epoch` is called after each epoch.

    `compute` is how; by default the fastest path that the recipe and this machine allow. The result depends on the
    arguments, `compute` among them, the number of threads torch uses, the processor and the compiler; on nothing else.

    Raises:
        Diverged: a loss, or a final logit, is not finite.
        Unavailable: `compute` names the compiled routine, and it cannot be had here.
    """
    settle_arithmetic()
    began = time.perf_counter()
    spec = RunSpec(recipe=recipe, seed=seed, intensity=intensity, data=data)
    trainer = make_trainer(spec, compute or compute_of(recipe))
    epochs: list[Epoch] = []
    for epoch in range(recipe.epochs):
        start = time.perf_counter()
        rows, rates = spec.rows(epoch), spec.rates(epoch)
        done = trainer.train(epoch, rows, rates)
        val_logits = trainer.evaluate(data.val)
        epochs.append(record_epoch(spec, epoch, rows, rates[-1], done, val_logits, time.perf_counter() - start))
        on_epoch(epochs[-1])
    return finish(spec, epochs, trainer.weights(), time.perf_counter() - began)
