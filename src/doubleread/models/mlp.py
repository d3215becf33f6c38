"""A multilayer perceptron on flattened pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class MultilayerPerceptron(nn.Module):
    """Linear layers with ReLU, and dropout after each hidden ReLU.

    Takes images of shape (batch, height, width) or (batch, pixels), float32; gives (batch, outputs), the logits.
    """

    def __init__(self, *, pixels: int, hidden: Sequence[int], outputs: int, dropout: float) -> None:
        super().__init__()
        widths = [pixels, *hidden]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(widths[-1], outputs))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images.flatten(1))
