"""Reading every image of a source: all cores, progress, and a reason for each one that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from doubleread.errors import UnreadableImage
from doubleread.images import resize_grey
from doubleread.nouns import Source

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""

T = TypeVar("T")


def no_progress(what: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Look:
    """What reading one image showed: its size, its mean grey value, and, if wanted, its pixels made small."""

    height: int
    width: int
    mean: float
    pixels: np.ndarray | None


def digest_all(source: Source, progress: Progress = no_progress) -> list[str | UnreadableImage]:
    """Return the digest of every item, or why it has none."""
    return list(_in_threads(source.digest, range(len(source.items)), "hashing images", progress))


def look_at(
    source: Source,
    indices: Sequence[int],
    wanted: frozenset[int],
    size: int,
    store: Callable[[int, np.ndarray], None],
    progress: Progress = no_progress,
) -> dict[int, Look | UnreadableImage]:
    """Read the items at `indices`; hand those in `wanted`, resized to (size, size), to `store(index, pixels)`.

    Returns what each showed, or why it could not be read, by index.
    """

    def look(index: int) -> Look:
        pixels = source.read(index)
        small = resize_grey(pixels, size) if index in wanted else None
        return Look(height=pixels.shape[0], width=pixels.shape[1], mean=float(pixels.mean()), pixels=small)

    found: dict[int, Look | UnreadableImage] = {}
    for index, result in zip(indices, _in_threads(look, indices, "reading images", progress), strict=True):
        if isinstance(result, Look) and result.pixels is not None:
            store(index, result.pixels)
            result = Look(height=result.height, width=result.width, mean=result.mean, pixels=None)
        found[index] = result
    return found


def _in_threads(
    work: Callable[[int], T], indices: Sequence[int], what: str, progress: Progress
) -> Iterator[T | UnreadableImage]:
    """Yield the results in order; decoding, resizing and hashing let other threads run."""

    def guarded(index: int) -> T | UnreadableImage:
        try:
            return work(index)
        except UnreadableImage as reason:
            return reason

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        # in blocks: a map over everything would hold every decoded image until its turn came
        block = 64 * workers
        for start in range(0, len(indices), block):
            chunk = indices[start : start + block]
            yield from pool.map(guarded, chunk)
            progress(what, start + len(chunk), len(indices))
