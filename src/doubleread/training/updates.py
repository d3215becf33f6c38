"""The optimizers' updates on plain tensors, for the paths that work out gradients themselves.

These are PyTorch's own fused kernels, the ones that `torch.optim` calls with `fused=True`. Its classes spend some 50 µs
around each call; a step in column tiles makes sixteen of them, and a step of a small model has 150 µs in all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from doubleread.recipe import Adam, AdamW, Sgd
from doubleread.training.schedules import Rate


class Coefficients(NamedTuple):
    """What an optimizer does in one step, worked out in double precision.

    Adam: w −= rate · m / (√v · root + eps) with m += (g − m) · keep1, v = v · beta2 + g² · keep2; `rate` holds the
    correction of m's bias, `root` that of v's. SGD: m = m · momentum + g, w −= rate · m. `decay` is added to the
    gradient times the weight; AdamW multiplies the weight by `shrink` instead.
    """

    rate: float
    keep1: float = 0.0
    beta2: float = 0.0
    keep2: float = 0.0
    root: float = 0.0
    eps: float = 0.0
    decay: float = 0.0
    shrink: float = 1.0
    momentum: float = 0.0


def coefficients(spec: Adam | AdamW | Sgd, rate: Rate, step: int) -> Coefficients:
    """Return what the optimizer does in step number `step`; 1 is the first."""
    if isinstance(spec, Sgd):
        momentum = spec.momentum if rate.momentum is None else rate.momentum
        return Coefficients(rate=rate.lr, decay=spec.weight_decay, momentum=momentum)
    beta1, beta2 = first_beta(spec, rate), spec.betas[1]
    decoupled = isinstance(spec, AdamW)
    return Coefficients(
        rate=rate.lr / (1 - beta1**step),
        keep1=1 - beta1,
        beta2=beta2,
        keep2=1 - beta2,
        root=1 / math.sqrt(1 - beta2**step),
        eps=spec.eps,
        decay=0.0 if decoupled else spec.weight_decay,
        shrink=1 - rate.lr * spec.weight_decay if decoupled else 1.0,
    )


def first_beta(spec: Adam | AdamW, rate: Rate) -> float:
    """Return Adam's first beta in a step: the schedule's where it moves it."""
    return spec.betas[0] if rate.momentum is None else rate.momentum


class FusedUpdate:
    """One optimizer on a list of parameters whose gradients are always written to the same tensors.

    Parameters, gradients and moments are float32 and of one device. `lr` may be a tensor on a CUDA device, so that a
    captured graph follows it.
    """

    def __init__(
        self, spec: Adam | AdamW | Sgd, parameters: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor]
    ) -> None:
        self._spec = spec
        self._parameters, self._gradients = list(parameters), list(gradients)
        self._first = [torch.zeros_like(p) for p in self._parameters]
        self._second = [] if isinstance(spec, Sgd) else [torch.zeros_like(p) for p in self._parameters]
        self._count = torch.zeros((), dtype=torch.float32, device=self._parameters[0].device)
        self._counts = [self._count] * len(self._parameters)

    def state(self) -> list[torch.Tensor]:
        """Return the tensors that a step changes, beside the parameters."""
        return [*self._first, *self._second, self._count]

    def apply(self, rate: Rate, lr: torch.Tensor | None = None, stop: torch.Tensor | None = None) -> None:
        """Take one step at `rate`, or at the rate in the tensor `lr`, with the gradients as they are.

        Where the tensor `stop` is 1, nothing changes.
        """
        self._count += 1
        at = rate.lr if lr is None else lr
        if isinstance(self._spec, Sgd):
            self._sgd(self._spec, rate, at, stop)
        else:
            fused = torch.ops.aten._fused_adamw_ if isinstance(self._spec, AdamW) else torch.ops.aten._fused_adam_
            fused(
                self._parameters,
                self._gradients,
                self._first,
                self._second,
                [],
                self._counts,
                lr=at,
                beta1=first_beta(self._spec, rate),
                beta2=self._spec.betas[1],
                weight_decay=self._spec.weight_decay,
                eps=self._spec.eps,
                amsgrad=False,
                maximize=False,
                found_inf=stop,
            )

    def _sgd(self, spec: Sgd, rate: Rate, at: float | torch.Tensor, stop: torch.Tensor | None) -> None:
        momentum = spec.momentum if rate.momentum is None else rate.momentum
        torch.ops.aten._fused_sgd_(
            self._parameters,
            self._gradients,
            self._first if momentum else [],
            weight_decay=spec.weight_decay,
            momentum=momentum,
            lr=at,
            dampening=0.0,
            nesterov=spec.nesterov,
            maximize=False,
            # the momentum starts at zero, so the first step needs no case of its own
            is_first_step=False,
            found_inf=stop,
        )
