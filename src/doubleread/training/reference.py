"""The reference loop's moving parts: any model, any loss, any optimizer, by autograd; the oracle of the other paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from doubleread.training.augment import Changes, change, mixed
from doubleread.training.averaging import AveragedWeights
from doubleread.training.evaluation import Evaluator
from doubleread.training.losses import Loss, logits_of, make_loss
from doubleread.training.model import build_model
from doubleread.training.optimizers import make_optimizer, set_rate
from doubleread.training.pixels import PixelReader, Scaling, scaled, scaling_of
from doubleread.training.records import RunSpec
from doubleread.training.schedules import Rate
from doubleread.training.steps import Stretch, step_by_step

UNIT = Scaling(0.0, 1 / 255)
"""How pixels are scaled while they are augmented."""


class ReferenceTrainer:
    """See `Trainer`; with `bf16` the forward pass runs under autocast, as practice has it."""

    def __init__(self, spec: RunSpec, bf16: bool, device: str = "cpu") -> None:
        recipe, data = spec.recipe, spec.data
        self._recipe, self._bf16, self._device = recipe, bf16, device
        self._labels = torch.from_numpy(data.labels).to(device)
        self.model: nn.Module = build_model(recipe, spec.seed, data).to(device)
        convolves = any(parameter.ndim == 4 for parameter in self.model.parameters())
        if convolves:
            # convolutions want a pixel's channels beside each other, and turn everything around if they are not
            self.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        images = torch.from_numpy(data.images).to(device)
        self._optimizer = make_optimizer(recipe.optimizer, self.model.parameters())
        self._loss: Loss = make_loss(recipe.loss, data.labels[data.train], device, data.classes)
        self._average = None if recipe.ema is None else AveragedWeights(self.model, recipe.ema)
        evaluated = self.model if self._average is None else self._average.model
        # the curves of a network are worth no more time than its training: float32 is for what is stored at the end
        self._evaluator = Evaluator(
            evaluated, spec.intensity, data, images, test_time=recipe.test_time, bf16=bf16 and convolves
        )
        self._scaling = scaling_of(spec.intensity, data)
        largest = min(recipe.batch_size, len(data.images))
        self._reader = PixelReader(images, self._scaling if recipe.augmentation is None else UNIT, largest)
        self._changes: list[Changes | None] = []

    def train(self, rows: torch.Tensor, rates: Sequence[Rate], changes: Changes | None = None) -> Stretch:
        """See `Trainer`."""
        self.model.train()
        size = self._recipe.batch_size
        starts = range(0, len(rows), size)
        self._changes = [None if changes is None else changes.at(slice(start, start + size)) for start in starts]
        return step_by_step(rows, size, rates, self._forward, self._update)

    def evaluate(self, rows: np.ndarray) -> np.ndarray:
        """See `Trainer`."""
        return self._evaluator.logits(rows)

    def weights(self) -> dict[str, torch.Tensor]:
        """See `Trainer`; the averaged ones, where they are averaged."""
        return _state_of(self.model if self._average is None else self._average.model)

    def state(self) -> dict[str, torch.Tensor]:
        """See `Trainer`."""
        moments = {
            f"optimizer.{number}.{name}": value.cpu().contiguous()
            for number, parameter in enumerate(self.model.parameters())
            for name, value in self._optimizer.state.get(parameter, {}).items()
            if value is not None
        }
        average = {} if self._average is None else self._average.state()
        return {f"model.{name}": tensor for name, tensor in _state_of(self.model).items()} | moments | average

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
        if self._average is not None:
            self._average.restore(state)

    def _forward(self, rows: torch.Tensor) -> tuple[float, torch.Tensor]:
        """Return a batch's loss and its cases' logits, and leave the gradients.

        In parts, each weighing what its cases weigh in the batch, where the recipe has it so.
        """
        # the gradients' memory is kept: given back, it would cost thousands of page faults a step
        self._optimizer.zero_grad(set_to_none=False)
        images, share = self._images(rows, self._changes.pop(0))
        labels = self._labels[rows.to(self._labels.device)]
        # a mixture counts as the two that it is made of; the others of a batch are its cases in another order
        shares = [(labels, share), (labels.roll(-1), 1 - share)] if share < 1 else [(labels, 1.0)]
        whole = self._loss.weight_of(labels)
        total, logits = 0.0, []
        for part in torch.arange(len(rows)).chunk(self._recipe.accumulate):
            here = slice(int(part[0]), int(part[-1]) + 1)
            with torch.autocast(self._device, torch.bfloat16, enabled=self._bf16):
                outputs = self.model(images[here])
            outputs = outputs.float()
            loss = torch.zeros((), device=outputs.device)
            for of_batch, weight in shares:
                if len(part) < len(rows):
                    weight *= self._loss.weight_of(of_batch[here]) / whole
                found = self._loss(outputs, of_batch[here])
                loss = loss + (found if weight == 1 else weight * found)
            loss.backward()
            total += loss.item()
            logits.append(logits_of(outputs.detach()).cpu())
        return total, torch.cat(logits)

    def _images(self, rows: torch.Tensor, changes: Changes | None) -> tuple[torch.Tensor, float]:
        """Return a batch as it enters the model, and the share that each image keeps of itself where it is mixed."""
        images = self._reader.images(rows)
        augmentation = self._recipe.augmentation
        if changes is None or augmentation is None:
            return images, 1.0
        images, share = change(augmentation, changes, images), 1.0
        if augmentation.mixup:
            images, share = mixed(changes, images)
        return scaled(images * 255, self._scaling), share

    def _update(self, rate: Rate, _following: torch.Tensor | None) -> None:
        if self._recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._recipe.clip_norm)
        set_rate(self._optimizer, rate)
        self._optimizer.step()
        if self._average is not None:
            self._average.add(self.model)


def _state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
