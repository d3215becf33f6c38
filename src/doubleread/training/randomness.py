"""The random streams of a run: initial weights, the order of the data, dropout. The only place that seeds torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from doubleread.seeds import stream_seed


def initialise(model: nn.Module, seed: int) -> None:
    """Draw the initial weights in place: each linear layer uniform in ± 1/√fan-in, as PyTorch's own start is.

    Every tensor has a stream of its own, named by its place in the model and its shape. So two models of a seed
    start from the same numbers wherever a tensor has the same name and shape, and nothing depends on the order in
    which modules are built.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            for part, tensor in (("weight", module.weight), ("bias", module.bias)):
                shape = "x".join(str(size) for size in tensor.shape)
                generator = torch.Generator().manual_seed(stream_seed("weights", seed, f"{name}.{part}", shape))
                with torch.no_grad():
                    tensor.uniform_(-bound, bound, generator=generator)


def seed_dropout(seed: int, epoch: int, device: str = "cpu") -> None:
    """Start the dropout stream of an epoch, on the CPU or, for a model on a CUDA device, on that too.

    `nn.Dropout` can only draw from torch's global generators; a run is a process of its own, so nobody else draws
    from them. Seeding by epoch lets a run that was stopped go on at an epoch's start with the same masks.
    """
    number = stream_seed("dropout", seed, epoch)
    # torch.manual_seed writes down the stack for every kind of device there could be: 0.7 ms, a tenth of a small epoch
    torch.default_generator.manual_seed(number)
    if device == "cuda":
        torch.cuda.manual_seed(number)


def dropout_state(device: str = "cpu") -> dict[str, torch.Tensor]:
    """Return where the dropout stream stands, in the middle of an epoch, by device."""
    found = {"cpu": torch.default_generator.get_state()}
    return found if device == "cpu" else found | {device: torch.cuda.get_rng_state()}


def restore_dropout(state: Mapping[str, torch.Tensor]) -> None:
    """Put the dropout stream where a `dropout_state` says."""
    torch.default_generator.set_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
