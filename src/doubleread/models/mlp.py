"""A multilayer perceptron on flattened pixels, and the linear model that it is without hidden layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class MultilayerPerceptron(nn.Module):
    """Linear layers with ReLU, and dropout after each hidden ReLU.

    Takes images of shape (batch, channels, height, width), (batch, height, width) or (batch, pixels), float32; gives
    (batch, outputs), the logits. The channels of a pixel stand beside each other, as they are stored.
    """

    def __init__(
        self, *, image_size: int, channels: int = 1, hidden: Sequence[int], outputs: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        widths = [channels * image_size**2, *hidden]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(widths[-1], outputs))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.ndim == 4:
            images = images.movedim(1, 3)
        return self.layers(images.flatten(1))


def linear(*, image_size: int, channels: int, outputs: int) -> MultilayerPerceptron:
    """Return logistic regression on the pixels."""
    return MultilayerPerceptron(image_size=image_size, channels=channels, hidden=(), outputs=outputs)
