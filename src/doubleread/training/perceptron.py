"""A perceptron by PyTorch's operations: closed form, column tiles; for what the compiled routine is not for."""

# B cases of a batch, U units of a layer, C outputs

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from doubleread.training.dense import Dense, loss_and_gradient
from doubleread.training.evaluation import EVALUATION_BATCH
from doubleread.training.losses import logits_of
from doubleread.training.model import build_model, draw_masks, perceptron_of
from doubleread.training.pixels import scaling_of
from doubleread.training.records import RunSpec, weights_and_outputs
from doubleread.training.schedules import Rate
from doubleread.training.steps import Stretch, put_back, step_by_step
from doubleread.training.tiled_layer import TiledFirstLayer
from doubleread.training.updates import FusedUpdate


class TiledPerceptron:
    """See `Trainer`; the first layer, which has nearly all of the work, is `TiledFirstLayer`."""

    def __init__(self, spec: RunSpec, bf16: bool) -> None:
        recipe, data = spec.recipe, spec.data
        self._recipe, self._labels = recipe, torch.from_numpy(data.labels)
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
        self._values = values
        self._rest, slots = _views(values, tensors), _views(gradients, tensors)
        self._widths = [len(bias) for bias in self._rest[:-1:2]]
        self._optimizer = FusedUpdate(recipe.optimizer, [values], [gradients])
        alone = [[tensor.unsqueeze(0) for tensor in kind] for kind in (self._rest, slots)]
        self._dense = Dense(alone[0][::2], alone[0][1::2], alone[1][::2], alone[1][1::2])
        self._class_weights, self._two = weights_and_outputs([spec])

    def train(self, rows: torch.Tensor, rates: Sequence[Rate], changes: None = None) -> Stretch:
        """See `Trainer`."""
        self._products = self._first.begin(rows[: self._recipe.batch_size])
        return step_by_step(rows, self._recipe.batch_size, rates, self._forward, self._update)

    def evaluate(self, rows: np.ndarray) -> np.ndarray:
        """See `Trainer`."""
        parts = [
            logits_of(self._outputs(self._first.products(part), []))[0]
            for part in torch.from_numpy(rows).split(EVALUATION_BATCH)
        ]
        return torch.cat(parts).numpy()

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Trainer`."""
        tensors = [self._first.weight(), *(tensor.clone() for tensor in self._rest)]
        return dict(zip(self._names, tensors, strict=True))

    def state(self) -> dict[str, torch.Tensor]:
        """See `Trainer`."""
        rest = {f"rest.{name}": tensor for name, tensor in self._optimizer.state().items()}
        return self._first.state() | rest | {"rest": self._values}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """See `Trainer`."""
        put_back(self.state(), state)

    def _forward(self, rows: torch.Tensor) -> tuple[float, torch.Tensor]:
        masks = draw_masks(self._widths, len(rows), perceptron_of(self._recipe).dropout)
        outputs = self._outputs(self._products, [mask.unsqueeze(0) for mask in masks])
        labels = self._labels[rows].unsqueeze(0)
        losses, logits, self._delta = loss_and_gradient(outputs, labels, self._class_weights, self._two)
        return losses.item(), logits[0]

    def _outputs(self, products: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        return self._dense.forward((products * self._factor).unsqueeze(0), masks)

    def _update(self, rate: Rate, following: torch.Tensor | None) -> None:
        delta = self._dense.backward(self._delta)[0] * self._factor
        self._optimizer.apply(rate)
        products = self._first.descend(delta, rate, following)
        if products is not None:
            self._products = products


def _views(flat: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return parts of a flat tensor, one after the other, in the shapes of `like`."""
    parts = flat.split([tensor.numel() for tensor in like])
    return [part.view_as(tensor) for part, tensor in zip(parts, like, strict=True)]
