"""One run, as a worker executes it: read the prepared set, train, write the attempt."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from doubleread.dataset import open_prepared
from doubleread.nouns import RunData, State
from doubleread.recipe import Recipe
from doubleread.runner.environment import environment
from doubleread.store import PROGRESS, Logits, attempt_folder, hash_weights, now, write_attempt
from doubleread.training import Diverged, Epoch, Result, train


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
    identity: dict[str, Any]
    keep_weights: bool

    @property
    def folder(self) -> Path:
        """Where the worker writes."""
        return attempt_folder(self.root, self.run_id, self.attempt)


def execute(task: Task) -> None:
    """Train one run and leave its attempt folder, with a record whether it is done, diverged or failed."""
    torch.set_num_threads(task.recipe.threads)
    task.folder.mkdir(parents=True, exist_ok=True)
    data = open_prepared(task.root / "data" / task.data_hash).run_data(task.seed)
    epochs: list[Epoch] = []
    try:
        with (task.folder / PROGRESS).open("w") as progress:
            result = train(
                task.recipe, task.seed, task.intensity, data, _watcher(progress.write, progress.flush, epochs)
            )
        _leave(task, data, result)
    except Diverged as error:
        _leave_none(task, epochs, State.DIVERGED, str(error))
    except Exception as error:
        reason = "".join(traceback.format_exception_only(error)).strip()
        _leave_none(task, epochs, State.FAILED, reason, traceback.format_exc())


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
        "environment": environment(task.recipe.threads),
    }
