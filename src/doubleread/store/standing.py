"""How a study stands: its runs by state, those under way with their epochs, what failed, and the time that is left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from doubleread.nouns import State
from doubleread.store.artifacts import attempt_folder, read_progress
from doubleread.store.store import Store

DIFFERENT = (
    "(SELECT runs.*, min(uses.arm) AS arm FROM uses JOIN runs USING (run_id) WHERE uses.study = ? GROUP BY run_id)"
)
"""The different runs of a study, each with the first arm that it stands for."""


def standing(store: Store, study: str) -> dict[str, Any]:
    """Return how a study stands, as `status --json` prints it.

    `study`; `runs`, how many different ones are planned, waiting, and in each state; `running`, those under way;
    `seconds_left`, None where it cannot be told; `not_done`, those with a reason why.
    """
    by_arm = store.query(
        f"SELECT arm, state, count(*) AS runs, sum(seconds) AS seconds, count(seconds) AS timed FROM {DIFFERENT}"
        " GROUP BY arm, state",
        study,
    )
    counts = {state: sum(row["runs"] for row in by_arm if row["state"] == state) for state in State}
    rows = store.query(
        f"SELECT run_id, arm, seed, attempts, recipe FROM {DIFFERENT} WHERE state = 'running' ORDER BY arm, seed", study
    )
    running = [_running(store, row) for row in rows]
    why = store.query(
        f"SELECT arm, seed, state, reason, run_id AS run FROM {DIFFERENT} WHERE reason IS NOT NULL ORDER BY arm, seed",
        study,
    )
    others = {state.value: n for state, n in counts.items() if state is not State.PLANNED}
    return {
        "study": study,
        "runs": {"planned": sum(counts.values()), **others, "waiting": counts[State.PLANNED]},
        "running": running,
        "seconds_left": _seconds_left(by_arm, running),
        "not_done": why,
    }


def finished(store: Store, study: str) -> dict[str, Any]:
    """Return how many runs of a study have ended, as `runs`, and when the last one did, as `last`."""
    (row,) = store.query(
        "SELECT count(*) AS runs, max(finished) AS last FROM uses JOIN runs USING (run_id) WHERE study = ?"
        " AND state IN ('done', 'diverged', 'failed')",
        study,
    )
    return row


def _running(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    epochs = read_progress(attempt_folder(store.root, row["run_id"], row["attempts"]))
    return {
        "arm": row["arm"],
        "seed": row["seed"],
        "epoch": len(epochs),
        "epochs": json.loads(row["recipe"])["epochs"],
        "train_loss": epochs[-1]["train_loss"] if epochs else None,
        "val_loss": epochs[-1]["val_loss"] if epochs else None,
    }


def _seconds_left(by_arm: Sequence[dict[str, Any]], running: Sequence[dict[str, Any]]) -> float | None:
    """Return the seconds that the rest takes, if each arm's runs take as long as its finished ones."""
    timed = [row for row in by_arm if row["timed"]]
    if not timed or not running:
        return None
    usual = sum(row["seconds"] for row in timed) / sum(row["timed"] for row in timed)
    seconds_of = {
        arm: sum(row["seconds"] for row in timed if row["arm"] == arm)
        / sum(row["timed"] for row in timed if row["arm"] == arm)
        for arm in {row["arm"] for row in timed}
    }
    waiting = [row for row in by_arm if row["state"] == State.PLANNED]
    seconds = sum(row["runs"] * seconds_of.get(row["arm"], usual) for row in waiting)
    # of those under way, what they have not done yet
    seconds += sum(seconds_of.get(run["arm"], usual) * (1 - run["epoch"] / run["epochs"]) for run in running)
    return seconds / len(running)
