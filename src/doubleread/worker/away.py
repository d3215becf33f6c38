"""A run on a machine that does not see the store: in a folder of its own, from which everything is posted to a board.

The images come as an array that the engine has put into this machine's memory; they are mapped, not copied.
"""

from __future__ import annotations

import errno
import tempfile
import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from doubleread.dataset import SharedSet
from doubleread.files import MOST_BYTES, make_folders, read_bytes, write_into
from doubleread.processes import ask_to_stop, begin_anew
from doubleread.store import BEAT, CHECKPOINT, KEPT, PROGRESS
from doubleread.store.board import Reply, Start
from doubleread.worker.task import Ending, Task, execute


class Post(Protocol):
    """A board, from afar."""

    def begin(self, folders: Sequence[Path], place: str) -> Start:
        """See `Board.begin`."""
        ...

    def post(self, folder: Path, files: dict[str, bytes]) -> Reply:
        """See `Board.post`."""
        ...


def execute_away(board: Post, place: str, data: SharedSet, tasks: Sequence[Task]) -> Ending:
    """Train runs as `execute` does, at `place`, and post what they leave to the folders that the board sees.

    A process may make several such calls, one after the other.
    """
    begin_anew()
    # nobody writes into it
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    folders = [task.folder for task in tasks]
    start = board.begin(folders, place)
    if start.over:
        return "finished"
    with tempfile.TemporaryDirectory(prefix="doubleread-") as scratch:
        here = [replace(task, root=Path(scratch)) for task in tasks]
        for task, checkpoint in zip(here, start.checkpoints, strict=True):
            make_folders(task.folder)
            if checkpoint is not None:
                write_into(task.folder / CHECKPOINT, checkpoint)
        ways = [(task.folder, folder) for task, folder in zip(here, folders, strict=True)]
        with Carrier(board, ways, start.period) as carrier:
            ending = execute(here, lambda task: data.run_data(task.seed))
        if ending == "full" and not carrier.full:
            raise OSError(errno.ENOSPC, "the disk of the machine that trained it is full", tempfile.gettempdir())
        return "full" if carrier.full else ending


class Carrier:
    """Posts what changes in the folders of runs while they are trained, and what is there at the end.

    `ways` are pairs: a folder here, and the one that the board knows. As a context manager it has posted everything
    when it is left; what the board answers reaches this process as a wish to stop.
    """

    def __init__(self, board: Post, ways: Sequence[tuple[Path, Path]], period: float) -> None:
        self._board, self._ways, self._period = board, ways, period
        self._seen: dict[Path, tuple[int, int]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, name="carrier", daemon=True)
        self._failed: Exception | None = None
        self.full = False

    def __enter__(self) -> Self:
        self._note_checkpoints()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if error is not None:
            return
        if self._failed is not None:
            raise self._failed
        for here, there in self._ways:
            self._send(there, self._changed(here, (PROGRESS, CHECKPOINT, *KEPT)))

    def _go(self) -> None:
        while not self._over.wait(self._period):
            try:
                for here, there in self._ways:
                    self._send(there, self._changed(here, (PROGRESS, BEAT, CHECKPOINT)))
            except Exception as error:
                # the board is gone, and with it the driver: nobody will take the result
                self._failed = error
                ask_to_stop()
                return

    def _send(self, there: Path, files: dict[str, bytes]) -> None:
        reply = self._board.post(there, files)
        self._period = reply.period
        self.full = self.full or reply.full
        if reply.stop or reply.full:
            ask_to_stop()

    def _note_checkpoints(self) -> None:
        """Take the checkpoints that runs begin with as sent."""
        for here, _ in self._ways:
            self._changed(here, (CHECKPOINT,))

    def _changed(self, folder: Path, names: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for name in names:
            path = folder / name
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            # a checkpoint takes the place of the one before as another file
            mark = (state.st_ino, state.st_mtime_ns)
            if self._seen.get(path) != mark:
                found[name] = read_bytes(path, MOST_BYTES)
                self._seen[path] = mark
        return found
