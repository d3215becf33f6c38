"""The random streams of a run: initial weights, the order of the data, dropout. The only place that seeds torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from doubleread.seeds import stream_seed


def initialise(model: nn.Module, seed: int) -> None:
    """Draw the initial weights in place.

    Each linear layer is uniform in ± 1/√fan-in, as PyTorch's own start is; each convolution normal with a variance of
    2/fan-out, for ReLU (He et al. 2015). Every tensor has a stream of its own, named by its place in the model and its
    shape. So two models of a seed start from the same numbers wherever a tensor has the same name and shape, and
    nothing depends on the order in which modules are built.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            for part, tensor in (("weight", module.weight), ("bias", module.bias)):
                with torch.no_grad():
                    tensor.uniform_(-bound, bound, generator=_stream(seed, f"{name}.{part}", tensor))
        elif isinstance(module, nn.Conv2d):
            outputs = module.out_channels * math.prod(module.kernel_size)
            with torch.no_grad():
                module.weight.normal_(
                    0, math.sqrt(2 / outputs), generator=_stream(seed, f"{name}.weight", module.weight)
                )


def _stream(seed: int, name: str, tensor: torch.Tensor) -> torch.Generator:
    shape = "x".join(str(size) for size in tensor.shape)
    return torch.Generator().manual_seed(stream_seed("weights", seed, name, shape))


@contextmanager
def drawing_weights(seed: int) -> Iterator[None]:
    """Let networks that are built inside draw their initial weights, in the order in which they do, from `seed`."""
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(stream_seed("weights", seed))
    try:
        yield
    finally:
        torch.default_generator.set_state(before)


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
