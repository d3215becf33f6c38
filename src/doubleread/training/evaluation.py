"""A model's logits, the same way whatever trained it: float32, without autograd, in batches of one fixed size."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from doubleread.nouns import RunData
from doubleread.training.losses import logit_of
from doubleread.training.pixels import PixelReader, scaling_of

EVALUATION_BATCH = 100
"""Cases at once; fixed, because the last bits of a product depend on it."""


class Evaluator:
    """Computes logits of stored images by `model`, as it is at the time.

    `images` are those of `data`, on the model's device; left out, they are read on the CPU.
    """

    def __init__(self, model: nn.Module, intensity: str, data: RunData, images: torch.Tensor | None = None) -> None:
        self._model = model
        stored = torch.from_numpy(data.images) if images is None else images
        self._reader = PixelReader(stored, scaling_of(intensity, data), min(EVALUATION_BATCH, max(len(stored), 1)))

    @torch.no_grad()
    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Return the logits of the cases at `rows`, shape (n,), float32."""
        self._model.eval()
        parts = [
            logit_of(self._model(self._reader.batch(part))) for part in torch.from_numpy(rows).split(EVALUATION_BATCH)
        ]
        return torch.cat(parts).cpu().numpy()
