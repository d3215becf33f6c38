"""Reading every image of a source: all cores, progress, and a reason for each one that cannot be used."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from doubleread.errors import UnreadableImage, WorkFailed
from doubleread.images import resize, to_depth
from doubleread.nouns import DEEP_STEPS, Source
from doubleread.processes import keep_large_blocks, main_module_hidden, usable_cores

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""

SLOW_KINDS = frozenset({"folder", "dicom", "table", "phantom"})
"""Kinds of source that work for each image; the others copy it from an array that lies there, which threads can do."""
WORTH_PROCESSES = 500
"""From this many images on, processes repay their start; threads gain little, because each image is many short calls
that take turns in Python."""
CHUNK = 32

T = TypeVar("T")


def no_progress(what: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Look:
    """What reading one image showed: its size, its mean grey value of 0 to 255, and its mode in the source."""

    height: int
    width: int
    mean: float
    mode: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What visiting one image gave: the digest of its content and a look at it, or why there is none."""

    digest: str | UnreadableImage
    look: Look | UnreadableImage


@dataclass(frozen=True, slots=True)
class Target:
    """Where resized images go: an array file (N, size, size[, 3]), uint8 or uint16, that is there, and the row of each
    item.
    """

    path: Path
    rows: Mapping[int, int]


def digest_all(source: Source, progress: Progress = no_progress) -> list[str | UnreadableImage]:
    """Return the digest of every item, or why it has none."""
    return list(_in_threads(partial(_guarded, source.digest), range(len(source.items)), "hashing images", progress))


def look_at(
    source: Source, indices: Sequence[int], target: Target | None = None, progress: Progress = no_progress
) -> dict[int, Seen]:
    """Read the items at `indices`; those that have a row in `target` are resized and written there.

    Returns what each showed, by index.

    Raises:
        WorkFailed: a process that reads was ended.
    """
    if source.kind in SLOW_KINDS and len(indices) >= WORTH_PROCESSES:
        seen = _in_processes(source, target, indices, progress)
    else:
        seen = _in_threads(_Reader(source, target).visit, indices, "reading images", progress)
    return dict(zip(indices, seen, strict=True))


class _Reader:
    """Looks at items of a source and writes those that are wanted."""

    def __init__(self, source: Source, target: Target | None) -> None:
        self._source, self._rows = source, target.rows if target is not None else {}
        self._array = np.load(target.path, mmap_mode="r+") if target is not None else np.empty((0, 1, 1), np.uint8)

    def visit(self, index: int) -> Seen:
        """Read an item, and write it where it has a row."""
        return Seen(_guarded(self._source.digest, index), _guarded(self._look, index))

    def _look(self, index: int) -> Look:
        pixels = self._source.read(index, colour=self._array.ndim == 4)
        if index in self._rows:
            self._array[self._rows[index]] = to_depth(resize(pixels, self._array.shape[1]), self._array.dtype)
        # by columns first: a sum over all of them at once would go through float64
        total = int(pixels.sum(axis=0, dtype=np.uint32 if pixels.dtype == np.uint8 else np.uint64).sum(dtype=np.uint64))
        mean, mode = total / pixels.size / (DEEP_STEPS if pixels.dtype == np.uint16 else 1), self._source.mode(index)
        return Look(height=pixels.shape[0], width=pixels.shape[1], mean=mean, mode=mode)


_mine: _Reader | None = None
"""The reader of a process that does nothing but read."""


def _begin(source: Source, target: Target | None) -> None:
    global _mine
    # Ctrl-C reaches the whole group; the one who asked for the images decides what becomes of it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_large_blocks()
    _mine = _Reader(source, target)


def _visit(index: int) -> Seen:
    assert _mine is not None, "the process has begun"
    return _mine.visit(index)


def _in_processes(source: Source, target: Target | None, indices: Sequence[int], progress: Progress) -> Iterator[Seen]:
    # for the whole reading: the pool starts its processes when it needs them
    with main_module_hidden():
        pool = ProcessPoolExecutor(usable_cores(), get_context("spawn"), initializer=_begin, initargs=(source, target))
        try:
            yield from _in_order(pool, _visit, indices, "reading images", progress)
        except BrokenProcessPool as error:
            raise WorkFailed("a process that reads images was ended, perhaps out of memory") from error
        finally:
            # after an error, what is still waiting is not read
            pool.shutdown(wait=True, cancel_futures=True)


def _in_threads(work: Callable[[int], T], indices: Sequence[int], what: str, progress: Progress) -> Iterator[T]:
    with ThreadPoolExecutor(usable_cores()) as pool:
        yield from _in_order(pool, work, indices, what, progress)


def _in_order(
    pool: Executor, work: Callable[[int], T], indices: Sequence[int], what: str, progress: Progress
) -> Iterator[T]:
    """Yield the results in the order of `indices`; tell `progress` after each chunk."""
    chunks = [indices[start : start + CHUNK] for start in range(0, len(indices), CHUNK)]
    done = 0
    for found in pool.map(partial(_chunk, work), chunks):
        yield from found
        done += len(found)
        progress(what, done, len(indices))


def _chunk(work: Callable[[int], T], indices: Sequence[int]) -> list[T]:
    return [work(index) for index in indices]


def _guarded(work: Callable[[int], T], index: int) -> T | UnreadableImage:
    try:
        return work(index)
    except UnreadableImage as reason:
        return reason
