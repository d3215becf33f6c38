"""How a study stands: its runs by state, those under way with their epochs, what failed, and the time that is left."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from doubleread.nouns import State
from doubleread.store.artifacts import attempt_folder, read_progress
from doubleread.store.store import Store


def standing(store: Store, study: str) -> dict[str, Any]:
    """Return how a study stands, as `status --json` prints it.

    `study`; `runs`, how many different ones are planned, waiting, and in each state; `running`, those under way;
    `seconds_left`, None where it cannot be told; `not_done`, those with a reason why.
    """
    rows = list({row["run_id"]: row for row in reversed(store.runs_of(study))}.values())[::-1]
    states = [row["state"] for row in rows]
    running = [row for row in rows if row["state"] == State.RUNNING]
    counts = {state.value: states.count(state) for state in State if state is not State.PLANNED}
    under_way = [_running(store, row) for row in running]
    return {
        "study": study,
        "runs": {"planned": len(rows), **counts, "waiting": states.count(State.PLANNED)},
        "running": under_way,
        "seconds_left": _seconds_left(rows, under_way),
        "not_done": [
            {"arm": row["arm"], "seed": row["seed"], "state": row["state"], "reason": row["reason"]}
            for row in rows
            if row["reason"]
        ],
    }


def _running(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    epochs = read_progress(attempt_folder(store.root, row["run_id"], row["attempts"]))
    return {
        "arm": row["arm"],
        "seed": row["seed"],
        "epoch": len(epochs),
        "epochs": row["recipe"]["epochs"],
        "train_loss": epochs[-1]["train_loss"] if epochs else None,
        "val_loss": epochs[-1]["val_loss"] if epochs else None,
    }


def _seconds_left(rows: Sequence[dict[str, Any]], running: Sequence[dict[str, Any]]) -> float | None:
    """Return the seconds that the rest takes, if each arm's runs take as long as its finished ones."""
    spent = [row["seconds"] for row in rows if row["seconds"] is not None]
    if not spent or not running:
        return None
    by_arm: dict[str, list[float]] = {}
    for row in rows:
        if row["seconds"] is not None:
            by_arm.setdefault(row["arm"], []).append(row["seconds"])
    left = [row["arm"] for row in rows if row["state"] == State.PLANNED]
    seconds = sum(fmean(by_arm.get(arm, spent)) for arm in left)
    # of those under way, what they have not done yet
    for run in running:
        seconds += fmean(by_arm.get(run["arm"], spent)) * (1 - run["epoch"] / run["epochs"])
    return seconds / len(running)
