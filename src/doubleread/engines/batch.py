"""What one job of a queue does: some calls, one after the other or several at once, each in a process of its own.

It knows nothing of the driver that submitted it, which may be gone: what came of each call stands in a file.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from submitit.core.utils import DelayedSubmission

from doubleread.engines.engine import CallRaised, WorkerDied
from doubleread.engines.local import LocalExecutor
from doubleread.engines.manifest import begun_path, outcome_path
from doubleread.engines.squeue import Unanswered, requeue, state_of
from doubleread.files import write_json

LOOK_SECONDS = 0.1
REQUEUE_SECONDS = 120.0
"""How long a job waits to be ended that is to begin again."""
SIGNALS = {signal.SIGTERM, signal.SIGUSR2}
NO_END = "stopped"
"""What a call answers that was asked to stop; where the job is, that is no end of the call."""

Call = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """How jobs are made: `sbatch` are parameters of submitit; the rest is ours.

    A job makes `workers` calls at once, with the modules `preload` loaded; with `hold`, none begins before the one
    before it has let go of its device. Calls that are estimated to take less than `batch_seconds` together share a job,
    as long as that leaves as many jobs as may run `at_once`, where that is given.
    `gather` is how long the first of several calls waits for others, `look` the time between two looks at the queue,
    `grace` how long after the end of a job its files may still be on their way, and `patience` how long until what the
    queue did not take is submitted again, in seconds.
    """

    sbatch: Mapping[str, Any]
    workers: int = 1
    preload: tuple[str, ...] = ()
    hold: bool = False
    at_once: int | None = None
    batch_seconds: float = 600.0
    gather: float = 1.0
    look: float = 5.0
    grace: float = 15.0
    patience: float = 60.0


class Batch:
    """Calls that a job makes; `folder` is that of its submission, `number` its own in it, `how` says how many at once.

    Each call's value must be something that JSON has. A job that begins again makes the calls that have no outcome yet.
    Before its time is over submitit asks for a `checkpoint`; on SIGTERM, which is how a queue takes a job's place away
    or ends it, calls that run are asked to stop too. A job whose place is taken away asks to be put into the queue
    again: one that simply ended would have come to its end.
    """

    def __init__(self, folder: Path, number: int, calls: Sequence[Call], how: Jobs) -> None:
        self._folder, self._number, self._calls, self._how = folder, number, list(calls), how
        self._work: _Work | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is written down of it: not the work under way."""
        return self.__dict__ | {"_work": None}

    def __call__(self) -> None:
        """Make every call that has no outcome yet."""
        with LocalExecutor(self._how.workers, self._how.preload, hold=self._how.hold) as executor:
            work = self._work = _Work(executor, self._folder, self._number)
            signal.signal(signal.SIGTERM, lambda *_: work.wish_to_stop())
            # a signal in the midst of a submission would find the executor's locks taken
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            for place, call in enumerate(self._calls):
                work.make(place, call)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            while work.left and not work.stopping:
                time.sleep(LOOK_SECONDS)
            if work.stopping:
                work.stop()
        if work.stopping and work.left:
            _queue_again()

    def checkpoint(self) -> DelayedSubmission:
        """Ask what runs to stop, and return what submitit is to submit again; called in the midst of a signal."""
        if self._work is not None:
            self._work.wish_to_stop()
            self._work.stop()
        return DelayedSubmission(self)


def _queue_again() -> None:
    """Put this job into the queue again if its place is being taken away, and not the job itself cancelled."""
    job = os.environ.get("SLURM_JOB_ID", "")
    with suppress(Unanswered):
        if state_of(job) == "RUNNING":
            requeue(job)
            # what ends here would count as having come to its end
            time.sleep(REQUEUE_SECONDS)


class _Work:
    """The calls of a batch under way."""

    def __init__(self, executor: LocalExecutor, folder: Path, number: int) -> None:
        self._executor, self._folder, self._number = executor, folder, number
        self.left = 0
        self.stopping = False
        self._guard = threading.Lock()

    def make(self, place: int, call: Call) -> None:
        outcome = outcome_path(self._folder, self._number, place)
        if outcome.is_file():
            return
        self.left += 1
        begun = begun_path(self._folder, self._number, place)
        future = self._executor.submit(_begin, begun, *call)
        future.add_done_callback(partial(self._note, outcome))

    def wish_to_stop(self) -> None:
        self.stopping = True

    def stop(self) -> None:
        """Ask what runs to stop and wait for it, for as long as the executor gives it."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _note(self, path: Path, future: Future[Any]) -> None:
        outcome = self._outcome(future)
        try:
            if outcome is not None:
                write_json(path, outcome)
        except OSError as error:
            # as if its process had died: the driver sees that the job is over, and nothing of this call
            print(f"{path}: {error}", file=sys.stderr, flush=True)
        finally:
            if outcome is not None or not self.stopping:
                with self._guard:
                    self.left -= 1

    def _outcome(self, future: Future[Any]) -> dict[str, Any] | None:
        if future.cancelled():
            return None
        error = future.exception()
        if isinstance(error, CallRaised):
            return {"raised": str(error)}
        if isinstance(error, WorkerDied):
            return None if self.stopping else {"died": str(error)}
        if error is not None:
            return {"died": f"{type(error).__name__}: {error}"}
        value = future.result()
        return None if self.stopping and value == NO_END else {"value": value}


def _begin(begun: Path, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Leave a sign that a call has begun, then make it."""
    begun.touch()
    return fn(*args)
