"""What the audit measures of a prepared set, kept beside it: it depends on the set alone."""

# N cases, F features, K pairs

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from doubleread.dataset.audit.labels import out_of_fold
from doubleread.dataset.audit.near import near_duplicates
from doubleread.dataset.audit.pixels import FEATURES, measure_pixels
from doubleread.dataset.prepared import AUDIT, PreparedSet
from doubleread.dataset.reading import Progress, no_progress
from doubleread.errors import UserError
from doubleread.files import write_bytes
from doubleread.images import read_npz

REVISION = 1
"""Raised when the same set would be measured otherwise than before."""
MOST_PAIRS = 10_000
_ARRAYS = ("revision", "features", "near", "chance")


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Features (N, F) in the order of `FEATURES`; near duplicates (K, 5), see `near_duplicates`; and a quick model's
    out-of-fold chance of the positive class (N,), NaN where none could be formed.
    """

    features_NF: np.ndarray
    near_K5: np.ndarray
    chance_N: np.ndarray


def measured_of(data: PreparedSet, progress: Progress = no_progress, *, keep: bool = False) -> Measured:
    """Return what the audit measures of a set: what was kept in its folder, else measured now, and kept if so asked."""
    found = _kept(data)
    if found is None:
        found = _measure(data, progress)
        if keep:
            content = io.BytesIO()
            arrays = (np.array(REVISION), found.features_NF, found.near_K5, found.chance_N)
            np.savez(content, **dict(zip(_ARRAYS, arrays, strict=True)))
            write_bytes(data.folder / AUDIT, content.getvalue())
    return found


def _measure(data: PreparedSet, progress: Progress) -> Measured:
    features_NF, thumbnails = measure_pixels(data, progress)
    n = len(data.cases)
    progress("comparing images", 0, n)
    near_K5 = _near(data, thumbnails)
    progress("asking a quick model", 0, n)
    return Measured(
        features_NF=features_NF, near_K5=near_K5, chance_N=out_of_fold(thumbnails, data.labels, data.groups)
    )


def _near(data: PreparedSet, thumbnails: np.ndarray) -> np.ndarray:
    """Return the near duplicates among images that differ, one for each content, the likeliest first."""
    _, rows = np.unique([case.digest for case in data.cases], return_index=True)
    rows = np.sort(rows)
    pairs_K5 = near_duplicates(thumbnails[rows])[:MOST_PAIRS]
    pairs_K5[:, :2] = rows[pairs_K5[:, :2].astype(np.int64)]
    return pairs_K5


def _kept(data: PreparedSet) -> Measured | None:
    """Return what is kept of an earlier time; None where there is nothing, or nothing of use."""
    path = data.folder / AUDIT
    if not path.is_file():
        return None
    try:
        revision, features, near, chance = read_npz(path, _ARRAYS).values()
    except (UserError, OSError, ValueError):
        return None
    shapes = features.shape == (len(data.cases), len(FEATURES)) and chance.shape == (len(data.cases),)
    shapes = shapes and near.ndim == 2 and near.shape[1:] == (5,) and bool((near[:, :2] < len(data.cases)).all())
    if revision != REVISION or not shapes:
        return None
    return Measured(features_NF=features, near_K5=near, chance_N=chance)
