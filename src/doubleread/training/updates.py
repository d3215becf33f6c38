"""The optimizers' updates on plain tensors, for the paths that work out gradients themselves.

These are PyTorch's own fused kernels, the ones that `torch.optim` calls with `fused=True`. Its classes spend some 50 µs
around each call; a step in column tiles makes sixteen of them, and a step of a small model has 150 µs in all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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
        return Coefficients(rate=rate.lr, decay=spec.weight_decay, momentum=momentum_of(spec, rate))
    beta1, beta2 = momentum_of(spec, rate), spec.betas[1]
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


def momentum_of(spec: Adam | AdamW | Sgd, rate: Rate) -> float:
    """Return the momentum of a step, which for Adam is its first beta: the schedule's where that moves it."""
    if rate.momentum is not None:
        return rate.momentum
    return spec.momentum if isinstance(spec, Sgd) else spec.betas[0]


class FusedUpdate:
    """One optimizer on a list of parameters whose gradients are always written to the same tensors.

    Parameters, gradients and moments are float32 and on one device.
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

    def reset(self) -> None:
        """Forget every step taken; the parameters stay as they are."""
        for tensor in (*self._first, *self._second, self._count):
            tensor.zero_()

    def state(self) -> dict[str, torch.Tensor]:
        """Return every tensor that a step changes beside the parameters, by name, as it lies in memory."""
        moments = {f"first.{i}": tensor for i, tensor in enumerate(self._first)}
        return moments | {f"second.{i}": tensor for i, tensor in enumerate(self._second)} | {"count": self._count}

    def apply(self, rate: Rate, lr: torch.Tensor | None = None, stop: torch.Tensor | None = None) -> None:
        """Take one step at `rate`, with the gradients as they are.

        On a CUDA device the rate may be in the tensor `lr`, so that a captured graph follows it. Where the tensor
        `stop` is 1, parameters and moments stay as they are.
        """
        self._count += 1
        at = rate.lr if lr is None else lr
        if isinstance(self._spec, Sgd):
            self._sgd(self._spec, rate, at, stop)
        else:
            ops = torch.ops.aten
            overload_for(ops._fused_adamw_ if isinstance(self._spec, AdamW) else ops._fused_adam_, lr)(
                self._parameters,
                self._gradients,
                self._first,
                self._second,
                [],
                self._counts,
                lr=at,
                beta1=momentum_of(self._spec, rate),
                beta2=self._spec.betas[1],
                weight_decay=self._spec.weight_decay,
                eps=self._spec.eps,
                amsgrad=False,
                maximize=False,
                found_inf=stop,
            )

    def _sgd(self, spec: Sgd, rate: Rate, at: float | torch.Tensor, stop: torch.Tensor | None) -> None:
        momentum = momentum_of(spec, rate)
        overload_for(torch.ops.aten._fused_sgd_, at)(
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


def overload_for(packet: Any, lr: float | torch.Tensor | None) -> Callable[..., object]:
    """Return the kernel that takes the rate as it is; left to itself, PyTorch would ask a tensor for its number."""
    return packet.tensor_lr if isinstance(lr, torch.Tensor) else packet.default
