"""The exponential average of a model's weights over the steps (Polyak & Juditsky 1992; as in Szegedy et al. 2016)."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn


class AveragedWeights:
    """A second model whose weights are the average of the first one's.

    In step t, from 1, the part min(decay, (1 + t)/(10 + t)) of the average stays: so the weights of the first steps do
    not weigh on those of a short run. What a norm has counted of its inputs is averaged too.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self._decay, self._steps = decay, 0

    @torch.no_grad()
    def add(self, model: nn.Module) -> None:
        """Take in a model's weights after a step."""
        self._steps += 1
        left = 1 - min(self._decay, (1 + self._steps) / (10 + self._steps))
        mine, theirs = list(self.model.state_dict().values()), list(model.state_dict().values())
        for a, b in zip(mine, theirs, strict=True):
            if a.is_floating_point():
                a.lerp_(b, left)
            else:
                a.copy_(b)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the average and how many steps are in it, on the CPU, by name."""
        found = {f"average.{name}": tensor.cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        return found | {"averaged_steps": torch.tensor(self._steps)}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state`.

        Raises:
            KeyError, RuntimeError: it is another model's.
        """
        self.model.load_state_dict({name: state[f"average.{name}"] for name in self.model.state_dict()})
        self._steps = int(state["averaged_steps"])
