"""The reference loop's moving parts: any model, any loss, any optimizer, by autograd; the oracle of the other paths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from doubleread.training.evaluation import Evaluator
from doubleread.training.losses import Loss, logit_of, make_loss
from doubleread.training.model import build_model
from doubleread.training.optimizers import make_optimizer, set_rate
from doubleread.training.pixels import PixelReader, scaling_of
from doubleread.training.randomness import seed_dropout
from doubleread.training.records import RunSpec
from doubleread.training.schedules import Rate
from doubleread.training.steps import Stretch, step_by_step


class ReferenceTrainer:
    """See `Trainer`; with `bf16` the forward pass runs under autocast, as practice has it."""

    def __init__(self, spec: RunSpec, bf16: bool, device: str = "cpu") -> None:
        recipe, data = spec.recipe, spec.data
        self._seed, self._batch_size, self._bf16 = spec.seed, recipe.batch_size, bf16
        self._device = device
        self._labels = torch.from_numpy(data.labels).to(device)
        self.model: nn.Module = build_model(recipe, spec.seed, data).to(device)
        if any(parameter.ndim == 4 for parameter in self.model.parameters()):
            # convolutions want a pixel's channels beside each other, and turn everything around if they are not
            self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        images = torch.from_numpy(data.images).to(device)
        self._optimizer = make_optimizer(recipe.optimizer, self.model.parameters())
        self._loss: Loss = make_loss(recipe.loss, data.labels[data.train], device)
        self._evaluator = Evaluator(self.model, spec.intensity, data, images)
        largest = min(recipe.batch_size, len(data.images))
        self._reader = PixelReader(images, scaling_of(spec.intensity, data), largest)

    def train(self, epoch: int, rows: torch.Tensor, rates: Sequence[Rate]) -> Stretch:
        """See `Trainer`."""
        self.model.train()
        seed_dropout(self._seed, epoch, self._device)
        return step_by_step(rows, self._batch_size, rates, self._forward, self._update)

    def evaluate(self, rows: np.ndarray) -> np.ndarray:
        """See `Trainer`."""
        return self._evaluator.logits(rows)

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Trainer`."""
        return {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}

    def _forward(self, rows: torch.Tensor) -> tuple[float, torch.Tensor]:
        pixels = self._reader.batch(rows)
        with torch.autocast(self._device, torch.bfloat16, enabled=self._bf16):
            outputs = self.model(pixels)
        outputs = outputs.float()
        self._outcome = self._loss(outputs, self._labels[rows.to(self._labels.device)])
        return self._outcome.item(), logit_of(outputs.detach()).cpu()

    def _update(self, rate: Rate, _following: torch.Tensor | None) -> None:
        # the gradients' memory is kept: given back, it would cost thousands of page faults a step
        self._optimizer.zero_grad(set_to_none=False)
        self._outcome.backward()
        set_rate(self._optimizer, rate)
        self._optimizer.step()
