"""What the queue of Slurm says of our jobs: `squeue` asks its controller, so no accounting is needed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from doubleread.engines.manifest import Manifest, manifests, outcome_path

ASK_SECONDS = 60.0
OVER = frozenset(
    [
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    ]
)
"""The states of a job that is gone for good; in any other it runs, or will."""
FORMAT = "%j|%F|%K|%T|%r|%S"
_TOKEN = re.compile(r"[\w-]+")


class Unanswered(Exception):
    """The queue cannot be asked; the text is the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Queued:
    """A job as the queue has it: `job` is its name there (`17_3`, `17`), `starts` when the queue means to start it."""

    token: str
    job: str
    state: str
    reason: str
    starts: str

    @property
    def is_over(self) -> bool:
        """Whether it is gone for good."""
        return self.state in OVER

    @property
    def runs(self) -> bool:
        """Whether its processes are there."""
        return self.state in ("RUNNING", "COMPLETING")


def ask(tokens: Sequence[str]) -> dict[str, Queued]:
    """Return the jobs that the queue knows under these names, by `Queued.job`.

    Raises:
        Unanswered: there is no queue here, or it does not answer.
    """
    if not tokens:
        return {}
    words = ["squeue", "--noheader", "--array", "--states=all", f"--format={FORMAT}", f"--name={','.join(tokens)}"]
    return {job.job: job for job in map(_job, _lines(words)) if job is not None}


def cancel(jobs: Sequence[str]) -> None:
    """Cancel jobs: those that wait never begin, those that run get SIGTERM, and are ended after a while.

    Raises:
        Unanswered: there is no queue here, or it does not answer.
    """
    if jobs:
        _lines(["scancel", *jobs])


def cancel_named(token: str) -> None:
    """Cancel every job of a name, if there is one.

    Raises:
        Unanswered: there is no queue here, or it does not answer.
    """
    _lines(["scancel", f"--name={token}"])


def state_of(job: str) -> str:
    """Return the state of one job, by its number, "" where the queue does not know it.

    Raises:
        Unanswered: there is no queue here, or it does not answer.
    """
    lines = _lines(["squeue", "--noheader", "--states=all", "--format=%A|%T", f"--jobs={job}"])
    return dict(line.strip().split("|") for line in lines).get(job, "")


def requeue(job: str) -> None:
    """Put a job that runs into the queue again; its processes get SIGTERM.

    Raises:
        Unanswered: there is no queue here, or it does not do so.
    """
    _lines(["scontrol", "requeue", job])


def _lines(words: list[str]) -> list[str]:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except FileNotFoundError as error:
        raise Unanswered(f"there is no {words[0]} on this machine") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unanswered(f"{words[0]} gives no answer ({error})") from error
    if done.returncode:
        raise Unanswered(f"{words[0]}: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}")
    return done.stdout.splitlines()


def _job(line: str) -> Queued | None:
    parts = line.strip().split("|")
    if len(parts) != 6 or not _TOKEN.fullmatch(parts[0]):
        return None
    token, number, index, state, reason, starts = parts
    job = f"{number}_{index}" if index.isdigit() else number
    return Queued(token=token, job=job, state=state, reason=reason, starts=starts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A job of an earlier or present driver that is not over: its state, and the names of its calls that are open."""

    job: str
    state: str
    reason: str
    starts: str
    calls: tuple[str, ...]


def left_in_queue(jobs: Path) -> list[Waiting]:
    """Return the jobs submitted from the folder `jobs` that are not over; the queue is asked only if there may be some.

    Raises:
        Unanswered: there may be some, and the queue does not say.
    """
    known = manifests(jobs)
    found = ask([manifest.token for manifest in known])
    left = []
    for manifest in known:
        for number, job in jobs_of(manifest, found).items():
            if not job.is_over:
                names = manifest.batches[number]
                calls = tuple(
                    name
                    for place, name in enumerate(names)
                    if not outcome_path(manifest.folder, number, place).is_file()
                )
                left.append(Waiting(job=job.job, state=job.state, reason=job.reason, starts=job.starts, calls=calls))
    return left


def jobs_of(manifest: Manifest, found: dict[str, Queued]) -> dict[int, Queued]:
    """Return those jobs of a submission that the queue knows, by their number in it."""
    mine = {job.job: job for job in found.values() if job.token == manifest.token}
    if len(manifest.batches) == 1:
        return dict(enumerate(mine.values()))
    return {int(name.partition("_")[2]): job for name, job in mine.items() if "_" in name}
