"""One moment of a study as the pages show it: how it stands, curves as they grow, what tells that it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doubleread.errors import UserError
from doubleread.files import hash_of
from doubleread.nouns import State
from doubleread.report.charts import CURVES, short
from doubleread.report.gap_figures import COLOURS
from doubleread.store import Store, attempt_folder, open_store, read_progress, standing
from doubleread.study import Study, study_of

MOST_SEEDS = 10
"""Seeds of an arm whose curves are drawn while it is trained."""
MOST_ARMS = 24


def study_in(store: Store, name: str) -> Study:
    """Return a study of the store.

    Raises:
        UserError: there is none of that name.
    """
    document = store.study_document(name)
    if document is None:
        raise UserError(f"study {name}", "not in the store")
    return study_of(document)


def version_of(store: Store, name: str) -> str:
    """Return a text that changes whenever a study has other finished runs, or another file."""
    (row,) = store.query(
        "SELECT count(*) AS runs, max(finished) AS finished FROM uses JOIN runs USING (run_id) WHERE study = ?"
        " AND state IN ('done', 'diverged', 'failed')",
        name,
    )
    document = store.study_document(name)
    looks = len(store.unsealings(name))
    return hash_of({"runs": row["runs"], "finished": row["finished"], "document": document, "looks": looks})[:16]


def snapshot(root: Path, name: str) -> dict[str, Any]:
    """Return how a study stands now."""
    with open_store(root) as store:
        return standing(store, name)


def growing_curves(root: Path, name: str) -> dict[str, Any]:
    """Return the curves of a study's first seeds as far as they have grown, by experiment, as the charts draw them."""
    with open_store(root) as store:
        study = study_in(store, name)
        rows = {(row["arm"], row["seed"]): row for row in store.runs_of(name)}
        shown = [
            (experiment.name, arm, seed, rows[arm.name, seed])
            for experiment in study.experiments
            for arm in experiment.arms[:MOST_ARMS]
            for seed in study.seeds[:MOST_SEEDS]
            if (arm.name, seed) in rows
        ]
        stored = store.epochs_of([row["run_id"] for *_, row in shown])
        found: dict[str, dict[str, dict[str, Any]]] = {experiment.name: {} for experiment in study.experiments}
        for experiment, arm, seed, row in shown:
            epochs = stored[row["run_id"]] or _under_way(root, row)
            if epochs:
                empty = {"label": arm.label, "seeds": [], "curves": {curve: [] for curve in CURVES}}
                drawn = found[experiment].setdefault(arm.name, empty)
                drawn["seeds"].append(seed)
                for curve in CURVES:
                    drawn["curves"][curve].append([short(epoch[curve]) for epoch in epochs])
    return {
        "growing": True,
        "palette": list(COLOURS),
        "verdicts": {},
        "titles": {experiment.name: experiment.title for experiment in study.experiments},
        "curves": {name: list(arms.values()) for name, arms in found.items() if arms},
    }


def _under_way(root: Path, row: Mapping[str, Any]) -> list[dict[str, float]]:
    if row["state"] != State.RUNNING:
        return []
    return read_progress(attempt_folder(root, row["run_id"], row["attempts"]))
