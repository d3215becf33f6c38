"""What a run that was interrupted can go on from, and what is said where it cannot."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from doubleread.nouns import State
from doubleread.store import (
    Damaged,
    Store,
    forget_checkpoint,
    newest_checkpoint,
    read_header,
)
from doubleread.study import Plan, PlannedRun
from doubleread.worker import differences, environment

CHANGED = {
    "source": "what changed in the file of its model",
    "init": "other weights to start from",
    "data": "other images, or another split of them",
    "numerics": "another release, which computes otherwise",
}
"""What is said of the parts of an identity that have no word of the user's own."""


def discard_unfit(runs: Sequence[PlannedRun], store: Store, remark: Callable[[str], object]) -> None:
    """Remove the checkpoints of runs that cannot go on from them, and say why they begin again.

    A run is computed by one version of everything, on one kind of processor, or its numbers would be nobody's.
    """
    attempts = store.attempts_of([run.run_id for run in runs])
    for run in runs:
        while (folder := newest_checkpoint(store.root, run.run_id, attempts.get(run.run_id, 0))) is not None:
            why = _unfit(folder, environment(run.recipe.threads, run.compute))
            if why is None:
                break
            remark(f"{run.uses[0]}, seed {run.seed} begins again, not from its checkpoint: {why}")
            forget_checkpoint(folder)


def position(folder: Path | None) -> tuple[int, int]:
    """Return after how many epochs, and steps of the next, the checkpoint in `folder` goes on; (0, 0) without one."""
    if folder is None:
        return 0, 0
    try:
        header = read_header(folder)
        return len(header["epochs"]), header["step"]
    except (Damaged, KeyError):
        return 0, 0


def positions(runs: Sequence[PlannedRun], store: Store) -> dict[str, int]:
    """Return after how many epochs each run goes on, 0 for one that begins."""
    attempts = store.attempts_of([run.run_id for run in runs])
    found = {run.run_id: newest_checkpoint(store.root, run.run_id, attempts.get(run.run_id, 0)) for run in runs}
    return {run_id: position(folder)[0] for run_id, folder in found.items()}


def tell_mixture(plan: Plan, states: Mapping[str, State], store: Store, remark: Callable[[str], object]) -> None:
    """Say where the runs that are done were trained under other versions, or on another machine, than those to come."""
    missing = [run for run in plan.runs if states.get(run.run_id) not in (State.DONE, State.DIVERGED)]
    if not missing:
        return
    now = environment(missing[0].recipe.threads, missing[0].compute)
    done = [run.run_id for run in plan.runs if states.get(run.run_id) is State.DONE]
    for number, then in store.environments_of(done):
        if changed := differences(then, now):
            remark(
                f"{number} {'run that is' if number == 1 else 'runs that are'} done had {'; '.join(changed)}:"
                " a difference between arms may come from that too"
            )


def tell_changed(plan: Plan, store: Store, remark: Callable[[str], object]) -> None:
    """Say why runs are trained anew that a study had trained, before its plan takes the place of the one before."""
    rows = store.runs_of(plan.study.name)
    trained = {(row["arm"], row["seed"]): row for row in rows if row["state"] == State.DONE}
    ready = store.states([run.run_id for run in plan.runs])
    identities = {run.run_id: run.identity for run in plan.runs}
    changed: Counter[str] = Counter()
    for arm_and_seed, run_id in plan.run_of.items():
        row = trained.get(arm_and_seed)
        if row is not None and row["run_id"] != run_id and ready.get(run_id) is not State.DONE:
            changed[_what_changed(json.loads(row["identity"]), identities[run_id])] += 1
    for what, number in changed.items():
        remark(f"{number} {'run is' if number == 1 else 'runs are'} trained anew, because of {what}")


def _what_changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return in which parts of their identity two runs differ; of a recipe, which of its own."""
    now = json.loads(json.dumps(now))
    keys = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
    recipes = [identity.get("recipe", {}) for identity in (then, now)]
    parts = [key for key in sorted(recipes[0].keys() | recipes[1].keys()) if recipes[0].get(key) != recipes[1].get(key)]
    said = [f"another {', '.join(parts)}" if key == "recipe" else CHANGED.get(key, f"another {key}") for key in keys]
    return "; ".join(said)


def tell_kinds(plan: Plan, store: Store, remark: Callable[[str], object]) -> None:
    """Say in what the machines differed that runs which are done were trained on."""
    states = store.states([run.run_id for run in plan.runs])
    found = store.environments_of([run_id for run_id, state in states.items() if state is State.DONE])
    most = max(found, key=lambda one: one[0], default=None)
    for number, other in found:
        if most is not None and (changed := differences(other, most[1])):
            parts = "; ".join(part.replace(", now ", ", most others ") for part in changed)
            remark(
                f"{number} {'run that is' if number == 1 else 'runs that are'} done had {parts}:"
                " a difference between arms may come from that too"
            )


def _unfit(folder: Path, now: Mapping[str, Any]) -> str | None:
    try:
        changed = differences(read_header(folder)["environment"], now)
    except (Damaged, KeyError) as error:
        return str(error)
    return f"it had {'; '.join(changed)}" if changed else None
