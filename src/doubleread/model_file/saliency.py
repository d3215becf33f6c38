"""Which pixels moved a model: integrated gradients by captum, beside those of weights that never learned anything."""

# R seeds, C classes

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from doubleread.errors import UserError
from doubleread.model_file.reader import ArmReader
from doubleread.training.losses import logits_of
from doubleread.training.model import build_model
from doubleread.training.pixels import as_images, scaled

try:
    from captum.attr import IntegratedGradients
except ModuleNotFoundError:
    IntegratedGradients = None

STEPS = 32
RANDOM_SEED = 2**31 - 1
"""The seed of weights that were never trained; no run has it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Saliency:
    """A map of |integrated gradients|, (height, width), 0 to 1, mean over the seeds; the same of untrained weights.

    `agreement` is Spearman's correlation of the two: where it is high, the map shows the image or the architecture and
    not what was learned (Adebayo et al. 2018); NaN where a map has one value. The map is no evidence either way
    (Sundararajan et al. 2017 for the method).
    """

    trained: np.ndarray
    untrained: np.ndarray
    agreement: float


def can_explain() -> bool:
    """Tell whether captum is there."""
    return IntegratedGradients is not None


def saliency_of(reader: ArmReader, pixels: np.ndarray, target: int) -> Saliency:
    """Return what moved an arm's seeds towards the class `target` in prepared `pixels`, against a black image.

    Raises:
        UserError: captum is not installed.
    """
    if not can_explain():
        raise UserError("saliency", "captum is not installed", "", "pip install 'doubleread[explain]'")
    untrained = build_model(reader.recipe, RANDOM_SEED, reader.data.run_data(reader.seeds[0])).eval()
    maps = [_map(model, reader, place, pixels, target) for place, model in enumerate(reader.models)]
    trained, drawn = np.mean(maps, axis=0), _map(untrained, reader, 0, pixels, target)
    varied = trained.std() > 0 and drawn.std() > 0
    ranks = rankdata(trained), rankdata(drawn)
    agreement = float(np.corrcoef(*ranks)[0, 1]) if varied else math.nan
    return Saliency(trained=_shown(trained), untrained=_shown(drawn), agreement=agreement)


def _map(model: nn.Module, reader: ArmReader, place: int, pixels: np.ndarray, target: int) -> np.ndarray:
    def towards(images: torch.Tensor) -> torch.Tensor:
        logits = logits_of(model(images))
        if logits.ndim == 2:
            return logits[:, target]
        return logits if target == 1 else -logits

    stored = torch.from_numpy(np.array(pixels))
    image, black = (
        as_images(scaled(values.reshape(1, -1).float(), reader.scalings[place]), stored.shape)
        for values in (stored, torch.zeros_like(stored))
    )
    assert IntegratedGradients is not None, "it was asked for"
    found = IntegratedGradients(towards).attribute(image, baselines=black, n_steps=STEPS, internal_batch_size=STEPS)
    return found.detach().abs().sum(dim=1)[0].double().numpy()


def _shown(values: np.ndarray) -> np.ndarray:
    """Return a map scaled to 0 to 1; its highest hundredth is 1, so that one pixel does not darken the rest."""
    top = float(np.quantile(values, 0.99))
    return np.clip(values / top, 0.0, 1.0) if top > 0 else np.zeros_like(values)
