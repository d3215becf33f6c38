"""Whether an image looks like those that a model was trained on, by grey values, borders and sharpness."""

# N images, K features

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from doubleread.dataset import PreparedSet
from doubleread.dataset.audit.measured import measured_of
from doubleread.dataset.audit.pixels import FEATURES, features_of
from doubleread.late import late
from doubleread.model_file.document import Feature, Likeness

sklearn_covariance = late("sklearn.covariance")

USED: tuple[Feature, ...] = get_args(Feature)
WITHIN = 0.99
"""The part of the validation images that lies within the limit."""
LEAST_K = np.array([0.01 if name == "border" else 1.0 for name in USED])
"""The least spread that each feature is held to have: a grey value, a hundredth of the area. A feature that is the same
in all training images would else make every other image infinitely far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlike:
    """How far an image is from the training images, in standard deviations (Mahalanobis 1936), and on what basis.

    `flagged` where it is farther than all but a hundredth of the images that the model was chosen with; `basis` says
    which feature is farthest, and where training images have it.
    """

    distance: float
    flagged: bool
    basis: str


def likeness_of(data: PreparedSet) -> Likeness | None:
    """Return what the training images of a prepared set look like; None where they are too few to tell.

    Location and covariance are those of training, shrunk (Ledoit & Wolf 2004); the limit is the 99th percentile of the
    validation images' distances, which took no part in them. Where each seed has a split of its own, both are those of
    the split that was drawn once.
    """
    train, val = data.rows("train"), data.rows("val")
    columns = [FEATURES.index(name) for name in USED]
    features_NK = measured_of(data).features_NF[:, columns]
    if len(train) <= len(USED) or not len(val):
        return None
    mean_K = features_NK[train].mean(axis=0)
    scale_K = np.maximum(features_NK[train].std(axis=0), LEAST_K)
    shrunk = sklearn_covariance.LedoitWolf(assume_centered=True).fit((features_NK[train] - mean_K) / scale_K)
    precision_KK = shrunk.precision_ / np.outer(scale_K, scale_K)
    low_K, high_K = np.percentile(features_NK[train], [1, 99], axis=0)
    made = Likeness(
        features=list(USED),
        mean=mean_K.tolist(),
        precision=precision_KK.tolist(),
        low=low_K.tolist(),
        high=high_K.tolist(),
        limit=0.0,
    )
    limit = float(np.quantile([_distance(made, row) for row in features_NK[val]], WITHIN))
    return made.model_copy(update={"limit": limit})


def unlike(likeness: Likeness, pixels: np.ndarray) -> Unlike:
    """Return how far prepared pixels, (size, size) or (size, size, 3), are from the training images."""
    features_K = np.array(features_of(pixels))[[FEATURES.index(name) - len(FEATURES) for name in likeness.features]]
    distance = _distance(likeness, features_K)
    low, high = np.array(likeness.low), np.array(likeness.high)
    spread = np.maximum(high - low, LEAST_K[[USED.index(name) for name in likeness.features]])
    outside = np.maximum(low - features_K, features_K - high) / spread
    place = int(outside.argmax())
    basis = f"{likeness.features[place]} {features_K[place]:.3g}, training images {low[place]:.3g} to {high[place]:.3g}"
    flagged = distance > likeness.limit
    if outside[place] <= 0:
        basis = "each feature within those of training images" + (", their combination not" if flagged else "")
    return Unlike(distance=distance, flagged=flagged, basis=basis)


def _distance(likeness: Likeness, features_K: np.ndarray) -> float:
    away = features_K - np.array(likeness.mean)
    return float(max(away @ np.array(likeness.precision) @ away, 0.0) ** 0.5)
