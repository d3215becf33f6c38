"""Everything that is known of one run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from doubleread.dataset import open_prepared
from doubleread.errors import UserError
from doubleread.metrics import calls
from doubleread.nouns import State
from doubleread.report.charts import arm_curves, curves_page
from doubleread.server.live import study_in
from doubleread.store import HEALTH, Store, attempt_folder, read_logits, read_progress, read_record, run_folder

FACTS = ("state", "reason", "attempts", "started", "finished", "seconds", "cpu_seconds", "peak_bytes", "weights_hash")


def run_details(store: Store, study: str, run_id: str) -> dict[str, Any] | None:
    """Return one run of a study: arm, seed, facts, health, recipe, epochs, environment, calls; None if there is none.

    `calls` has for validation, and for test where it is not sealed, how many cases of each class were called each.
    """
    rows = [row for row in store.runs_of(study) if row["run_id"] == run_id]
    if not rows:
        return None
    row = rows[0]
    epochs = store.epochs_of([run_id])[run_id]
    if not epochs and row["state"] == State.RUNNING:
        epochs = read_progress(attempt_folder(store.root, run_id, row["attempts"]))
    done = row["state"] == State.DONE
    return {
        "run": run_id,
        "study": study,
        "arms": [used["arm"] for used in rows],
        "seed": row["seed"],
        **{fact: row[fact] for fact in FACTS},
        "health": {flag: bool(row[flag]) for flag in HEALTH} if done else {},
        "recipe": row["recipe"],
        "identity": json.loads(row["identity"]),
        "environment": next(iter(store.environments([run_id])), None),
        "trace": _trace(store, run_id),
        "epochs": [{key: value for key, value in epoch.items() if key != "run_id"} for epoch in epochs],
        "calls": _calls(store, study, row) if done else {},
    }


def curves_of_run(details: dict[str, Any]) -> dict[str, Any]:
    """Return the curves of one run as the charts draw them."""
    return curves_page(
        {"run": "Curves"}, {"run": [arm_curves(details["arms"][0], [(details["seed"], details["epochs"])])]}
    )


def _trace(store: Store, run_id: str) -> Any:
    try:
        record = read_record(run_folder(store.root, run_id))
    except (ValueError, UserError):
        # damaged: status --verify says more
        return None
    return record.get("trace") if record is not None else None


def _calls(store: Store, study: str, row: dict[str, Any]) -> dict[str, Any]:
    sealed = study_in(store, study).sealed
    try:
        data = open_prepared(store.data_folder / row["data_hash"])
        logits = read_logits(store.root, row["run_id"], sealed=sealed)
    except (OSError, ValueError, UserError):
        # damaged or gone: status --verify says more
        return {}
    found = {}
    for split, rows, values in (
        ("validation", logits.val_rows, logits.val),
        ("test", logits.test_rows, logits.test),
    ):
        if len(rows):
            n = len(data.classes)
            pairs = data.labels[rows] * n + calls(values)
            found[split] = np.bincount(pairs, minlength=n * n).reshape(n, n).tolist()
    return {"classes": list(data.classes), **found}
