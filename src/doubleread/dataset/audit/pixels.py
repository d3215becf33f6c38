"""What can be measured of an image without knowing what it shows: size, grey values, borders, sharpness."""

# N cases, F features

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from doubleread.dataset.prepared import PreparedSet
from doubleread.dataset.reading import Progress
from doubleread.images import grey_of, to_depth

FEATURES = ("width", "height", "colour", "mean", "sd", "p1", "p25", "p50", "p75", "p99", "border", "sharpness")
"""Width and height in the source, whether it has colour there; the rest of the grey pixels as they are trained on.

Mean, standard deviation and percentiles are grey values, 0 to 255; `border` is the share of the area in rows and
columns at the edges that are of one grey, within `FLAT`; `sharpness` the standard deviation of the Laplacian.
"""
PERCENTS = (1, 25, 50, 75, 99)
FLAT = 8
"""Grey values between which a row or a column at the edge is blank: JPEG does not leave a black shutter quite black."""
THUMBNAIL = 32
CHUNK = 64
GREY = frozenset({"1", "L", "LA", "P", "I;16", ""})
"""Modes of grey images; of a palette it is not known, and of sets prepared by older versions neither."""


def measure_pixels(data: PreparedSet, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """Return the features, (N, F) float64 in the order of `FEATURES`, and thumbnails, (N, 32, 32) uint8."""
    n = len(data.cases)
    features_NF = np.zeros((n, len(FEATURES)))
    thumbnails = np.zeros((n, THUMBNAIL, THUMBNAIL), dtype=np.uint8)
    for row, case in enumerate(data.cases):
        pixels = _eight_bits(data.images[row])
        features_NF[row] = (case.width, case.height, case.mode not in GREY, *_of(pixels))
        box = Image.Resampling.BOX
        thumbnails[row] = np.asarray(Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), box))
        if (row + 1) % CHUNK == 0 or row + 1 == n:
            progress("measuring images", row + 1, n)
    return features_NF, thumbnails


def features_of(pixels: np.ndarray) -> Sequence[float]:
    """Return the features of pixels, grey or in colour, that do not depend on the source: from `mean` on."""
    return _of(_eight_bits(pixels))


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(to_depth(grey_of(pixels), np.dtype(np.uint8)))


def _of(pixels: np.ndarray) -> Sequence[float]:
    counts = np.bincount(pixels.ravel(), minlength=256)
    greys, total = np.arange(256), pixels.size
    mean = float(counts @ greys) / total
    spread = (float(counts @ np.square(greys - mean)) / total) ** 0.5
    # the smallest grey value below or at which the stated share of the pixels lies
    percentiles = np.searchsorted(np.cumsum(counts), [total * percent / 100 for percent in PERCENTS])
    return (mean, spread, *percentiles.tolist(), _border(pixels), _sharpness(pixels))


def _border(pixels: np.ndarray) -> float:
    height, width = pixels.shape
    rows, columns = np.ptp(pixels, axis=1) <= FLAT, np.ptp(pixels, axis=0) <= FLAT
    if rows.all() or columns.all():
        return 1.0
    down = height - _blank(rows) - _blank(rows[::-1])
    across = width - _blank(columns) - _blank(columns[::-1])
    return 1.0 - down * across / (height * width)


def _blank(flat: np.ndarray) -> int:
    """Return how many in a row are flat, from the first on."""
    return int(np.argmin(flat)) if not flat.all() else len(flat)


def _sharpness(pixels: np.ndarray) -> float:
    grey = pixels.astype(np.float32)
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(laplacian.std()) if laplacian.size else 0.0
