"""One study from its file to its finished runs: prepare the data, plan, drive."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubleread.dataset import PreparedSet, prepare
from doubleread.engines import LocalExecutor
from doubleread.images import open_source
from doubleread.recipe.data import DataSpec
from doubleread.runner.drive import Counts, drive
from doubleread.runner.progress import Show
from doubleread.store import Store
from doubleread.study import Plan, PlannedRun, Study, data_key, parse_study, plan_runs

# torch imports its compiler at the first optimizer step, 1.6 s of every run unless the server has it already
PRELOAD = ("torch._dynamo", "doubleread.runner.task")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study with its data at hand: the prepared sets by data hash, and the plan of its runs."""

    sets: dict[str, PreparedSet]
    plan: Plan


def prepare_study(study: Study, cache: Path, show: Show) -> Prepared:
    """Prepare every set that the arms of a study ask for (most ask for one) in `cache`, and plan the runs.

    Raises:
        UserError: the images do not fit the study; see `dataset.prepare`.
    """
    sets: dict[str, PreparedSet] = {}
    hash_of: dict[str, str] = {}
    wanted: dict[str, DataSpec] = {data_key(arm.data): arm.data for arm in study.arms}
    for key, data in wanted.items():
        place = "data.source (--data)" if "data.source" in study.overrides else f"{study.place}, data.source"
        prepared = prepare(open_source(data.source, kind=data.kind, place=place), data, cache, show.reading)
        sets[prepared.data_hash] = prepared
        hash_of[key] = prepared.data_hash
    return Prepared(sets=sets, plan=plan_runs(study, hash_of))


def train_study(prepared: Prepared, store: Store, *, workers: int | None, show: Show) -> Counts:
    """Train what the store lacks of a planned study, `workers` runs at a time (default: one for each core)."""
    plan = prepared.plan
    store.recover()
    store.save_plan(plan.study.name, document_of(plan.study), [_row(run) for run in plan.runs], plan.run_of)
    show.planned({run.run_id: (f"{run.uses[0]}, seed {run.seed}", run.recipe.epochs) for run in plan.runs})
    with LocalExecutor(workers or os.cpu_count() or 1, PRELOAD) as executor:
        return drive(plan, prepared.sets, store, executor, keep_weights=plan.study.keep_weights, show=show.study)


def document_of(study: Study) -> dict[str, Any]:
    """Return what a store keeps of a study: enough to have it again."""
    return {"file": study.raw, "overrides": study.overrides, "place": study.place}


def study_of(document: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Study:
    """Return a study that a store has kept, with further overrides."""
    return parse_study(
        document["file"], place=document["place"], overrides={**document["overrides"], **(overrides or {})}
    )


def _row(run: PlannedRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "identity": run.identity,
        "recipe": run.recipe.complete(),
        "seed": run.seed,
        "data_hash": run.data_hash,
    }
