"""Sending runs while a study is trained, from a thread of its own that reads the store; training never waits for it."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from doubleread.store import Store, finished, open_store
from doubleread.study import Study
from doubleread.tracking.environment import brief
from doubleread.tracking.sending import BUSY, Sender, Tracked, alone
from doubleread.tracking.tracked import FinishedRuns
from doubleread.tracking.tracker import Tracker

POLL_SECONDS = 5.0
RETRY_SECONDS = 60.0
"""How long a tracker is left alone that could not take a run."""
SILENT_SECONDS = 2.0
"""How long the last runs may be under way before it is said."""


class Following:
    """The runs of a study on their way to trackers while it is trained; a failure is remarked once and ends nothing."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._senders = [Sender(tracker) for tracker in trackers]
        self._over, self._hurry = threading.Event(), threading.Event()
        self._stand: list[Tracked] = []
        self._seen: object = None
        self._failed_at: float | None = None
        self._remarked: set[str] = set()
        self._trouble = ""

    @contextmanager
    def during(self, root: Path, study: Study, remark: Callable[[str], None]) -> Iterator[None]:
        """Send what finishes in the block, and at its end what is left; after an error in it, nothing more."""
        thread = threading.Thread(target=self._follow, args=(root, study, remark), name="tracking", daemon=True)
        with brief():
            thread.start()
            try:
                yield
            except BaseException:
                self._hurry.set()
                self._over.set()
                raise
            self._finish(thread, remark)

    def lines(self, study: str, root: Path) -> list[str]:
        """Return for each tracker how the study stands there, a line each; where runs are missing, what sends them."""
        where = shlex.quote(str(root))
        then = [f"; doubleread track {study} {one.tracker.option} --store {where} sends them" for one in self._senders]
        if self._trouble:
            targets = [sender.tracker.target for sender in self._senders]
            pairs = zip(targets, then, strict=True)
            return [f"runs were not sent to {target}: {self._trouble}{command}" for target, command in pairs]
        return [
            f"{_runs(one.failed)} not sent to {one.target}: {one.reason}{command}"
            if one.failed
            else f"{_runs(one.sent)} sent to {one.target}, {one.there} there before"
            for one, command in zip(self._stand, then, strict=False)
        ]

    def _finish(self, thread: threading.Thread, remark: Callable[[str], None]) -> None:
        self._over.set()
        try:
            thread.join(SILENT_SECONDS)
            if thread.is_alive():
                remark("sending what is left to the trackers; Ctrl-C leaves it")
                thread.join()
        except KeyboardInterrupt:
            # what is trained is trained: the command goes on to its results
            self._hurry.set()
            thread.join(SILENT_SECONDS)
            self._trouble = "interrupted"

    def _follow(self, root: Path, study: Study, remark: Callable[[str], None]) -> None:
        while not self._over.wait(POLL_SECONDS):
            self._pass(root, study, remark)
        if not self._hurry.is_set():
            self._pass(root, study, remark, last=True)

    def _pass(self, root: Path, study: Study, remark: Callable[[str], None], *, last: bool = False) -> None:
        self._trouble = ""
        try:
            with alone(root) as mine:
                if not mine:
                    self._trouble = BUSY
                    return
                with open_store(root) as store:
                    self._send(store, study, last)
        except Exception as error:
            # no store yet, or one that is busy: said at the end, if it is still so
            self._trouble = str(error) or type(error).__name__
        for one in self._stand:
            if one.failed and one.target not in self._remarked:
                self._remarked.add(one.target)
                remark(f"runs are not sent to {one.target}: {one.reason}; the training goes on, they are tried again")

    def _send(self, store: Store, study: Study, last: bool) -> None:
        now = finished(store, study.name)
        resting = self._failed_at is not None and time.monotonic() - self._failed_at < RETRY_SECONDS
        if not now["runs"] or (not last and (resting or (now == self._seen and self._failed_at is None))):
            return
        runs = FinishedRuns(store, study.name, sealed=study.sealed)
        self._stand = [sender.send(runs, stopped=self._hurry.is_set) for sender in self._senders]
        self._seen = now
        self._failed_at = time.monotonic() if any(one.failed for one in self._stand) else None


def _runs(number: int) -> str:
    return "1 run was" if number == 1 else f"{number} runs were"
