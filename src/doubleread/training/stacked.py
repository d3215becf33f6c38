"""Runs of equal shape in one batched computation: a GPU that one small model would leave idle trains many at once.

Each run keeps its own initial weights, order of the data, dropout, loss, class weights, rate and schedule. On a CUDA
device a step is captured as a graph where no schedule moves a momentum, which the kernels take as a plain number.
"""

# R runs, B cases of a batch, D pixels, U units of a layer

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from doubleread.recipe import Recipe
from doubleread.training.dense import Dense, loss_and_gradient
from doubleread.training.evaluation import EVALUATION_BATCH
from doubleread.training.losses import logits_of, outputs_of
from doubleread.training.model import build_model, draw_masks, perceptron_of
from doubleread.training.pixels import scaling_of
from doubleread.training.randomness import seed_dropout
from doubleread.training.records import RunSpec, finish, weights_and_outputs
from doubleread.training.result import Diverged, Epoch, Result
from doubleread.training.schedules import Rate, rate_at
from doubleread.training.steps import Stretch
from doubleread.training.updates import FusedUpdate

WARM_STEPS = 3
"""Steps before the capture of a graph, in which libraries choose their algorithms and take their memory."""


def stack_key(recipe: Recipe) -> tuple[object, ...]:
    """Return what runs must have in common to be stacked, beside their images and the sizes of their splits."""
    return (recipe.model, recipe.optimizer.name, recipe.batch_size, recipe.epochs, recipe.precision)


class Stack:
    """The moving parts: every tensor of a step lies where it stays, so that a captured graph finds it again."""

    def __init__(self, specs: Sequence[RunSpec], device: str, bf16: bool) -> None:
        self.specs, self.device = list(specs), torch.device(device)
        self._type = torch.bfloat16 if bf16 else torch.float32
        first = specs[0]
        self._n, self._batch = len(first.data.train), first.recipe.batch_size
        self._steps = first.steps
        self.images = torch.from_numpy(first.data.images).to(self.device)
        self._flat = self.images.view(len(self.images), -1)
        self._labels = torch.from_numpy(first.data.labels).to(self.device)
        scalings = [scaling_of(spec.intensity, spec.data) for spec in specs]
        self._shift_R11 = self._column([s.shift for s in scalings]).view(-1, 1, 1)
        self._factor_R11 = self._column([s.factor for s in scalings]).view(-1, 1, 1)
        weights, two = weights_and_outputs(specs)
        self._class_weights_R2, self._two_R1 = weights.to(self.device), two.to(self.device)
        self._load_weights(two[:, 0] == 1)
        runs = len(specs)
        self._rates_R = torch.zeros(runs, device=self.device)
        self._momenta: list[Rate] = [Rate(0.0)] * runs
        # a diverged run stands still: its optimizer is told that something infinite was found
        self._dead_R = torch.zeros(runs, device=self.device)
        model = perceptron_of(first.recipe)
        masked = model.hidden if model.dropout else ()
        self._at = _Static(runs, min(self._batch, self._n), masked, self.device)

    def can_be_captured(self) -> bool:
        """Tell whether a step can be a CUDA graph: every number that changes must be in a tensor."""
        moved = any(rate_at(spec.recipe, 0, self._steps).momentum is not None for spec in self.specs)
        return self.device.type == "cuda" and not moved and self._n >= self._batch

    def captured(self) -> Callable[[int], None]:
        """Return a step that replays a graph for whole batches, and computes the last short one as it comes."""
        learned = [*self._weights, *self._biases]
        before = [tensor.clone() for tensor in learned]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_STEPS):
                self.step(self._batch)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step(self._batch)
        # what the steps before the capture have done is undone
        for tensor, kept in zip(learned, before, strict=True):
            tensor.copy_(kept)
        for update in self._updates:
            update.reset()
        self._dead_R.zero_()

        def step(n: int) -> None:
            if n == self._batch:
                graph.replay()
            else:
                self.step(n)

        return step

    def epoch(
        self,
        epoch: int,
        rows: Sequence[torch.Tensor],
        rates: Sequence[Sequence[Rate]],
        step: Callable[[int], None],
    ) -> tuple[list[Stretch], np.ndarray]:
        """Train one epoch; return each run's steps, and the validation logits after them, (R, n).

        `rows` and `rates` have for each run the order of its cases and the rate of each step.
        """
        by_step = list(zip(*rates, strict=True))
        losses_SR, logits_RN = self._steps_of(epoch, torch.stack(list(rows)).to(self.device), by_step, step)
        stretches = [
            Stretch(_up_to_broken(losses), logits) for losses, logits in zip(losses_SR.T, logits_RN, strict=True)
        ]
        return stretches, self._evaluate()

    def finished(self, number: int, epochs: Sequence[Epoch], seconds: float, earlier_cpu: float) -> Result | Diverged:
        """Return what a run leaves that has gone through all its epochs."""
        try:
            return finish(
                self.specs[number],
                epochs,
                self.weights(number),
                seconds,
                earlier_cpu,
                sharing=len(self.specs),
                images=self.images,
            )
        except Diverged as diverged:
            return diverged

    def _steps_of(
        self, epoch: int, rows_RN: torch.Tensor, rates: Sequence[Sequence[Rate]], step: Callable[[int], None]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take every step of an epoch; return the losses, (S, R) for S steps, and the logits, (R, n)."""
        masks = [self._masks(spec, epoch) for spec in self.specs]
        masks_RN = [torch.stack(layer).to(self.device) for layer in zip(*masks, strict=True)]
        rates_SR = torch.tensor([[rate.lr for rate in of_step] for of_step in rates]).to(self.device)
        losses_SR = torch.empty(self._steps, len(self.specs), device=self.device)
        logits_RN = torch.empty(len(self.specs), self._n, device=self.device)
        for number in range(self._steps):
            here = slice(number * self._batch, min((number + 1) * self._batch, self._n))
            n = here.stop - here.start
            self._at.fill(n, rows_RN[:, here], [mask[:, here] for mask in masks_RN])
            self._rates_R.copy_(rates_SR[number])
            self._momenta = list(rates[number])
            step(n)
            # nothing is asked of the device before the epoch's end: it would wait for us
            losses_SR[number] = self._at.losses_R
            logits_RN[:, here] = self._at.logits_RB[:, :n]
        return losses_SR.double().cpu().numpy(), logits_RN.cpu().numpy()

    def step(self, n: int) -> None:
        """Take one step of every run on the first `n` cases of the static batch."""
        at = self._at
        pixels = self._pixels(at.rows_RB[:, :n])
        outputs = self._outputs(pixels, [mask[:, :n] for mask in at.masks])
        losses, logits, delta = loss_and_gradient(
            outputs, self._labels[at.rows_RB[:, :n]], self._class_weights_R2, self._two_R1
        )
        at.losses_R.copy_(losses)
        at.logits_RB[:, :n].copy_(logits)
        torch.maximum(self._dead_R, (~torch.isfinite(losses)).float(), out=self._dead_R)
        delta = self._dense.backward(delta)
        scaled = (delta * self._factor_R11).transpose(1, 2).to(self._type)
        if self._type == torch.float32:
            torch.bmm(scaled, pixels, out=self._first_gradient)
        else:
            self._first_gradient.copy_(torch.bmm(scaled, pixels))
        for number, update in enumerate(self._updates):
            # a captured graph reads the rate from where it lies; the kernels of the CPU want a number
            lr = self._rates_R[number] if self.device.type == "cuda" else None
            update.apply(self._momenta[number], lr, self._dead_R[number])

    def weights(self, number: int) -> dict[str, torch.Tensor]:
        """Return the state of one run's model, on the CPU."""
        outputs = outputs_of(self.specs[number].recipe.loss)
        tensors = []
        for weight, bias in zip(self._weights, self._biases, strict=True):
            tensors += [weight[number], bias[number]]
        tensors[-2:] = [tensor[-outputs:] for tensor in tensors[-2:]]
        return {name: tensor.cpu().clone() for name, tensor in zip(self._names, tensors, strict=True)}

    def state(self, number: int) -> dict[str, torch.Tensor]:
        """Return every tensor of one run that a step changes, by name, as it lies on the device."""
        learned = {f"weight.{layer}": tensor[number] for layer, tensor in enumerate(self._weights)}
        learned |= {f"bias.{layer}": tensor[number] for layer, tensor in enumerate(self._biases)}
        return learned | self._updates[number].state()

    def _column(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    def _load_weights(self, two: torch.Tensor) -> None:
        models = [build_model(spec.recipe, spec.seed, spec.data) for spec in self.specs]
        self._names = list(models[0].state_dict())
        states = [[tensor.detach() for tensor in model.state_dict().values()] for model in models]
        for state, has_two in zip(states, two.tolist(), strict=True):
            if not has_two:
                # a run with one output has it as its second, beside one that is and stays zero
                state[-2:] = [torch.cat([torch.zeros_like(tensor), tensor]) for tensor in state[-2:]]
        stacked = [torch.stack(tensors).to(self.device) for tensors in zip(*states, strict=True)]
        self._weights, self._biases = stacked[::2], stacked[1::2]
        gradients = [torch.zeros_like(tensor) for tensor in stacked]
        self._first_gradient = gradients[0]
        self._dense = Dense(self._biases, self._weights[1:], gradients[1::2], gradients[2::2])
        self._updates = [
            FusedUpdate(spec.recipe.optimizer, [t[r] for t in stacked], [g[r] for g in gradients])
            for r, spec in enumerate(self.specs)
        ]

    def _masks(self, spec: RunSpec, epoch: int) -> list[torch.Tensor]:
        seed_dropout(spec.seed, epoch)
        model = perceptron_of(spec.recipe)
        sizes = [min(self._batch, self._n - start) for start in range(0, self._n, self._batch)]
        drawn = [draw_masks(model.hidden, size, model.dropout) for size in sizes]
        return [torch.cat(layer) for layer in zip(*drawn, strict=True)]

    def _pixels(self, rows_RB: torch.Tensor) -> torch.Tensor:
        return (self._flat[rows_RB].float() - self._shift_R11).to(self._type)

    def _outputs(self, pixels_RBD: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the outputs, (R, B, 2)."""
        products = torch.bmm(pixels_RBD, self._weights[0].to(self._type).transpose(1, 2)).float()
        return self._dense.forward(products * self._factor_R11, masks)

    def _evaluate(self) -> np.ndarray:
        """Return the validation logits of every run, (R, n)."""
        rows = torch.stack([torch.from_numpy(spec.data.val) for spec in self.specs]).to(self.device)
        parts = []
        for part in rows.split(EVALUATION_BATCH, dim=1):
            parts.append(logits_of(self._outputs(self._pixels(part), [])))
        return torch.cat(parts, dim=1).cpu().numpy()


def _up_to_broken(losses: np.ndarray) -> np.ndarray:
    """Return the losses up to the first that is not finite, which stays."""
    broken = np.flatnonzero(~np.isfinite(losses))
    return losses[: broken[0] + 1] if len(broken) else losses


class _Static:
    """The batch of a step, where a captured graph looks for it."""

    def __init__(self, runs: int, batch: int, masked: Sequence[int], device: torch.device) -> None:
        self.rows_RB = torch.zeros(runs, batch, dtype=torch.int64, device=device)
        self.losses_R = torch.zeros(runs, device=device)
        self.logits_RB = torch.zeros(runs, batch, device=device)
        self.masks = [torch.ones(runs, batch, width, device=device) for width in masked]

    def fill(self, n: int, rows_RB: torch.Tensor, masks: Sequence[torch.Tensor]) -> None:
        """Take the next batch."""
        self.rows_RB[:, :n].copy_(rows_RB)
        for mine, mask in zip(self.masks, masks, strict=True):
            mine[:, :n].copy_(mask)
