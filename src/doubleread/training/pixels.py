"""From stored pixels to what a model sees: rows picked into a reused buffer, then scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from doubleread.nouns import DEEP_STEPS, RunData


@dataclass(frozen=True, slots=True)
class Scaling:
    """Pixels enter the model as (pixel − shift) · factor; with `each`, less their image's mean and over its SD."""

    shift: float
    factor: float
    each: bool = False


def scaling_of(intensity: str, data: RunData) -> Scaling:
    """Return the scaling that an `intensity` means, of pixels of 0 to 255: see `DataSpec`."""
    if intensity == "image":
        return Scaling(0.0, 1.0, each=True)
    if intensity == "raw":
        return Scaling(0.0, 1.0)
    if intensity == "unit":
        return Scaling(0.0, 1 / 255)
    levels = int(np.iinfo(data.images.dtype).max) + 1
    counts = np.zeros(levels, dtype=np.int64)
    for row in data.train:
        counts += np.bincount(data.images[row].reshape(-1), minlength=levels)
    values = np.arange(levels, dtype=np.float64) * (255 / (levels - 1))
    # whole counts: the same mean and SD whatever the order of the rows
    mean = float((counts * values).sum() / counts.sum())
    variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
    return Scaling(mean, 1 / max(variance, 1e-12) ** 0.5)


class PixelReader:
    """Hands out batches of images, scaled, float32; a batch is valid until the next one.

    `images` is (N, height, width) or (N, height, width, channels), uint8 or uint16; batches are on its device. Pixels
    of 16 bits count as those of 8 with finer steps between 0 and 255.
    """

    def __init__(self, images: torch.Tensor, scaling: Scaling, largest_batch: int) -> None:
        self._images, self._stored = images.view(len(images), -1), images.shape[1:]
        shape = largest_batch, self._images.shape[1]
        self._bytes = torch.empty(shape, dtype=images.dtype, device=images.device)
        self._floats = torch.empty(shape, dtype=torch.float32, device=images.device)
        self._scaling = scaling

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the images at `rows`, int64, on any device, as shape (batch, pixels)."""
        n = len(rows)
        torch.index_select(self._images, 0, rows.to(self._images.device), out=self._bytes[:n])
        floats = self._floats[:n].copy_(self._bytes[:n])
        return scaled(floats.div_(DEEP_STEPS) if self._bytes.dtype == torch.uint16 else floats, self._scaling)

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the images at `rows` as shape (batch, channels, height, width), as they lie."""
        return as_images(self.batch(rows), self._stored)


def as_images(pixels: torch.Tensor, stored: Sequence[int]) -> torch.Tensor:
    """Return pixels (batch, pixels) of images stored as (height, width[, channels]) with the channels in front."""
    if len(stored) == 2:
        return pixels.view(len(pixels), 1, *stored)
    return pixels.view(len(pixels), *stored).movedim(3, 1)


def scaled(pixels: torch.Tensor, scaling: Scaling) -> torch.Tensor:
    """Return images of pixels of 0 to 255 as they enter the model, in their place; the first axis counts images."""
    if scaling.each:
        whole = tuple(range(1, pixels.ndim))
        pixels.sub_(pixels.mean(dim=whole, keepdim=True))
        # an image of one grey has no contrast that could be evened out
        return pixels.div_(pixels.std(dim=whole, keepdim=True, correction=0).clamp_min_(1.0))
    if scaling.shift:
        pixels.sub_(scaling.shift)
    if scaling.factor != 1.0:
        pixels.mul_(scaling.factor)
    return pixels
