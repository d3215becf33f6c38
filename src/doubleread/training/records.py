"""What every path writes down of a run in the same way: its epochs, and what it leaves at the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from doubleread.metrics import calls, ranking
from doubleread.nouns import RunData
from doubleread.processes import cpu_seconds
from doubleread.recipe import Recipe
from doubleread.seeds import balanced, data_order
from doubleread.training.augment import Changes, draw_changes
from doubleread.training.evaluation import Evaluator
from doubleread.training.losses import class_weights, outputs_of
from doubleread.training.model import build_model, without_init
from doubleread.training.result import Diverged, Epoch, Result, health_of, peak_bytes
from doubleread.training.schedules import Rate, rate_at
from doubleread.training.steps import Stretch
from doubleread.training.stopping import best_epoch


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec:
    """Everything that a run is trained from."""

    recipe: Recipe
    seed: int
    intensity: str
    data: RunData

    @property
    def steps(self) -> int:
        """How many batches an epoch has, the last short one included."""
        return math.ceil(len(self.data.train) / self.recipe.batch_size)

    def rows(self, epoch: int) -> torch.Tensor:
        """Return the rows of the training cases in the order of an epoch, int64."""
        train = self.data.train
        if self.recipe.sampling == "balanced":
            train = train[balanced(self.data.labels[train], self.seed, epoch)]
        return torch.from_numpy(train[data_order(self.seed, epoch, len(train))])

    def rates(self, epoch: int, val_losses: Sequence[float] = ()) -> list[Rate]:
        """Return the rate of each step of an epoch; `val_losses` are those of the epochs before it."""
        steps = range(epoch * self.steps, (epoch + 1) * self.steps)
        return [rate_at(self.recipe, step, self.steps, val_losses) for step in steps]

    def changes(self, epoch: int) -> Changes | None:
        """Return what happens to the training cases of an epoch, in its order; None without augmentation."""
        if self.recipe.augmentation is None:
            return None
        return draw_changes(self.recipe.augmentation, self.seed, epoch, len(self.data.train))


def weights_and_outputs(specs: Sequence[RunSpec]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the class weights of runs, (R, 2), and whether each has two outputs, (R, 1), as 1 or 0; float32."""
    found = [class_weights(spec.recipe.loss, spec.data.labels[spec.data.train]) for spec in specs]
    weights = torch.stack([torch.ones(2) if one is None else one for one in found])
    return weights, torch.tensor([[float(outputs_of(spec.recipe.loss) == 2)] for spec in specs])


def record_epoch(
    spec: RunSpec, epoch: int, rows: torch.Tensor, rate: Rate, done: Stretch, val_logits: np.ndarray, seconds: float
) -> Epoch:
    """Return the record of an epoch: its cases at `rows`, its last rate, its steps, the validation logits after them.

    Raises:
        Diverged: a loss is not finite.
    """
    if not math.isfinite(done.losses[-1]):
        raise Diverged(epoch, len(done.losses) - 1, float(done.losses[-1]))
    data = spec.data
    labels = data.labels[data.val]
    val_loss = _unweighted_loss(val_logits, labels)
    auroc = ranking(labels, val_logits)
    if not math.isfinite(val_loss):
        raise Diverged(epoch, spec.steps - 1, val_loss, "validation loss")
    cases = [len(batch) for batch in rows.split(spec.recipe.batch_size)]
    return Epoch(
        epoch=epoch,
        rate=rate.lr,
        train_loss=float(np.average(done.losses, weights=cases)),
        train_accuracy=float((calls(done.logits) == data.labels[rows.numpy()]).mean()),
        val_loss=val_loss,
        val_accuracy=float((calls(val_logits) == labels).mean()),
        seconds=seconds,
        val_auroc=None if math.isnan(auroc) else auroc,
    )


def finish(
    spec: RunSpec,
    epochs: Sequence[Epoch],
    weights: dict[str, torch.Tensor],
    seconds: float,
    earlier_cpu: float = 0.0,
    *,
    sharing: int = 1,
    images: torch.Tensor | None = None,
) -> Result:
    """Return what a trained run leaves; its logits are the reference model's in float32, whatever trained it.

    `earlier_cpu` is the processor time that it took before it was interrupted, in seconds; `sharing` is how many runs
    its process trains, which share its processor time; `images` are those of the data where they are on a device
    already, and then the logits are computed there.

    Raises:
        Diverged: a logit is not finite.
    """
    model = build_model(without_init(spec.recipe), spec.seed, spec.data)
    model.load_state_dict(weights)
    if images is not None:
        model.to(images.device)
    evaluator = Evaluator(model, spec.intensity, spec.data, images, test_time=spec.recipe.test_time)
    val, test = evaluator.logits(spec.data.val), evaluator.logits(spec.data.test)
    if not (np.isfinite(val).all() and np.isfinite(test).all()):
        raise Diverged(spec.recipe.epochs - 1, spec.steps - 1, math.nan, "final logit")
    return Result(
        epochs=tuple(epochs),
        val_logits=val,
        test_logits=test,
        weights=weights,
        health=health_of(epochs, val, test),
        kept_epoch=best_epoch(epochs) if spec.recipe.keep == "best" else len(epochs) - 1,
        seconds=seconds,
        cpu_seconds=earlier_cpu + cpu_seconds() / sharing,
        peak_bytes=peak_bytes(),
    )


def _unweighted_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the cross-entropy of the logits, every case weighing the same."""
    found, target = torch.from_numpy(logits), torch.from_numpy(labels)
    if found.ndim == 2:
        return float(nn.functional.cross_entropy(found, target))
    return float(nn.functional.binary_cross_entropy_with_logits(found, target.to(found.dtype)))
