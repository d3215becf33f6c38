"""Where workers without the store's disk leave what they have: an object beside the driver, which writes it down.

It writes into the folders of attempts, as a worker on the driver's machine would, and into nothing else.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from doubleread import disk
from doubleread.files import read_bytes, write_into
from doubleread.store.artifacts import BEAT, CHECKPOINT, KEPT, PROGRESS, RECORD, attempt_of, is_whole

LIVE = (PROGRESS, BEAT)
"""What may be lost with the machine."""
PERIOD = 0.5
POSTS_A_SECOND = 400
"""How many posts the board takes without falling behind; with more workers than that allows each posts less often."""
MOST_CHECKPOINT = 2**40
POSTED = frozenset({*LIVE, CHECKPOINT, *KEPT})
"""The files of an attempt that a worker may leave."""
HEARD_POSTS, HEARD_SECONDS = 10, 10.0
"""A worker that lets so many posts go by, and so many seconds more, is not there for now."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker begins with: the checkpoint of each run, None where it has none; `over` if there is nothing to do.

    `period` is the time between two posts, in seconds.
    """

    over: bool
    checkpoints: tuple[bytes | None, ...]
    period: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker is told when it posts: to stop; that the disk is full; how long to the next post, in seconds."""

    stop: bool
    full: bool
    period: float


class Board:
    """Takes what workers post; may be called by several threads at once, of one run by one worker at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._guard = threading.Lock()
        self._clock = clock
        self._stop = self._full = False
        self._locks: dict[Path, int] = {}
        self._places: dict[Path, tuple[str, float]] = {}

    def begin(self, folders: Sequence[Path], place: str) -> Start:
        """Take up the attempts in `folders`, one stack, by a worker at `place`; perhaps again, after one that died."""
        if all(is_whole(folder) for folder in folders):
            return Start(True, (), self._period())
        for folder in folders:
            self._take_up(folder, place)
        return Start(False, tuple(_checkpoint(folder) for folder in folders), self._period())

    def post(self, folder: Path, files: Mapping[str, bytes]) -> Reply:
        """Write files of an attempt, the record last; where the disk is full, say so and keep what is there.

        A worker whose attempt is not taken up, or no longer, is told to stop; what it leaves is not written.

        Raises:
            ValueError: a file is none that a worker leaves.
        """
        if unknown := files.keys() - POSTED:
            raise ValueError(f"no worker leaves {', '.join(sorted(unknown))}")
        full = False
        if not self._hear(folder):
            return Reply(True, self._full, self._period())
        try:
            for name in sorted(files, key=lambda name: name == RECORD):
                _write(folder / name, files[name])
        except OSError as error:
            if error.errno not in disk.FULL:
                raise
            full = self._full = True
        if RECORD in files and not full:
            self._let_go(folder)
        return Reply(self._stop, self._full, self._period())

    def stop(self) -> None:
        """Ask every worker to stop, when it next posts."""
        self._stop = True

    def places(self) -> dict[Path, tuple[str, bool]]:
        """Return where each attempt that has begun and is not over is, or was, and whether it has been heard of lately:
        one that has not may wait to be begun again."""
        patience = HEARD_POSTS * self._period() + HEARD_SECONDS
        with self._guard:
            now = self._clock()
            return {folder: (place, now - heard <= patience) for folder, (place, heard) in self._places.items()}

    def _hear(self, folder: Path) -> bool:
        with self._guard:
            if folder not in self._places:
                return False
            self._places[folder] = self._places[folder][0], self._clock()
            return True

    def _take_up(self, folder: Path, place: str) -> None:
        run, number = attempt_of(folder.name)
        with self._guard:
            known = list(self._places)
        for other in known:
            # of one that ended without a record nobody else says so
            if attempt_of(other.name)[0] == run and attempt_of(other.name)[1] < number:
                self._let_go(other)
        with self._guard:
            self._places[folder] = place, self._clock()
            if folder not in self._locks and (held := _lock(folder)) is not None:
                self._locks[folder] = held

    def _let_go(self, folder: Path) -> None:
        with self._guard:
            self._places.pop(folder, None)
            held = self._locks.pop(folder, None)
        if held is not None:
            os.close(held)

    def _period(self) -> float:
        return max(PERIOD, len(self._places) / POSTS_A_SECOND)


def _checkpoint(folder: Path) -> bytes | None:
    path = folder / CHECKPOINT
    return read_bytes(path, MOST_CHECKPOINT) if path.is_file() else None


def _lock(folder: Path) -> int | None:
    with suppress(OSError):
        return disk.lock(folder)
    return None


def _write(path: Path, content: bytes) -> None:
    if path.name not in LIVE:
        write_into(path, content)
        return
    with path.open("wb") as handle:
        handle.write(content)
