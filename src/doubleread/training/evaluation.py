"""A model's logits, the same way whatever trained it: without autograd, in batches of one fixed size."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from doubleread.nouns import RunData
from doubleread.recipe import TestTime
from doubleread.training.losses import logits_of
from doubleread.training.pixels import PixelReader, Scaling, scaling_of

EVALUATION_BATCH = 100
"""Cases at once; fixed, because the last bits of a product depend on it."""


class Evaluator:
    """Computes logits of stored images by `model`, as it is at the time, in float32; with `bf16`, under autocast.

    `images` are those of `data`, on the model's device; left out, they are read on the CPU. `scaling` is what
    `intensity` means for `data`, where it is known already. See `Recipe.test_time`.
    """

    def __init__(
        self,
        model: nn.Module,
        intensity: str,
        data: RunData,
        images: torch.Tensor | None = None,
        *,
        scaling: Scaling | None = None,
        test_time: TestTime = "none",
        bf16: bool = False,
    ) -> None:
        self._model, self._test_time, self._bf16 = model, test_time, bf16
        stored = torch.from_numpy(data.images) if images is None else images
        found = scaling_of(intensity, data) if scaling is None else scaling
        self._reader = PixelReader(stored, found, min(EVALUATION_BATCH, max(len(stored), 1)))

    @torch.no_grad()
    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Return the logits of the cases at `rows`, (n,), or (n, classes) where there are more than two; float32."""
        self._model.eval()
        return torch.cat([self._of(part) for part in torch.from_numpy(rows).split(EVALUATION_BATCH)]).cpu().numpy()

    def _of(self, rows: torch.Tensor) -> torch.Tensor:
        images = self._reader.images(rows)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._bf16):
            outputs = self._model(images).float()
            if self._test_time == "flip":
                outputs = (outputs + self._model(images.flip(3)).float()) / 2
        return logits_of(outputs)
