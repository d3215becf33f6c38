"""The reference loop's moving parts: any model, any loss, any optimizer, by autograd; the oracle of the other paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from doubleread.training.evaluation import Evaluator
from doubleread.training.losses import Loss, logit_of, make_loss
from doubleread.training.model import build_model
from doubleread.training.optimizers import make_optimizer, set_rate
from doubleread.training.pixels import PixelReader, scaling_of
from doubleread.training.records import RunSpec
from doubleread.training.schedules import Rate
from doubleread.training.steps import Stretch, step_by_step


class ReferenceTrainer:
    """See `Trainer`; with `bf16` the forward pass runs under autocast, as practice has it."""

    def __init__(self, spec: RunSpec, bf16: bool, device: str = "cpu") -> None:
        recipe, data = spec.recipe, spec.data
        self._batch_size, self._bf16 = recipe.batch_size, bf16
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

    def train(self, rows: torch.Tensor, rates: Sequence[Rate]) -> Stretch:
        """See `Trainer`."""
        self.model.train()
        return step_by_step(rows, self._batch_size, rates, self._forward, self._update)

    def evaluate(self, rows: np.ndarray) -> np.ndarray:
        """See `Trainer`."""
        return self._evaluator.logits(rows)

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Trainer`."""
        return {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}

    def state(self) -> dict[str, torch.Tensor]:
        """See `Trainer`."""
        moments = {
            f"optimizer.{number}.{name}": value.cpu().contiguous()
            for number, parameter in enumerate(self.model.parameters())
            for name, value in self._optimizer.state.get(parameter, {}).items()
            if value is not None
        }
        return {f"model.{name}": tensor for name, tensor in self.weights().items()} | moments

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """See `Trainer`."""
        self.model.load_state_dict({name: state[f"model.{name}"] for name in self.model.state_dict()})
        moments = [name.split(".", 2)[1:] for name in state if name.startswith("optimizer.")]
        parameters = list(self.model.parameters())
        for number, name in moments:
            value, parameter = state[f"optimizer.{number}.{name}"], parameters[int(number)]
            # laid out as the parameter is: the fused kernels go over both as they lie in memory
            like = torch.empty_like(parameter if value.ndim else value, device=parameter.device)
            self._optimizer.state[parameter][name] = like.detach().copy_(value)

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
