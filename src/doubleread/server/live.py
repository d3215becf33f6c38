"""One moment of a study as the pages show it: how it stands, curves as they grow, what tells that it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doubleread.errors import UserError
from doubleread.files import hash_of
from doubleread.nouns import State
from doubleread.report.charts import arm_curves, curves_page
from doubleread.store import Store, attempt_folder, finished, open_store, read_progress, standing
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
    document = store.study_document(name)
    looks = len(store.unsealings(name))
    return hash_of({"finished": finished(store, name), "document": document, "looks": looks})[:16]


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
        runs: dict[tuple[str, str], list[tuple[int, list[dict[str, Any]]]]] = {}
        for experiment, arm, seed, row in shown:
            if epochs := stored[row["run_id"]] or _under_way(root, row):
                runs.setdefault((experiment, arm.label), []).append((seed, epochs))
    curves = {
        experiment.name: [arm_curves(label, mine) for (name, label), mine in runs.items() if name == experiment.name]
        for experiment in study.experiments
    }
    return curves_page({experiment.name: experiment.title for experiment in study.experiments}, curves)


def _under_way(root: Path, row: Mapping[str, Any]) -> list[dict[str, float]]:
    if row["state"] != State.RUNNING:
        return []
    return read_progress(attempt_folder(root, row["run_id"], row["attempts"]))
