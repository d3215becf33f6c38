"""Calls that a queue has in hand: where each stands, and what its files say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubleread.engines.batch import Call, Jobs
from doubleread.engines.engine import CallRaised, WorkerDied
from doubleread.engines.manifest import Manifest, begun_path, outcome_path, read_outcome

LOG_END = 4000
"""Letters of a log that are looked at for a reason."""


@dataclass(eq=False)
class InHand:
    """A call and where it stands: its `batch` and `place` in a submission; `call` is None of an earlier driver's.

    `runs` tells whether its job did at the last look, `gone_since` when the job was first seen to be over.
    """

    future: Future[Any]
    name: str
    call: Call | None
    seconds: float = 0.0
    manifest: Manifest | None = None
    batch: int = 0
    place: int = 0
    gone_since: float | None = None
    runs: bool = False


def batches_of(entries: Sequence[InHand], how: Jobs) -> list[list[InHand]]:
    """Return the calls of each job, in their order: as many together as make `batch_seconds` for each worker, or where
    `at_once` is given as make its share of all seconds, if that is less."""
    total = sum(entry.seconds for entry in entries)
    most = min(how.batch_seconds * how.workers, total / how.at_once if how.at_once else float("inf"))
    batches: list[list[InHand]] = []
    seconds = 0.0
    for entry in entries:
        # sums of the same numbers may differ in their last bits
        if not batches or seconds + entry.seconds > most * (1 + 1e-9):
            batches.append([])
            seconds = 0.0
        batches[-1].append(entry)
        seconds += entry.seconds
    return batches


def entries_of(manifest: Manifest, alive: set[int]) -> Iterator[InHand]:
    """Yield the calls of an earlier driver's submission whose job is alive, by its number, or that have an outcome."""
    for number, names in enumerate(manifest.batches):
        for place, name in enumerate(names):
            if number in alive or outcome_path(manifest.folder, number, place).is_file():
                yield InHand(Future(), name, None, manifest=manifest, batch=number, place=place)


def job_of(entry: InHand) -> str | None:
    """Return the queue's name of the job that a call is in, None before it is submitted."""
    return entry.manifest.job_of(entry.batch) if entry.manifest is not None else None


def listed(entries: Sequence[InHand]) -> frozenset[Path]:
    """Return the files beside the manifests of calls: one look at a folder, not thousands at files."""
    folders = {entry.manifest.folder for entry in entries if entry.manifest is not None}
    return frozenset(path for folder in folders for path in folder.iterdir())


def read(entry: InHand, there: frozenset[Path]) -> dict[str, Any] | None:
    """Return the outcome of a call, if it is among the files that are there."""
    assert entry.manifest is not None, "it has been submitted"
    path = outcome_path(entry.manifest.folder, entry.batch, entry.place)
    return read_outcome(path) if path in there else None


def has_begun(entry: InHand) -> bool:
    """Tell whether a job has begun with a call."""
    assert entry.manifest is not None, "it has been submitted"
    return begun_path(entry.manifest.folder, entry.batch, entry.place).exists()


def answer_of(outcome: Mapping[str, Any]) -> Any:
    """Return what a future gets of an outcome: a value, or an error of engines."""
    if "raised" in outcome:
        return CallRaised(outcome["raised"])
    return WorkerDied(outcome["died"]) if "died" in outcome else outcome["value"]


def settle(entry: InHand, answer: Any) -> None:
    """Give a call's future its answer, unless it has one or was cancelled."""
    if entry.future.done() or not entry.future.set_running_or_notify_cancel():
        return
    if isinstance(answer, BaseException):
        entry.future.set_exception(answer)
    else:
        entry.future.set_result(answer)


def last_words(entry: InHand) -> str:
    """Return the last line that a job printed as an error, if it printed one."""
    assert entry.manifest is not None, "it has been submitted"
    for path in sorted(entry.manifest.logs.rglob(f"{job_of(entry)}_*.err")):
        lines = path.read_text(errors="replace")[-LOG_END:].strip().splitlines()
        if lines:
            return lines[-1]
    return ""
