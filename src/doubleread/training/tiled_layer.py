"""A perceptron's first layer by PyTorch's operations, in column tiles."""

# B cases of a batch, U units

from __future__ import annotations

import numpy as np
import torch

from doubleread.recipe import Adam, AdamW, Sgd
from doubleread.training.schedules import Rate
from doubleread.training.updates import FusedUpdate

TILE = 4096
"""Pixels of a tile: weights, moments and gradient of 64 units are then 4 MB, and calls do not outweigh the work."""


class TiledFirstLayer:
    """Products of stored pixels with the first layer's weights, and the optimizer on those.

    `images` is (N, pixels) uint8, `weight` (units, pixels). Products are of pixels less `shift`; the intensity's
    factor, the bias and everything behind is the caller's. A returned tensor is valid until the next call.

    For each tile of pixels: its gradient, the optimizer on it, and at once its part of the next batch's products, while
    its weights are in the cache. With `bf16`, factors are rounded to bfloat16 and so is each tile's product.
    """

    def __init__(
        self,
        spec: Adam | AdamW | Sgd,
        weight: torch.Tensor,
        images: np.ndarray,
        shift: float,
        largest_batch: int,
        bf16: bool,
    ) -> None:
        self._images, self._shift = torch.from_numpy(images), shift
        units, pixels = weight.shape
        self._edges = [(start, min(start + TILE, pixels)) for start in range(0, pixels, TILE)]
        self._tiles = [weight[:, start:end].contiguous() for start, end in self._edges]
        memory = torch.empty(units * TILE)
        # every tile's gradient is written to the same place
        self._gradients = [memory[: tile.numel()].view_as(tile) for tile in self._tiles]
        self._updates = [
            FusedUpdate(spec, [tile], [gradient]) for tile, gradient in zip(self._tiles, self._gradients, strict=True)
        ]
        self._type = torch.bfloat16 if bf16 else torch.float32
        self._seen, self._next = (torch.empty(largest_batch, pixels, dtype=torch.uint8) for _ in range(2))
        self._pixels = torch.empty(largest_batch, min(TILE, pixels), dtype=self._type)
        self._sums = torch.empty(units, largest_batch)
        self._n_seen = 0

    def begin(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the products of the cases at `rows`, (B, U), and remember them as the batch seen."""
        products = self.products(rows)
        self._remember(len(rows))
        return products

    def descend(self, delta_BU: torch.Tensor, rate: Rate, following: torch.Tensor | None) -> torch.Tensor | None:
        """Take one optimizer step; `delta_BU` is the loss's derivative by the products of the batch seen.

        Returns the products of the cases at `following`, which become the batch seen; None where there are none.
        """
        delta_UB = delta_BU.t().contiguous().to(self._type)
        sums = self._look(following) if following is not None else None
        for number in range(len(self._tiles)):
            self._put_gradient(number, delta_UB)
            self._updates[number].apply(rate)
            if following is not None and sums is not None:
                self._add_products(number, len(following), sums)
        if following is None or sums is None:
            return None
        self._remember(len(following))
        return sums.t()

    def products(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the products of the cases at `rows`, (B, U), and remember nothing."""
        sums = self._look(rows)
        for number in range(len(self._tiles)):
            self._add_products(number, len(rows), sums)
        return sums.t()

    def weight(self) -> torch.Tensor:
        """Return the weights as `nn.Linear` has them, (U, pixels), float32, a copy."""
        return torch.cat(self._tiles, dim=1)

    def state(self) -> dict[str, torch.Tensor]:
        """Return every tensor that a step changes, by name, as it lies in memory."""
        moving = {f"tile.{number}": tile for number, tile in enumerate(self._tiles)}
        for number, update in enumerate(self._updates):
            moving |= {f"tile.{number}.{name}": tensor for name, tensor in update.state().items()}
        return moving

    def _look(self, rows: torch.Tensor) -> torch.Tensor:
        torch.index_select(self._images, 0, rows, out=self._next[: len(rows)])
        return self._sums[:, : len(rows)].zero_()

    def _remember(self, n: int) -> None:
        self._seen, self._next, self._n_seen = self._next, self._seen, n

    def _tile_of(self, batch: torch.Tensor, number: int, n: int) -> torch.Tensor:
        start, end = self._edges[number]
        pixels = self._pixels[:n, : end - start].copy_(batch[:n, start:end])
        return pixels.sub_(self._shift) if self._shift else pixels

    def _put_gradient(self, number: int, delta_UB: torch.Tensor) -> None:
        pixels = self._tile_of(self._seen, number, self._n_seen)
        if self._type == torch.float32:
            torch.mm(delta_UB, pixels, out=self._gradients[number])
        else:
            self._gradients[number].copy_(torch.mm(delta_UB, pixels))

    def _add_products(self, number: int, n: int, sums: torch.Tensor) -> None:
        pixels = self._tile_of(self._next, number, n)
        if self._type == torch.float32:
            torch.addmm(sums, self._tiles[number], pixels.t(), out=sums)
        else:
            sums.add_(torch.mm(self._tiles[number].to(self._type), pixels.t()))
