"""`status`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean as mean
from typing import Any

from doubleread.cli.show import out, print_json
from doubleread.errors import UserError
from doubleread.nouns import State
from doubleread.store import Store, attempt_folder, open_store, read_progress


def status_command(name: str | None, root: Path, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    """Print the states of the runs of one study or of all; `more` goes into the JSON too."""
    with open_store(root) as store:
        known = [study["name"] for study in store.studies()]
        if name is not None and name not in known:
            listed = ", ".join(known) or "none"
            raise UserError(f"--store {root}", f"no study {name}", f"it has {listed}")
        found = [_status(store, study) for study in known if name in (None, study)]
    if as_json:
        print_json({"store": str(root), "studies": found, **(more or {})})
        return
    for study in found:
        counts = ", ".join(f"{n} {state}" for state, n in study["runs"].items() if n and state != "planned")
        out().print(f"{study['study']}: {study['runs']['planned']} runs: {counts}", markup=False)
        for run in study["running"]:
            out().print(f"  {run['arm']}, seed {run['seed']}: epoch {run['epoch']} of {run['epochs']}", markup=False)
        if study["seconds_left"] is not None:
            out().print(f"  about {study['seconds_left']:.0f} s of training left for each worker at work", markup=False)
        for run in study["not_done"]:
            out().print(f"  {run['arm']}, seed {run['seed']}: {run['state']}, {run['reason']}", markup=False)


def _status(store: Store, study: str) -> dict[str, Any]:
    rows = list({row["run_id"]: row for row in reversed(store.runs_of(study))}.values())[::-1]
    states = [row["state"] for row in rows]
    running = [row for row in rows if row["state"] == State.RUNNING]
    counts = {state.value: states.count(state) for state in State if state is not State.PLANNED}
    return {
        "study": study,
        "runs": {"planned": len(rows), **counts, "waiting": states.count(State.PLANNED)},
        "running": [_running(store, row) for row in running],
        "seconds_left": _seconds_left(rows, len(running)),
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


def _seconds_left(rows: list[dict[str, Any]], running: int) -> float | None:
    """Return the seconds that the rest takes, if each arm's runs take as long as its finished ones."""
    spent = [row["seconds"] for row in rows if row["seconds"] is not None]
    if not spent or not running:
        return None
    by_arm: dict[str, list[float]] = {}
    for row in rows:
        if row["seconds"] is not None:
            by_arm.setdefault(row["arm"], []).append(row["seconds"])
    left = [row["arm"] for row in rows if row["state"] in (State.PLANNED, State.RUNNING)]
    return sum(mean(by_arm.get(arm, spent)) for arm in left) / running
