"""Sending what a tracker does not have yet, and how a study then stands there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubleread import disk
from doubleread.errors import UserError, WorkFailed
from doubleread.tracking.tracked import FinishedRuns
from doubleread.tracking.tracker import NotSent, Tracker, Unreachable

BUSY = "another doubleread is sending the runs of this store"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracked:
    """How the finished runs of a study stand at a target: sent now, there before, not sent; why the first was not."""

    target: str
    sent: int
    there: int
    failed: int
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {"target": self.target, "sent": self.sent, "there": self.there, "failed": self.failed}


class Sender:
    """Sends the runs of one study to one tracker, and remembers from call to call what is there."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._whole: dict[str, str] = {}
        self._sent: set[str] = set()
        self._asked = False

    def send(
        self,
        runs: FinishedRuns,
        progress: Callable[[int, int], object] = lambda _done, _total: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Tracked:
        """Send what is missing; return how all stand. `progress(done, total)` is called after each run.

        What cannot be sent is counted; where the tracker is out of reach, the rest is not tried.
        """
        reason = ""
        try:
            if not self._asked:
                self._whole, self._asked = dict(self.tracker.known(runs.study)), True
            missing = [run_id for run_id, stamp in runs.stamps.items() if self._whole.get(run_id) != stamp]
            for number, run_id in enumerate(missing, 1):
                if stopped():
                    reason = reason or "interrupted"
                    break
                failure = self._send(runs, run_id)
                reason = reason or failure
                progress(number, len(missing))
        except NotSent as error:
            # whether the last one arrived is known when it answers again
            self._asked, reason = False, reason or str(error)
        return self.standing(runs, reason)

    def standing(self, runs: FinishedRuns, reason: str) -> Tracked:
        """Return how runs stand at the tracker, as far as it is known."""
        whole = {run_id for run_id, stamp in runs.stamps.items() if self._whole.get(run_id) == stamp}
        sent = len(whole & self._sent)
        return Tracked(
            target=self.tracker.target,
            sent=sent,
            there=len(whole) - sent,
            failed=len(runs.stamps) - len(whole),
            reason=reason,
        )

    def _send(self, runs: FinishedRuns, run_id: str) -> str:
        """Send one run; return why it could not be sent, if so."""
        try:
            self.tracker.send(runs.read(run_id))
        except Unreachable:
            raise
        except (NotSent, UserError, WorkFailed) as error:
            return str(error)
        self._whole[run_id] = runs.stamps[run_id]
        self._sent.add(run_id)
        return ""


@contextmanager
def alone(root: Path) -> Iterator[bool]:
    """Tell in the block whether this process alone sends the runs of the store in `root`: two would send them twice."""
    try:
        held = disk.lock(root / "artifacts")
    except OSError:
        # no store, or a file system without locks
        yield True
        return
    try:
        yield held is not None
    finally:
        if held is not None:
            os.close(held)
