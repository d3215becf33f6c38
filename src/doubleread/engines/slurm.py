"""Runs in the queue of Slurm: arrays of jobs, short calls together in one job; submitit submits them.

The driver may go away: jobs go on, and the next driver finds them by what this one has written down.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from doubleread.engines.batch import Jobs
from doubleread.engines.engine import CallRaised, Engine, WorkerDied
from doubleread.engines.in_hand import (
    InHand,
    answer_of,
    batches_of,
    entries_of,
    has_begun,
    job_of,
    last_words,
    listed,
    read,
    settle,
)
from doubleread.engines.manifest import Manifest, manifests, new_manifest
from doubleread.engines.sbatch import Refused, arrays_of, submit_array
from doubleread.engines.squeue import Queued, Unanswered, ask, cancel, cancel_named, jobs_of
from doubleread.files import make_folders

MOST_IN_HAND = 10_000
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class _Knowledge:
    """Calls that wait, those that are being submitted, and those that have been; `last` is when the newest came."""

    waiting: list[InHand] = field(default_factory=list)
    leaving: list[InHand] = field(default_factory=list)
    submitted: dict[Future[Any], InHand] = field(default_factory=dict)
    last: float = 0.0


class SlurmExecutor(Engine):
    """An executor whose calls are made by jobs of Slurm; files in the folder `jobs`, which every node must see.

    `name_of` names a call by its arguments, for a later driver; `seconds_of` estimates how long it takes. What a call
    returns must be something that JSON has. `remark` is told what a user should know.

    Raises:
        Unanswered: there is no Slurm here, or it does not answer.
    """

    def __init__(
        self,
        jobs: Path,
        how: Jobs,
        *,
        name_of: Callable[..., str],
        seconds_of: Callable[..., float] = lambda *_: 0.0,
        remark: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._jobs, self._how = jobs.resolve(), how
        self._name_of, self._seconds_of, self._remark = name_of, seconds_of, remark
        make_folders(self._jobs)
        self._guard = threading.Condition()
        self._hand = _Knowledge()
        self._closed = self._stopped = self._silent = False
        self._earlier = self._look_back()
        self._failed: set[Path] = set()
        self._cancelled: set[str] = set()
        self._unclear: list[Manifest] = []
        self._watch = threading.Thread(target=self._go, name="slurm", daemon=True)
        self._watch.start()

    @property
    def capacity(self) -> int:
        """See `Engine`: what waits is in Slurm's hands, which is what it is for."""
        return MOST_IN_HAND

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let a job make `fn(*args)`; it is submitted with those that come in the next moment."""
        assert not kwargs, "a call is made by its arguments"
        future: Future[T] = Future()
        entry = InHand(future, self._name_of(*args), (fn, args), self._seconds_of(*args))
        with self._guard:
            # where Slurm wants fewer for a while, those that come now wait too
            self._hand.last = max(self._hand.last, time.monotonic())
            self._hand.waiting.append(entry)
        return future

    def end(self, future: Future[Any]) -> None:
        """See `Engine`. The job is cancelled; other calls of it are made by another job."""
        with self._guard:
            entry = self._hand.submitted.get(future)
        if entry is not None and (job := job_of(entry)) is not None:
            with suppress(Unanswered):
                cancel([job])

    def is_at_work(self, future: Future[Any]) -> bool:
        """See `Engine`: while its job runs."""
        with self._guard:
            entry = self._hand.submitted.get(future)
            return entry is not None and entry.runs

    def in_hand(self, names: Collection[str]) -> Mapping[Future[Any], str]:
        """See `Engine`. Calls under other names are left to Slurm, and to whoever asks for them."""
        found = {entry.future: entry for entry in self._earlier if entry.name in names}
        with self._guard:
            self._hand.submitted |= found
        return {future: entry.name for future, entry in found.items()}

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor`; with `cancel_futures`, jobs are cancelled: those that run may leave what
        they have, for as long as Slurm lets them (its `KillWait`)."""
        with self._guard:
            if cancel_futures:
                self._stopped = True
                for entry in self._hand.waiting:
                    entry.future.cancel()
                self._hand.waiting.clear()
            mine = {job for entry in self._hand.submitted.values() if (job := job_of(entry))}
        if cancel_futures:
            self._cancel(mine)
        with self._guard:
            if wait:
                while self._hand.waiting or self._hand.leaving or self._hand.submitted:
                    self._guard.wait(timeout=1.0)
            self._closed = True
        if wait:
            self._watch.join()
            self._tidy()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        # on an error jobs go on: the next driver finds them
        self.shutdown(wait=error is None)

    def _look_back(self) -> list[InHand]:
        """Return the calls that an earlier driver left in the queue, and remove what is over."""
        known = manifests(self._jobs)
        # a driver that died before it knew the number has left the name
        found = _asked([manifest.token for manifest in known])
        left: list[InHand] = []
        for manifest in known:
            mine = jobs_of(manifest, found)
            if all(job.is_over for job in mine.values()):
                manifest.remove()
                continue
            if manifest.job is None:
                manifest = manifest.submitted(next(iter(mine.values())).job.partition("_")[0])
            left += entries_of(manifest, {n for n, job in mine.items() if not job.is_over})
        return left

    def _go(self) -> None:
        """Submit what waits and see what has ended, until nothing is left to do."""
        looked = -float("inf")
        while True:
            with self._guard:
                if self._closed:
                    return
                now = time.monotonic()
                due = bool(self._hand.waiting) and now - self._hand.last >= self._how.gather
                if due:
                    self._hand.leaving, self._hand.waiting = self._hand.waiting, []
            try:
                if due:
                    self._submit(self._hand.leaving)
                    with self._guard:
                        self._hand.leaving = []
                        self._guard.notify_all()
                if now - looked >= self._how.look:
                    looked = now
                    self._see()
            except Exception as error:
                # nobody would hear of it: whoever waits for a call must
                self._give_up(error)
            time.sleep(min(self._how.gather, self._how.look) / 2)

    def _submit(self, entries: Sequence[InHand]) -> None:
        if not self._all_clear():
            self._later(entries)
            return
        for jobs in arrays_of(batches_of(entries, self._how)):
            self._submit_array(jobs)

    def _submit_array(self, jobs: Sequence[list[InHand]]) -> None:
        entries = [entry for batch in jobs for entry in batch]
        if self._stopped:
            for entry in entries:
                entry.future.cancel()
            return
        manifest = None
        try:
            manifest = new_manifest(self._jobs, [[entry.name for entry in batch] for batch in jobs])
            manifest = manifest.submitted(submit_array(manifest, jobs, self._how))
        except (Refused, OSError) as error:
            if manifest is not None:
                self._unclear.append(manifest)
            if isinstance(error, Refused):
                self._refused(jobs, entries, error)
                return
            # it is no fault of these calls; whoever waits for them knows what to do on a full disk
            self._all_clear()
            for entry in entries:
                settle(entry, error)
            return
        with self._guard:
            for number, batch in enumerate(jobs):
                for place, entry in enumerate(batch):
                    entry.manifest, entry.batch, entry.place = manifest, number, place
                    entry.gone_since, entry.runs = None, False
                    self._hand.submitted[entry.future] = entry

    def _refused(self, jobs: Sequence[list[InHand]], entries: Sequence[InHand], why: Refused) -> None:
        """Try later where nobody answers, fewer jobs at once where there are too many, later where some are in the
        queue, or give them up."""
        if why.is_silence:
            self._say_silent(str(why))
        clear = self._all_clear()
        if why.is_too_many and clear and len(jobs) > 1:
            middle = len(jobs) // 2
            self._submit_array(jobs[:middle])
            self._submit_array(jobs[middle:])
        elif why.is_silence or not clear or (why.is_too_many and self._hand.submitted):
            self._later(entries)
        else:
            for entry in entries:
                settle(entry, CallRaised(f"Slurm does not take the job: {why}"))

    def _later(self, entries: Sequence[InHand]) -> None:
        """Let calls wait some time before they are submitted again."""
        with self._guard:
            if self._stopped:
                for entry in entries:
                    entry.future.cancel()
                return
            self._hand.waiting += entries
            self._hand.last = time.monotonic() + self._how.patience

    def _all_clear(self) -> bool:
        """Take back what may be in the queue although its submission failed; tell whether nothing of that is left."""
        left = []
        for manifest in self._unclear:
            try:
                cancel_named(manifest.token)
            except Unanswered as error:
                left.append(manifest)
                self._say_silent(str(error))
            else:
                with suppress(OSError):
                    manifest.remove()
        self._unclear = left
        return not left

    def _cancel(self, jobs: Collection[str]) -> None:
        """Cancel jobs that have not been; where the queue does not answer, the next look does it."""
        left = sorted(set(jobs) - self._cancelled)
        with suppress(Unanswered):
            cancel(left)
            self._cancelled.update(left)

    def _see(self) -> None:
        """Settle the calls that have an outcome, and those whose job is gone without one."""
        with self._guard:
            entries = list(self._hand.submitted.values())
        if not entries:
            return
        try:
            found: dict[str, Queued] | None = ask(sorted({e.manifest.token for e in entries if e.manifest is not None}))
        except Unanswered as error:
            # a controller that is busy or restarted is no reason to give anything up
            found = None
            self._say_silent(str(error))
        else:
            self._silent = False
            if self._stopped:
                mine = {job for entry in entries if (job := job_of(entry))}
                self._cancel({job for job in mine if job in found and not found[job].is_over})
        settled, again = [], []
        there = listed(entries)
        for entry in entries:
            if (outcome := read(entry, there)) is not None:
                self._settle(entry, answer_of(outcome))
                settled.append(entry)
            elif found is not None and self._is_gone(entry, found.get(job_of(entry) or "")):
                (settled if self._end(entry, found) else again).append(entry)
        with self._guard:
            for entry in (*settled, *again):
                del self._hand.submitted[entry.future]
            if again:
                self._hand.last = time.monotonic()
            self._hand.waiting += again
            self._guard.notify_all()

    def _is_gone(self, entry: InHand, job: Queued | None) -> bool:
        """Tell whether a call's job is over, and its files have had time to come."""
        entry.runs = job is not None and job.runs
        if job is not None and not job.is_over:
            entry.gone_since = None
            return False
        if self._stopped and not has_begun(entry):
            return True
        now = time.monotonic()
        entry.gone_since = now if entry.gone_since is None else entry.gone_since
        return now - entry.gone_since >= self._how.grace

    def _end(self, entry: InHand, found: Mapping[str, Queued]) -> bool:
        """Settle a call whose job is gone; one that had not begun is left for another job, and False returned."""
        assert entry.manifest is not None, "it has been submitted"
        if self._stopped:
            settle(entry, WorkerDied("the job was cancelled"))
            return True
        begun = has_begun(entry)
        others = any(entry.manifest.folder.glob(f"{entry.batch}-*.begun"))
        if not begun and others and entry.call is not None:
            return False
        job = found.get(job_of(entry) or "")
        state = job.state if job is not None else "gone from the queue"
        why = f": {reason}" if not begun and (reason := last_words(entry)) else ""
        self._settle(entry, WorkerDied(f"job {job_of(entry)} of Slurm ended ({state}){why}"))
        return True

    def _settle(self, entry: InHand, answer: Any) -> None:
        if isinstance(answer, Exception) and entry.manifest is not None:
            # what its job printed may say more
            self._failed.add(entry.manifest.folder)
        settle(entry, answer)

    def _say_silent(self, why: str) -> None:
        if not self._silent:
            self._silent = True
            self._remark(f"Slurm does not answer ({why}); asking again")

    def _give_up(self, error: Exception) -> None:
        with self._guard:
            entries = [*self._hand.waiting, *self._hand.leaving, *self._hand.submitted.values()]
            self._hand = _Knowledge()
            self._guard.notify_all()
        for entry in entries:
            settle(entry, error)

    def _tidy(self) -> None:
        """Remove what was written down of jobs that are over; what those printed stays in which something failed."""
        with suppress(Unanswered):
            known = manifests(self._jobs)
            found = ask([manifest.token for manifest in known])
            for manifest in known:
                if all(job.is_over for job in jobs_of(manifest, found).values()):
                    manifest.remove(logs=manifest.folder not in self._failed)


def _asked(tokens: Sequence[str]) -> dict[str, Queued]:
    """Ask the queue for jobs; where there are none, find out that there is a Slurm before anything is given to it."""
    found = ask(tokens or ["doubleread-none"])
    if shutil.which("srun") is None:
        raise Unanswered("there is no srun on this machine")
    return found
