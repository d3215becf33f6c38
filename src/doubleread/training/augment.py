"""Augmentation: what happens to each training case is drawn first, then applied; what was drawn can be looked up again.

A case is known by its place in the order of an epoch. Draws depend on the seed, the epoch and the place alone: every
arm of a seed draws the same numbers, and one that turns images twice as far turns each of them twice as far the same
way.
"""

# B images of a batch, C channels, H, W height and width, n cases of an epoch

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.nn import functional

from doubleread.late import late
from doubleread.recipe import Augmentation
from doubleread.seeds import stream

scipy_stats = late("scipy.stats")

NAMES = (
    "flip_horizontal",
    "flip_vertical",
    "rotate",
    "shift_x",
    "shift_y",
    "zoom",
    "contrast",
    "gamma",
    "brightness",
    "noise",
    "cutout_x",
    "cutout_y",
    "mixup",
)
"""What is drawn for each case, evenly from 0 to 1, each name from a stream of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What happens to each of n cases; every field has shape (n,).

    `mirror` and `upend` are 1 or −1; `angle` is in radians; `shift_x`, `shift_y` in parts of the side; `zoom`,
    `contrast` and `gamma` factors; `brightness` and `noise` in parts of the range; `cutout_x`, `cutout_y` the middle of
    the square, in parts of the side; `share` what a case keeps of itself in a mixture. `noise_seed` is where its noise
    starts.
    """

    mirror: np.ndarray
    upend: np.ndarray
    angle: np.ndarray
    shift_x: np.ndarray
    shift_y: np.ndarray
    zoom: np.ndarray
    contrast: np.ndarray
    gamma: np.ndarray
    brightness: np.ndarray
    noise: np.ndarray
    noise_seed: np.ndarray
    cutout_x: np.ndarray
    cutout_y: np.ndarray
    share: np.ndarray

    def at(self, places: slice) -> Changes:
        """Return the changes of some of the cases."""
        return Changes(**{field.name: getattr(self, field.name)[places] for field in fields(self)})

    def digest(self) -> str:
        """Return a SHA-256 of all that was drawn."""
        return hashlib.sha256(b"".join(getattr(self, field.name).tobytes() for field in fields(self))).hexdigest()


def draw_changes(spec: Augmentation, seed: int, epoch: int, n: int) -> Changes:
    """Return what happens to the `n` cases of an epoch, in its order."""
    even = {name: stream("augmentation", seed, epoch, name).random(n) for name in NAMES}
    seeds = stream("augmentation", seed, epoch, "noise_seed").integers(0, 2**62, n)

    def either_way(name: str, most: float) -> np.ndarray:
        return (2 * even[name] - 1) * most

    def factor(name: str, most: float) -> np.ndarray:
        return np.exp(either_way(name, math.log1p(most)))

    def turned(axis: str) -> np.ndarray:
        may = spec.flip in (axis, "both")
        return np.where(may & (even[f"flip_{axis}"] < 0.5), -1.0, 1.0)

    share = scipy_stats.beta.ppf(even["mixup"], spec.mixup, spec.mixup) if spec.mixup else np.ones(n)
    return Changes(
        mirror=turned("horizontal"),
        upend=turned("vertical"),
        angle=either_way("rotate", math.radians(spec.rotate)),
        shift_x=either_way("shift_x", spec.shift),
        shift_y=either_way("shift_y", spec.shift),
        zoom=factor("zoom", spec.zoom),
        contrast=factor("contrast", spec.contrast),
        gamma=factor("gamma", spec.gamma),
        brightness=either_way("brightness", spec.brightness),
        noise=even["noise"] * spec.noise,
        noise_seed=seeds,
        cutout_x=even["cutout_x"],
        cutout_y=even["cutout_y"],
        # a case is at least half of its mixture, so that its own label is the one it is counted under
        share=np.maximum(share, 1 - share),
    )


def change(spec: Augmentation, changes: Changes, images: torch.Tensor) -> torch.Tensor:
    """Return images (B, C, H, W) of 0 to 1 as `changes`, of as many cases, say; mixtures are made by `mixed`.

    In this order: moved, gamma, contrast, brightness, noise, cutout; what leaves the range is cut to it.
    """
    result = _moved(changes, images) if spec.moves else images
    if spec.gamma:
        result = result.clamp(0, 1).pow(_column(changes.gamma, images))
    if spec.contrast:
        mean = result.mean(dim=(1, 2, 3), keepdim=True)
        result = (result - mean).mul_(_column(changes.contrast, images)).add_(mean)
    if spec.brightness:
        result = result + _column(changes.brightness, images)
    if spec.noise:
        result = result + _noise(changes, images)
    if any((spec.contrast, spec.brightness, spec.noise)):
        result = result.clamp_(0, 1)
    return _cut_out(spec.cutout, changes, result) if spec.cutout else result


def mixed(changes: Changes, images: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return a batch in which each image is mixed with the next one, and the share that each keeps.

    The share is that of the batch's first case; the order of the data is random, so the next case is any other.
    """
    share = float(changes.share[0])
    return images * share + images.roll(-1, 0) * (1 - share), share


def _moved(changes: Changes, images: torch.Tensor) -> torch.Tensor:
    """Return images moved in one resampling: mirrored, turned, zoomed, shifted."""
    cos, sin = np.cos(changes.angle) / changes.zoom, np.sin(changes.angle) / changes.zoom
    # where each pixel of the result is looked up, in coordinates from −1 to 1: two to a side
    rows = [
        [changes.mirror * cos, -changes.mirror * sin, 2 * changes.shift_x],
        [changes.upend * sin, changes.upend * cos, 2 * changes.shift_y],
    ]
    theta = torch.tensor(np.array(rows).transpose(2, 0, 1), dtype=torch.float32, device=images.device)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _noise(changes: Changes, images: torch.Tensor) -> torch.Tensor:
    """Return each image's noise, drawn from its own seed, so that a batch is what its images are alone."""
    shape, generator = images.shape[1:], torch.Generator()
    drawn = [torch.empty(shape).normal_(generator=generator.manual_seed(int(seed))) for seed in changes.noise_seed]
    return torch.stack(drawn).to(images.device) * _column(changes.noise, images)


def _cut_out(part: float, changes: Changes, images: torch.Tensor) -> torch.Tensor:
    """Return images in which a square has the image's mean; part of it may lie outside."""
    height, width = images.shape[2:]
    down = torch.arange(height, device=images.device).view(1, 1, height, 1)
    across = torch.arange(width, device=images.device).view(1, 1, 1, width)
    inside = (down - _column(changes.cutout_y, images) * height).abs() < part * height / 2
    inside = inside & ((across - _column(changes.cutout_x, images) * width).abs() < part * width / 2)
    return torch.where(inside, images.mean(dim=(2, 3), keepdim=True), images)


def _column(values: np.ndarray, images: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32, device=images.device).view(-1, 1, 1, 1)
