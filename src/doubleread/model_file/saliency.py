"""Which pixels moved a model, by captum, beside the same of weights that never learned anything: no evidence."""

# R seeds, C classes

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from doubleread.errors import UserError
from doubleread.late import late
from doubleread.model_file.members import untrained
from doubleread.model_file.methods import METHODS, Method, can_explain
from doubleread.model_file.predictor import Predictor
from doubleread.nouns import DEEP_STEPS
from doubleread.training.losses import logits_of
from doubleread.training.pixels import Scaling, as_images, scaled

scipy_stats = late("scipy.stats")

attr = late("captum.attr")

STEPS = 32
PATCHES = 16
"""Patches along a side that are covered in turn, each half over its neighbour."""
FLAT = 1e-6
"""A map whose values differ by less than this part of the largest has one value: the rest is rounding."""
RANDOM_SEEDS = tuple(2**31 - 1 - place for place in range(4))
"""The seeds of weights that were never trained, which no run has; one draw alone may give a blank map."""
Towards = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Saliency:
    """A map, (height, width), 0 to 1, mean over the seeds, and the same of untrained weights, mean over four draws.

    `agreement` is Spearman's correlation of the two: where it is high, the map shows the image or the architecture and
    not what was learned (Adebayo et al. 2018); NaN where a map has one value. The map is no evidence either way.
    """

    method: Method
    trained: np.ndarray
    untrained: np.ndarray
    agreement: float


def check_method(predictor: Predictor, method: str) -> Method:
    """Return the method of that name, if the model has what it needs.

    Raises:
        UserError: there is none of that name, it needs convolutions that the model has not, or captum is missing.
    """
    if not can_explain():
        raise UserError("saliency", "captum is not installed", "", "pip install 'doubleread[explain]'")
    for known in METHODS:
        if method == known:
            if known == "grad-cam" and _last_convolution(predictor.models[0], _blank(predictor)) is None:
                raise UserError(
                    "--method grad-cam", "the model has no convolution", "", "use integrated-gradients or occlusion"
                )
            return known
    raise UserError("--method", f'got "{method}"', f"expected one of {', '.join(METHODS)}")


def saliency_of(
    predictor: Predictor, pixels: np.ndarray, target: int, method: str = "integrated-gradients"
) -> Saliency:
    """Return what moved the seeds towards the class `target` in prepared `pixels`.

    `integrated-gradients` (Sundararajan et al. 2017) and `occlusion` (Zeiler & Fergus 2014) count from a black image;
    `grad-cam` (Selvaraju et al. 2017) is that of the last convolution, enlarged.

    Raises:
        UserError: see `check_method`.
    """
    chosen = check_method(predictor, method)
    # on the scale of 0 to 255, whatever the depth
    stored = torch.from_numpy(pixels.astype(np.float32) / (DEEP_STEPS if pixels.dtype == np.uint16 else 1))
    pairs = zip(predictor.models, predictor.scalings, strict=True)
    trained = np.mean([_map(model, scaling, stored, target, chosen) for model, scaling in pairs], axis=0)
    drawn = np.mean(
        [_map(model, predictor.scalings[0], stored, target, chosen) for model in _random(predictor)], axis=0
    )
    varied = all(values.std() > FLAT * np.abs(values).max() for values in (trained, drawn))
    ranks = scipy_stats.rankdata(trained), scipy_stats.rankdata(drawn)
    agreement = float(np.corrcoef(*ranks)[0, 1]) if varied else math.nan
    return Saliency(method=chosen, trained=_shown(trained), untrained=_shown(drawn), agreement=agreement)


@lru_cache(maxsize=2)
def _random(predictor: Predictor) -> tuple[nn.Module, ...]:
    """Return the networks that never learned anything; for many images of one model they are built once."""
    return tuple(untrained(predictor, seed) for seed in RANDOM_SEEDS)


def _blank(predictor: Predictor) -> torch.Tensor:
    size, *colour = predictor.shape[1:]
    return torch.zeros(1, colour[0] if colour else 1, size, size)


def _map(model: nn.Module, scaling: Scaling, stored: torch.Tensor, target: int, method: Method) -> np.ndarray:
    def towards(images: torch.Tensor) -> torch.Tensor:
        logits = logits_of(model(images))
        if logits.ndim == 2:
            return logits[:, target]
        return logits if target == 1 else -logits

    image, black = (
        as_images(scaled(values.reshape(1, -1), scaling), stored.shape)
        for values in (stored.clone(), torch.zeros_like(stored))
    )
    found: torch.Tensor = METHOD[method](model, towards, image, black)
    return found.detach().sum(dim=1)[0].double().numpy()


def _gradients(_model: nn.Module, towards: Towards, image: torch.Tensor, black: torch.Tensor) -> torch.Tensor:
    made: Any = attr.IntegratedGradients(towards)
    return made.attribute(image, baselines=black, n_steps=STEPS, internal_batch_size=STEPS).abs()


def _grad_cam(model: nn.Module, towards: Towards, image: torch.Tensor, _black: torch.Tensor) -> torch.Tensor:
    layer = _last_convolution(model, image)
    assert layer is not None, "it has been checked"
    made: Any = attr.LayerGradCam(towards, layer)
    found = made.attribute(image, relu_attributions=True)
    return attr.LayerAttribution.interpolate(found, image.shape[2:], interpolate_mode="bilinear")


def _occlusion(_model: nn.Module, towards: Towards, image: torch.Tensor, black: torch.Tensor) -> torch.Tensor:
    side = max(2, image.shape[2] // PATCHES * 2)
    made: Any = attr.Occlusion(towards)
    found = made.attribute(
        image,
        baselines=black,
        sliding_window_shapes=(image.shape[1], side, side),
        strides=(image.shape[1], side // 2, side // 2),
        perturbations_per_eval=STEPS,
    )
    return found.abs()


METHOD: dict[Method, Callable[[nn.Module, Towards, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "integrated-gradients": _gradients,
    "grad-cam": _grad_cam,
    "occlusion": _occlusion,
}


def _last_convolution(model: nn.Module, image: torch.Tensor) -> nn.Module | None:
    """Return the last convolution that still sees where things are; None where there is none behind another one."""
    seen: list[tuple[nn.Module, int]] = []
    hooks = [
        module.register_forward_hook(lambda mine, _given, found: seen.append((mine, min(found.shape[2:]))))
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        with torch.no_grad():
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    # the one that cuts the patches of a vision transformer is its only one, and sees the image alone
    return next((module for module, side in reversed(seen) if side > 1), None) if len(seen) > 1 else None


def _shown(values: np.ndarray) -> np.ndarray:
    """Return a map scaled to 0 to 1; its highest hundredth is 1, so that one pixel does not darken the rest."""
    top = float(np.quantile(values, 0.99))
    return np.clip(values / top, 0.0, 1.0) if top > 0 else np.zeros_like(values)
