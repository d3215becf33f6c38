"""Drawing a sample and splitting it: pure functions of arrays and a seed."""

# N cases

from __future__ import annotations

import numpy as np

from doubleread.errors import UserError
from doubleread.recipe.data import DrawnSplit, Sample
from doubleread.seeds import stream


def draw_sample(
    labels_N: np.ndarray, rows: np.ndarray, wanted: int, sample: Sample, part: str, class_names: tuple[str, ...]
) -> np.ndarray:
    """Return `wanted` of `rows`, of each class or of all, in ascending order.

    Raises:
        UserError: there are fewer than that.
    """
    rng = stream("sample", sample.seed, part)
    place = f"data.sample.{part}"
    if sample.per == "all":
        _check_enough(len(rows), wanted, place, "images")
        return np.sort(rng.permutation(rows)[:wanted])
    chosen = []
    for label, name in enumerate(class_names):
        mine = rows[labels_N[rows] == label]
        _check_enough(len(mine), wanted, place, f"images of {name}")
        chosen.append(rng.permutation(mine)[:wanted])
    return np.sort(np.concatenate(chosen))


def _check_enough(found: int, wanted: int, place: str, what: str) -> None:
    if found < wanted:
        raise UserError(
            place, f"asks for {wanted:,} {what}, the source has {found:,}", "", f"for example --set {place}={found}"
        )


def draw_part(
    labels_N: np.ndarray, subjects_N: np.ndarray, rows: np.ndarray, fraction: float, by: str, rng: np.random.Generator
) -> np.ndarray:
    """Return the rows that go to the other part: `fraction` of each class, as nearly as whole subjects allow.

    With `by` = `case` every image stands alone; else all images of a subject go together, or of a group, where
    `subjects_N` are groups. They are taken in a random order, each moved over if that brings the counts nearer to what
    is wanted.
    """
    groups = np.arange(len(rows)) if by == "case" else subjects_N[rows]
    _, group_of_row = np.unique(groups, return_inverse=True)
    counts = np.zeros((group_of_row.max() + 1, labels_N.max() + 1), dtype=np.int64)
    np.add.at(counts, (group_of_row, labels_N[rows]), 1)
    # half up, not to even: 0.2 of 12 and of 13 images must not both be 2 and 2 by accident of parity
    target = np.floor(counts.sum(axis=0) * fraction + 0.5)
    taken = np.zeros_like(target)
    chosen = np.zeros(len(counts), dtype=bool)
    for group in rng.permutation(len(counts)):
        if np.abs(taken + counts[group] - target).sum() < np.abs(taken - target).sum():
            taken += counts[group]
            chosen[group] = True
    return np.sort(rows[chosen[group_of_row]])


def split_development(
    labels_N: np.ndarray, subjects_N: np.ndarray, rows: np.ndarray, split: DrawnSplit, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (train rows, val rows) of the development cases; `seed` is the run's where the split is drawn per seed."""
    keys = () if seed is None else ("seed", seed)
    val = draw_part(labels_N, subjects_N, rows, split.val, split.by, stream("split-val", split.seed, *keys))
    return np.setdiff1d(rows, val), val


def split_test(
    labels_N: np.ndarray, subjects_N: np.ndarray, rows: np.ndarray, split: DrawnSplit
) -> tuple[np.ndarray, np.ndarray]:
    """Return (development rows, test rows), where the source has no test part of its own."""
    test = draw_part(
        labels_N, subjects_N, rows, split.test, split.test_by or split.by, stream("split-test", split.seed)
    )
    return np.setdiff1d(rows, test), test
