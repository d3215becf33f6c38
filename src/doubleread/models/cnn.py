"""A small residual network for grey medical images."""

# B images, C channels

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class ResidualNetwork(nn.Module):
    """Residual blocks (He et al. 2016) in stages, each at half the resolution of the one before it.

    Findings on a radiograph are faint and large against single pixels, so resolution is given up by averaging, which
    keeps a faint signal and does not alias, and never by skipping pixels; and each stage is as wide as its resolution
    affords, so that most of the work is done where there is most to see. The last norm of each block starts at zero: a
    new network is a chain of averages, and learns from the first step at rates at which others must be warmed up.

    Takes images of shape (B, channels, height, width), of any height and width; gives (B, outputs), the logits.
    """

    def __init__(
        self,
        *,
        channels: int,
        outputs: int,
        widths: Sequence[int],
        blocks: Sequence[int],
        dropout: float,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, widths[0], 5, stride=2, padding=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        stages: list[nn.Module] = []
        fan_in = widths[0]
        for width, number in zip(widths, blocks, strict=True):
            stages += [
                Block(fan_in if first else width, width, halve=first) for first in [True] + [False] * (number - 1)
            ]
            fan_in = width
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(fan_in, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.stages(functional.relu(self.stem_norm(self.stem(images)), inplace=True))
        return self.head(self.dropout(features.mean(dim=(2, 3))))


class Block(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut, at half the sides of its input where it is to `halve` them."""

    def __init__(self, fan_in: int, width: int, *, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.first = nn.Conv2d(fan_in, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.second_norm.weight)
        widens = fan_in != width
        self.shortcut = nn.Conv2d(fan_in, width, 1, bias=False) if widens else None
        self.shortcut_norm = nn.BatchNorm2d(width) if widens else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.halve:
            # rounded up, so that a side of one pixel stays one
            features = functional.avg_pool2d(features, 2, ceil_mode=True)
        beside = features
        if self.shortcut is not None and self.shortcut_norm is not None:
            beside = self.shortcut_norm(self.shortcut(features))
        found = functional.relu(self.first_norm(self.first(features)), inplace=True)
        return functional.relu(self.second_norm(self.second(found)) + beside, inplace=True)
