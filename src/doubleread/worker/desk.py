"""What a worker keeps on the disk while it trains a run: its lock, signs of life, epochs, checkpoints."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from doubleread import disk
from doubleread.processes import asked_to_stop
from doubleread.store import BEAT, PROGRESS, Damaged, has_checkpoint
from doubleread.training import Checkpoint, Epoch
from doubleread.worker import checkpoints
from doubleread.worker.environment import differences


class Stopped(Exception):
    """The run was asked to stop, and has left a checkpoint."""


class Desk:
    """The attempt folder of one run, which is there; used as a context manager.

    `facts` go into every checkpoint. `start` is the checkpoint that the folder came with, if it can be used; `epochs`
    are those behind the run, and `resumed` says for its record where it went on, each time that it did.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self._folder, self._facts = folder, facts
        self.start: Checkpoint | None = None
        self.resumed: list[dict[str, int]] = []
        self.unusable: str | None = None
        if has_checkpoint(folder):
            self._load()
        self.epochs: list[Epoch] = list(self.start.epochs) if self.start else []
        self._files = ExitStack()
        self._beats = 0

    def __enter__(self) -> Self:
        try:
            held = disk.lock(self._folder)
        except OSError as error:
            if error.errno not in disk.NO_LOCKS:
                raise
            held = None
        if held is not None:
            self._files.callback(os.close, held)
        self._progress = self._files.enter_context((self._folder / PROGRESS).open("w"))
        self._beat = self._files.enter_context((self._folder / BEAT).open("w"))
        self._note(self.epochs)
        return self

    def __exit__(self, *_error: object) -> None:
        self._files.close()

    def forget_start(self, why: str) -> None:
        """Begin anew: the checkpoint does not fit."""
        self.start, self.resumed, self.epochs, self.unusable = None, [], [], why
        self._progress.seek(0)
        self._progress.truncate()

    def on_epoch(self, epoch: Epoch) -> None:
        """Note an epoch; it may still be lost with the machine, and is then trained again."""
        self.epochs.append(epoch)
        self._note([epoch])

    def beat(self) -> None:
        """Give a sign of life."""
        self._beats += 1
        self._beat.seek(0)
        self._beat.write(f"{self._beats}\n")
        self._beat.flush()

    def save(self, take: Callable[[], Checkpoint]) -> None:
        """Keep a checkpoint in the place of the one before."""
        checkpoints.save(self._folder, take(), self._facts | {"resumed": self.resumed})

    def _load(self) -> None:
        try:
            start, header = checkpoints.load(self._folder)
            changed = differences(header["environment"], self._facts["environment"])
        except (Damaged, KeyError, TypeError) as error:
            self.unusable = str(error)
            return
        if changed:
            # a run is computed by one version of everything, on one kind of processor
            self.unusable = f"it had {'; '.join(changed)}"
            return
        self.start = start
        here = {"epoch": len(self.start.epochs), "step": len(self.start.part.losses)}
        self.resumed = [*header.get("resumed", []), here]

    def _note(self, epochs: list[Epoch]) -> None:
        self._progress.write("".join(json.dumps(asdict(epoch)) + "\n" for epoch in epochs))
        self._progress.flush()


class Pauses:
    """What a worker does between two stretches of training: a sign of life, now and then a checkpoint, stop if asked.

    `every` is the time between two checkpoints of a run, in seconds; a run that is over before then leaves none.
    A process that is asked to stop leaves a checkpoint first.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._last = time.monotonic()
        self._parent = os.getppid()

    def between(self, takes: list[tuple[Desk, Callable[[], Checkpoint]]]) -> None:
        """Do what is due, with the runs that are going and what makes their checkpoints.

        Raises:
            Stopped: it was asked to.
            OSError: a checkpoint cannot be written.
        """
        if os.getppid() != self._parent:
            # the server that forked this process is gone, so the driver is: nobody will take the result
            os._exit(1)
        for desk, _ in takes:
            desk.beat()
        asked = asked_to_stop()
        if asked or time.monotonic() - self._last >= self._every:
            for desk, take in takes:
                desk.save(take)
            # counted from the end: a slow disk must not fill a run with checkpoints
            self._last = time.monotonic()
        if asked:
            raise Stopped
