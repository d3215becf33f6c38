"""PyTorch's optimizers, fused, as a recipe names them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from doubleread.recipe import Adam, AdamW, Sgd
from doubleread.training.schedules import Rate


def make_optimizer(spec: Adam | AdamW | Sgd, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimizer; `fused` goes over the weights once a step, which on a CPU is four times as fast."""
    if isinstance(spec, Sgd):
        return torch.optim.SGD(
            parameters,
            lr=spec.lr,
            momentum=spec.momentum,
            nesterov=spec.nesterov,
            weight_decay=spec.weight_decay,
            fused=True,
        )
    kind = torch.optim.AdamW if isinstance(spec, AdamW) else torch.optim.Adam
    return kind(parameters, lr=spec.lr, betas=spec.betas, eps=spec.eps, weight_decay=spec.weight_decay, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: Rate) -> None:
    """Set the rate of the next step, and the momentum (Adam's first beta) where the schedule moves it."""
    for group in optimizer.param_groups:
        group["lr"] = rate.lr
        if rate.momentum is not None:
            if "betas" in group:
                group["betas"] = (rate.momentum, *group["betas"][1:])
            else:
                group["momentum"] = rate.momentum
