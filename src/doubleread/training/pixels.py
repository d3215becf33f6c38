"""From stored pixels to what a model sees: rows picked into a reused buffer, then scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from doubleread.nouns import RunData


@dataclass(frozen=True, slots=True)
class Scaling:
    """Pixels enter the model as (pixel − shift) · factor."""

    shift: float
    factor: float


def scaling_of(intensity: str, data: RunData) -> Scaling:
    """Return the scaling that an `intensity` means: raw 0–255, unit 0–1, or standard by the training pixels."""
    if intensity == "raw":
        return Scaling(0.0, 1.0)
    if intensity == "unit":
        return Scaling(0.0, 1 / 255)
    counts = np.zeros(256, dtype=np.int64)
    for row in data.train:
        counts += np.bincount(data.images[row].reshape(-1), minlength=256)
    values = np.arange(256, dtype=np.float64)
    # whole counts: the same mean and SD whatever the order of the rows
    mean = float((counts * values).sum() / counts.sum())
    variance = float((counts * (values - mean) ** 2).sum() / counts.sum())
    return Scaling(mean, 1 / max(variance, 1e-12) ** 0.5)


class PixelReader:
    """Hands out batches of images, scaled, float32, shape (batch, pixels); a batch is valid until the next one.

    `images` is (N, height, width), uint8; batches are on its device.
    """

    def __init__(self, images: torch.Tensor, scaling: Scaling, largest_batch: int) -> None:
        self._images = images.view(len(images), -1)
        shape = largest_batch, self._images.shape[1]
        self._bytes = torch.empty(shape, dtype=torch.uint8, device=images.device)
        self._floats = torch.empty(shape, dtype=torch.float32, device=images.device)
        self._scaling = scaling

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the images at `rows`, int64, on any device."""
        n = len(rows)
        torch.index_select(self._images, 0, rows.to(self._images.device), out=self._bytes[:n])
        floats = self._floats[:n].copy_(self._bytes[:n])
        if self._scaling.shift:
            floats.sub_(self._scaling.shift)
        if self._scaling.factor != 1.0:
            floats.mul_(self._scaling.factor)
        return floats
