"""One run, or a stack of runs, as a worker executes it: read the prepared set, train, write the attempts."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from doubleread.dataset import open_run_data
from doubleread.disk import FULL
from doubleread.nouns import Compute, RunData, State
from doubleread.recipe import Recipe
from doubleread.store import Logits, attempt_folder, hash_weights, now, write_attempt
from doubleread.training import Checkpoint, Diverged, Result, Unfit, train
from doubleread.training.model import contents_of, start_of
from doubleread.training.records import RunSpec
from doubleread.training.together import train_together
from doubleread.worker.desk import Desk, Pauses, Stopped
from doubleread.worker.environment import environment


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a worker needs to know about one run; everything in it can cross to another process or machine.

    `checkpoint_seconds` is the time between two checkpoints.
    """

    root: Path
    run_id: str
    attempt: int
    recipe: Recipe
    intensity: str
    seed: int
    data_hash: str
    compute: Compute
    identity: dict[str, Any]
    keep_weights: bool
    checkpoint_seconds: float

    @property
    def folder(self) -> Path:
        """Where the worker writes."""
        return attempt_folder(self.root, self.run_id, self.attempt)


Ending = Literal["finished", "stopped", "full"]
"""How the execution of tasks ended: each left a record; or it was asked to stop; or the disk is full."""


def from_folder(task: Task) -> RunData:
    """Return what a run sees of the prepared set beside its folder."""
    return open_run_data(task.root / "data" / task.data_hash, task.seed)


def execute(tasks: Sequence[Task], data_of: Callable[[Task], RunData] = from_folder) -> Ending:
    """Train runs and leave a record in each attempt folder, which is there: done, diverged or failed.

    One task is one run; several are a stack, which share their images and the sizes of their splits. A folder that has
    a checkpoint goes on from there. Where the disk is full or the runs are asked to stop, those without a record may
    have a checkpoint.
    """
    torch.set_num_threads(tasks[0].recipe.threads)
    pauses = Pauses(tasks[0].checkpoint_seconds)
    try:
        # a desk writes as it opens, and as it closes
        with ExitStack() as stack:
            desks = [stack.enter_context(Desk(task.folder, _facts(task))) for task in tasks]
            return _executed(tasks, desks, pauses, data_of)
    except Stopped:
        return "stopped"
    except OSError as error:
        if error.errno not in FULL:
            raise
        return "full"


def _executed(
    tasks: Sequence[Task], desks: Sequence[Desk], pauses: Pauses, data_of: Callable[[Task], RunData]
) -> Ending:
    try:
        for task in tasks:
            _refuse_changed(task)
        data = [data_of(task) for task in tasks]
        ends = _trained(tasks, data, desks, pauses)
    except Exception as error:
        _let_pass(error)
        for task, desk in zip(tasks, desks, strict=True):
            _leave_failed(task, desk, error)
        return "finished"
    for task, its_data, desk, end in zip(tasks, data, desks, ends, strict=True):
        try:
            if isinstance(end, Diverged):
                _leave_none(task, desk, State.DIVERGED, str(end))
            else:
                _leave(task, desk, its_data, end)
        except Exception as error:
            _let_pass(error)
            _leave_failed(task, desk, error)
    return "finished"


def _let_pass(error: Exception) -> None:
    """Raise what is no failure of a run."""
    if isinstance(error, Stopped) or (isinstance(error, OSError) and error.errno in FULL):
        raise error


def _trained(
    tasks: Sequence[Task], data: Sequence[RunData], desks: Sequence[Desk], pauses: Pauses
) -> list[Result | Diverged]:
    starts = [desk.start for desk in desks if desk.start is not None]
    if 0 < len(starts) < len(tasks) or len({len(start.epochs) for start in starts}) > 1:
        starts = _anew(desks, "the runs of its stack do not stand at the same epoch")
    try:
        return _from(starts, tasks, data, desks, pauses)
    except Unfit as error:
        return _from(_anew(desks, str(error)), tasks, data, desks, pauses)


def _anew(desks: Sequence[Desk], why: str) -> list[Checkpoint]:
    for desk in desks:
        desk.forget_start(why)
    return []


def _from(
    starts: Sequence[Checkpoint],
    tasks: Sequence[Task],
    data: Sequence[RunData],
    desks: Sequence[Desk],
    pauses: Pauses,
) -> list[Result | Diverged]:
    first = tasks[0]
    if first.compute.path == "stacked":
        specs = [
            RunSpec(recipe=task.recipe, seed=task.seed, intensity=task.intensity, data=its_data)
            for task, its_data in zip(tasks, data, strict=True)
        ]

        def between(takes: Mapping[int, Callable[[], Checkpoint]]) -> None:
            pauses.between([(desks[run], take) for run, take in takes.items()])

        return train_together(
            specs,
            first.compute.device,
            first.compute.precision == "bf16",
            lambda run, epoch: desks[run].on_epoch(epoch),
            on_pause=between,
            starts=starts,
        )
    try:
        result = train(
            first.recipe,
            first.seed,
            first.intensity,
            data[0],
            desks[0].on_epoch,
            first.compute,
            on_pause=lambda take: pauses.between([(desks[0], take)]),
            start=starts[0] if starts else None,
        )
    except Diverged as diverged:
        return [diverged]
    return [result]


def _leave(task: Task, desk: Desk, data: RunData, result: Result) -> None:
    weights = {name: tensor.numpy() for name, tensor in result.weights.items()}
    record = _record(task, desk, State.DONE) | {
        "epochs": [asdict(epoch) for epoch in result.epochs],
        "health": result.health,
        "seconds": result.seconds,
        "cpu_seconds": result.cpu_seconds,
        "peak_bytes": result.peak_bytes,
        "weights_hash": hash_weights(weights),
        "kept_epoch": result.kept_epoch,
        **_drawn(task, data),
    }
    logits = Logits(val_rows=data.val, val=result.val_logits, test_rows=data.test, test=result.test_logits)
    write_attempt(task.folder, record, logits, weights if task.keep_weights else None)


def _refuse_changed(task: Task) -> None:
    """Stop where a file that the recipe names is not the one that the run was planned with."""
    for name, found in contents_of(task.recipe).items():
        if task.identity.get(name) != found:
            what = "the init file" if name == "init" else f"the source of {task.recipe.model.name}"
            raise ValueError(f"{what} has changed since the run was planned; run the study again")


def _drawn(task: Task, data: RunData) -> dict[str, Any]:
    """Return what a run started from and how its images were changed, where that is more than its seed says."""
    found: dict[str, Any] = {}
    if (start := start_of(task.recipe, data)) is not None:
        found["start"] = asdict(start)
    spec = RunSpec(recipe=task.recipe, seed=task.seed, intensity=task.intensity, data=data)
    if (changes := spec.changes(0)) is not None:
        found["changes_of_first_epoch_sha256"] = changes.digest()
    return found


def _leave_failed(task: Task, desk: Desk, error: Exception) -> None:
    reason = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, MemoryError) or "allocate memory" in reason or "out of memory" in reason:
        reason += " (out of memory: fewer --workers leave more to each)"
    _leave_none(task, desk, State.FAILED, reason, "".join(traceback.format_exception(error)))


def _leave_none(task: Task, desk: Desk, state: State, reason: str, trace: str | None = None) -> None:
    record = _record(task, desk, state) | {"reason": reason, "trace": trace}
    write_attempt(task.folder, record, None, None)


def _facts(task: Task) -> dict[str, Any]:
    """Return what is the same for all that a run leaves."""
    return {
        "run_id": task.run_id,
        "attempt": task.attempt,
        "identity": task.identity,
        "environment": environment(task.recipe.threads, task.compute),
    }


def _record(task: Task, desk: Desk, state: State) -> dict[str, Any]:
    return _facts(task) | {
        "state": state.value,
        "recipe": task.recipe.complete(),
        "epochs": [asdict(epoch) for epoch in desk.epochs],
        "finished": now(),
        "resumed": desk.resumed,
        "checkpoint_unusable": desk.unusable,
    }
