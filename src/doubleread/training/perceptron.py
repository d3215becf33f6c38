"""A perceptron by PyTorch's operations: closed form, column tiles; for what the compiled routine is not for."""

# B cases of a batch, U units of a layer, C outputs

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from doubleread.training.evaluation import EVALUATION_BATCH
from doubleread.training.losses import logit_of, make_loss_and_gradient
from doubleread.training.model import build_model, draw_masks
from doubleread.training.pixels import scaling_of
from doubleread.training.randomness import seed_dropout
from doubleread.training.records import RunSpec
from doubleread.training.schedules import Rate
from doubleread.training.steps import Stretch, step_by_step
from doubleread.training.tiled_layer import TiledFirstLayer
from doubleread.training.updates import FusedUpdate


class TiledPerceptron:
    """See `Trainer`; the first layer, which has nearly all of the work, is `TiledFirstLayer`."""

    def __init__(self, spec: RunSpec, bf16: bool) -> None:
        recipe, data = spec.recipe, spec.data
        self._recipe, self._seed, self._labels = recipe, spec.seed, torch.from_numpy(data.labels)
        model = build_model(recipe, spec.seed, data)
        self._names = list(model.state_dict())
        linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
        scaling = scaling_of(spec.intensity, data)
        self._factor = scaling.factor
        self._first = TiledFirstLayer(
            recipe.optimizer,
            linear[0].weight.detach(),
            data.images.reshape(len(data.images), -1),
            scaling.shift,
            min(max(recipe.batch_size, EVALUATION_BATCH), max(len(data.images), 1)),
            bf16,
        )
        tensors = [tensor.detach() for module in linear for tensor in (module.weight, module.bias)][1:]
        values = torch.cat([tensor.reshape(-1) for tensor in tensors])
        gradients = torch.zeros_like(values)
        # in one piece, so that one call updates them all
        self._rest, self._gradients = views(values, tensors), views(gradients, tensors)
        self._widths = [len(bias) for bias in self._rest[:-1:2]]
        self._optimizer = FusedUpdate(recipe.optimizer, [values], [gradients])
        self._criterion = make_loss_and_gradient(recipe.loss, data.labels[data.train])

    def train(self, epoch: int, rows: torch.Tensor, rates: Sequence[Rate]) -> Stretch:
        """See `Trainer`."""
        seed_dropout(self._seed, epoch)
        self._products = self._first.begin(rows[: self._recipe.batch_size])
        return step_by_step(rows, self._recipe.batch_size, rates, self._forward, self._update)

    def evaluate(self, rows: np.ndarray) -> np.ndarray:
        """See `Trainer`."""
        parts = [
            logit_of(self._through(self._first.products(part), [])[1])
            for part in torch.from_numpy(rows).split(EVALUATION_BATCH)
        ]
        return torch.cat(parts).numpy()

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Trainer`."""
        tensors = [self._first.weight(), *(tensor.clone() for tensor in self._rest)]
        return dict(zip(self._names, tensors, strict=True))

    def _forward(self, rows: torch.Tensor) -> tuple[float, torch.Tensor]:
        self._masks = draw_masks(self._widths, len(rows), self._recipe.model.dropout)
        self._inputs, outputs = self._through(self._products, self._masks)
        loss, self._delta = self._criterion(outputs, self._labels[rows])
        return loss.item(), logit_of(outputs)

    def _through(
        self, products: torch.Tensor, masks: Sequence[torch.Tensor]
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return what enters each layer but the first, and the outputs (B, C)."""
        inputs = []
        values = torch.add(self._rest[0], products, alpha=self._factor)
        for number, (weight, bias) in enumerate(zip(self._rest[1::2], self._rest[2::2], strict=True)):
            values = values.clamp_min(0)
            if masks:
                values = values * masks[number]
            inputs.append(values)
            values = torch.addmm(bias, values, weight.t())
        return inputs, values

    def _update(self, rate: Rate, following: torch.Tensor | None) -> None:
        delta = self._delta
        for layer in reversed(range(len(self._inputs))):
            below = self._inputs[layer]
            torch.mm(delta.t(), below, out=self._gradients[2 * layer + 1])
            torch.sum(delta, 0, out=self._gradients[2 * layer + 2])
            delta = torch.mm(delta, self._rest[2 * layer + 1])
            if self._masks:
                delta.mul_(self._masks[layer])
            delta = delta * (below > 0)
        torch.sum(delta, 0, out=self._gradients[0])
        self._optimizer.apply(rate)
        products = self._first.descend(delta * self._factor, rate, following)
        if products is not None:
            self._products = products


def views(flat: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return parts of a flat tensor, one after the other, in the shapes of `like`."""
    parts = flat.split([tensor.numel() for tensor in like])
    return [part.view_as(tensor) for part, tensor in zip(parts, like, strict=True)]
