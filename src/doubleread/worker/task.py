"""One run, or a stack of runs, as a worker executes it: read the prepared set, train, write the attempts."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from doubleread.dataset import open_run_data
from doubleread.nouns import Compute, RunData, State
from doubleread.recipe import Recipe
from doubleread.store import PROGRESS, Logits, attempt_folder, hash_weights, now, write_attempt
from doubleread.training import Diverged, Epoch, Result, train
from doubleread.training.records import RunSpec
from doubleread.training.together import train_together
from doubleread.worker.environment import environment


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a worker needs to know about one run; everything in it can cross to another process or machine."""

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

    @property
    def folder(self) -> Path:
        """Where the worker writes."""
        return attempt_folder(self.root, self.run_id, self.attempt)


def execute(tasks: Sequence[Task]) -> None:
    """Train runs and leave their attempt folders, each with a record whether it is done, diverged or failed.

    One task is one run; several are a stack, which share their images and the sizes of their splits.
    """
    torch.set_num_threads(tasks[0].recipe.threads)
    for task in tasks:
        task.folder.mkdir(parents=True, exist_ok=True)
    data = [open_run_data(task.root / "data" / task.data_hash, task.seed) for task in tasks]
    epochs: list[list[Epoch]] = [[] for _ in tasks]
    try:
        with ExitStack() as files:
            progress = [files.enter_context((task.folder / PROGRESS).open("w")) for task in tasks]
            watchers = [_watcher(f.write, f.flush, seen) for f, seen in zip(progress, epochs, strict=True)]
            ends = _trained(tasks, data, watchers)
    except Exception as error:
        for task, seen in zip(tasks, epochs, strict=True):
            _leave_failed(task, seen, error)
        return
    for task, its_data, seen, end in zip(tasks, data, epochs, ends, strict=True):
        try:
            if isinstance(end, Diverged):
                _leave_none(task, seen, State.DIVERGED, str(end))
            else:
                _leave(task, its_data, end)
        except Exception as error:
            _leave_failed(task, seen, error)


def _trained(
    tasks: Sequence[Task], data: Sequence[RunData], watchers: Sequence[Callable[[Epoch], None]]
) -> list[Result | Diverged]:
    if tasks[0].compute.path == "stacked":
        specs = [
            RunSpec(recipe=task.recipe, seed=task.seed, intensity=task.intensity, data=its_data)
            for task, its_data in zip(tasks, data, strict=True)
        ]
        bf16 = tasks[0].compute.precision == "bf16"
        return train_together(specs, tasks[0].compute.device, bf16, lambda run, epoch: watchers[run](epoch))
    (task,) = tasks
    try:
        return [train(task.recipe, task.seed, task.intensity, data[0], watchers[0], task.compute)]
    except Diverged as diverged:
        return [diverged]


def _watcher(write: Callable[[str], object], flush: Callable[[], None], epochs: list[Epoch]) -> Callable[[Epoch], None]:
    parent = os.getppid()

    def on_epoch(epoch: Epoch) -> None:
        epochs.append(epoch)
        write(json.dumps(asdict(epoch)) + "\n")
        flush()
        if os.getppid() != parent:
            # the server that forked this process is gone, so the driver is: nobody will take the result
            os._exit(1)

    return on_epoch


def _leave(task: Task, data: RunData, result: Result) -> None:
    weights = {name: tensor.numpy() for name, tensor in result.weights.items()}
    record = _record(task, list(result.epochs), State.DONE) | {
        "health": result.health,
        "seconds": result.seconds,
        "cpu_seconds": result.cpu_seconds,
        "peak_bytes": result.peak_bytes,
        "weights_hash": hash_weights(weights),
    }
    logits = Logits(val_rows=data.val, val=result.val_logits, test_rows=data.test, test=result.test_logits)
    write_attempt(task.folder, record, logits, weights if task.keep_weights else None)
    (task.folder / PROGRESS).unlink()


def _leave_failed(task: Task, epochs: list[Epoch], error: Exception) -> None:
    reason = "".join(traceback.format_exception_only(error)).strip()
    _leave_none(task, epochs, State.FAILED, reason, "".join(traceback.format_exception(error)))


def _leave_none(task: Task, epochs: list[Epoch], state: State, reason: str, trace: str | None = None) -> None:
    record = _record(task, epochs, state) | {"reason": reason, "trace": trace}
    write_attempt(task.folder, record, None, None)


def _record(task: Task, epochs: list[Epoch], state: State) -> dict[str, Any]:
    return {
        "run_id": task.run_id,
        "attempt": task.attempt,
        "state": state.value,
        "identity": task.identity,
        "recipe": task.recipe.complete(),
        "epochs": [asdict(epoch) for epoch in epochs],
        "finished": now(),
        "environment": environment(task.recipe.threads, task.compute),
    }
