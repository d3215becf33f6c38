"""The finished runs of a study as a tracker gets them: settings, curves and numbers; no image and no case's name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import PurePath
from typing import Any

from doubleread.analysis.runs import RunReader, RunResult
from doubleread.errors import UserError
from doubleread.metrics import SCORES
from doubleread.nouns import VARIED, State
from doubleread.store import EPOCH_FIELDS, Store
from doubleread.study import TWIN, Arm, Study, leakage_variant, study_of, variants_of

Value = bool | int | float | str
FINISHED = frozenset({State.DONE, State.DIVERGED, State.FAILED})
PATHS = ("data.source", "model.init")
"""Parameters that may be a path; the way to a folder is nobody's business on a server."""
CURVES = tuple(name for name in EPOCH_FIELDS if name != "epoch")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedRun:
    """One finished run, trained once, whatever number of arms it stands for.

    `stamp` changes when the run has another end. `arm` is the first of `arms`. `parameters` are its recipe and data by
    dotted names, `varied` those of them in which the study's arms differ. `epochs` maps the name of a curve to its
    value, epoch by epoch, without what does not exist; `moments` are the ends of the epochs and `started` and
    `finished` those of the run, in seconds since 1970. `metrics` are of the finished run; none of test while it is
    sealed, and none at all of a run that diverged or failed. `environment` is what it was trained with.
    """

    run_id: str
    stamp: str
    study: str
    arm: str
    arms: tuple[str, ...]
    experiments: tuple[str, ...]
    seed: int
    state: State
    reason: str | None
    health: dict[str, bool]
    parameters: dict[str, Value]
    varied: frozenset[str]
    epochs: tuple[dict[str, float], ...]
    moments: tuple[float, ...]
    metrics: dict[str, float]
    environment: dict[str, Value]
    started: float | None
    finished: float
    weights_hash: str | None

    @property
    def name(self) -> str:
        """What the run is called."""
        return f"{self.arm}, seed {self.seed}"

    @property
    def facts(self) -> dict[str, str]:
        """What is said of a run beside parameters and numbers; what does not exist is left out."""
        found: dict[str, Value | None] = {
            "run_id": self.run_id,
            "stamp": self.stamp,
            "study": self.study,
            "arms": "; ".join(self.arms),
            "experiments": ", ".join(self.experiments),
            "state": self.state.value,
            "reason": self.reason,
            **self.health,
            "weights_hash": self.weights_hash,
            "version": self.environment.get("packages.doubleread"),
            **{f"environment.{name}": value for name, value in self.environment.items()},
        }
        return {name: text_of(value) for name, value in found.items() if value not in (None, "")}

    def curve_points(self) -> list[tuple[str, float, int, float]]:
        """Return every point of the curves: name, value, epoch from 0, the moment that it was measured."""
        return [
            (f"epoch/{name}", value, number, moment)
            for number, (epoch, moment) in enumerate(zip(self.epochs, self.moments, strict=True))
            for name, value in epoch.items()
        ]

    def final_points(self) -> list[tuple[str, float, int, float]]:
        """Return the metrics of the finished run in the same form, at its last epoch."""
        last = max(len(self.epochs) - 1, 0)
        return [(shown_name(name), value, last, self.finished) for name, value in self.metrics.items()]


class FinishedRuns:
    """The finished runs of a study: the stamp of each, and each in full when it is asked for.

    Raises:
        UserError: the store does not have the study.
    """

    def __init__(self, store: Store, study: str, *, sealed: bool = False) -> None:
        document = store.study_document(study)
        if document is None:
            known = ", ".join(one["name"] for one in store.studies()) or "none"
            raise UserError(f"--store {store.root}", f"no study {study}", f"it has {known}", "train it first")
        found = study_of(document)
        self.study, self._store, self._sealed = study, store, found.sealed or sealed
        self._reader = RunReader(store, [], document.get("data", {}), self._sealed)
        self._varied = varied_in([settings_of(arm, arm.recipe.complete()) for arm in found.arms])
        self._environments: dict[str, dict[str, Value]] = {}
        self._uses = _uses(found, [row for row in store.runs_of(study) if row["state"] in FINISHED])
        self.stamps = {run_id: self._stamp(uses[0][1]) for run_id, uses in self._uses.items()}

    def read(self, run_id: str) -> TrackedRun:
        """Return one of them in full.

        Raises:
            UserError, WorkFailed: its images or logits are gone or damaged.
        """
        uses = self._uses[run_id]
        (arm, row), arms = uses[0], [arm for arm, _ in uses]
        # one at a time: what a study of thousands of runs leaves behind would fill the memory
        self._reader.epochs = self._store.epochs_of([run_id])
        (result,) = self._reader.runs(arm, [row])
        self._reader.results.clear()
        finished = _seconds(row["finished"])
        return TrackedRun(
            run_id=run_id,
            stamp=self.stamps[run_id],
            study=self.study,
            arm=arm.name,
            arms=tuple(arm.name for arm in arms),
            experiments=tuple(dict.fromkeys(arm.experiment for arm in arms)),
            seed=row["seed"],
            state=result.state,
            reason=result.reason,
            health=result.health,
            parameters={**settings_of(arm, row["recipe"]), **_computed(row)},
            varied=self._varied,
            epochs=tuple(_existing(epoch, CURVES) for epoch in result.epochs),
            moments=_moments(result.epochs, finished),
            metrics=_metrics(result, row),
            environment=self._environment(row),
            started=_seconds(row["started"]) if row["started"] is not None else None,
            finished=finished,
            weights_hash=result.weights_hash,
        )

    def _stamp(self, row: Mapping[str, Any]) -> str:
        return f"{row['state']} {row['finished']}{' sealed' if self._sealed else ''}"

    def _environment(self, row: Mapping[str, Any]) -> dict[str, Value]:
        key = row["environment"]
        if key is None:
            return {}
        if key not in self._environments:
            self._environments[key] = flat(self._store.environments([row["run_id"]])[0])
        return self._environments[key]


def settings_of(arm: Arm, recipe: Mapping[str, Any]) -> dict[str, Value]:
    """Return a recipe and the data of an arm by dotted names, every default written out; of a path, its last part."""
    settings = flat({**recipe, "data": arm.data.model_dump(mode="json")})
    for name in PATHS:
        if isinstance(path := settings.get(name), str):
            settings[name] = PurePath(path).name or path
    return settings


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    """Return the leaves of nested mappings by dotted names; a list is its JSON, nothing is `none`."""
    leaves: dict[str, Value] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool | int | float | str):
            leaves[f"{prefix}{name}"] = value
        else:
            leaves[f"{prefix}{name}"] = "none" if value is None else json.dumps(value)
    return leaves


def varied_in(settings: Sequence[Mapping[str, Value]]) -> frozenset[str]:
    """Return the names whose values differ, or which some do not have."""
    names = {name for one in settings for name in one}
    return frozenset(name for name in names if len({repr(one.get(name)) for one in settings}) > 1)


def text_of(value: Value | None) -> str:
    """Return a value as a study file would have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown_name(metric: str) -> str:
    """Return a metric's name with what it was measured on before it: `test/accuracy`, `val/accuracy`, `run/seconds`."""
    if metric in SCORES:
        return f"test/{metric}"
    if metric.startswith("val_") and metric.removeprefix("val_") in SCORES:
        return f"val/{metric.removeprefix('val_')}"
    return f"run/{metric}"


def _uses(study: Study, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[Arm, Mapping[str, Any]]]]:
    """Return for each run its arms, in the order of the study, each with its row; what the study has no more is not."""
    order = {arm.name: (number, arm) for number, arm in enumerate(_arms(study, rows))}
    found: dict[str, list[tuple[Arm, Mapping[str, Any]]]] = {}
    for row in sorted((row for row in rows if row["arm"] in order), key=lambda row: order[row["arm"]][0]):
        arm = order[row["arm"]][1]
        asked = {"recipe": arm.recipe.canonical(), "intensity": arm.data.intensity}
        if asked.items() <= json.loads(row["identity"]).items():
            found.setdefault(row["run_id"], []).append((arm, row))
    return found


def _arms(study: Study, rows: Sequence[Mapping[str, Any]]) -> list[Arm]:
    """Return the arms of a study, then those of alternatives and of the split by groups, where they were trained."""
    arms, names = list(study.arms), {row["arm"] for row in rows}
    if any(VARIED in name and not name.endswith(TWIN) for name in names):
        arms += [arm for variant in variants_of(study) for arm in variant.arms.values()]
    if any(name.endswith(TWIN) for name in names):
        arms += leakage_variant(study).arms.values()
    return arms


def _computed(row: Mapping[str, Any]) -> dict[str, Value]:
    identity = json.loads(row["identity"])
    found: dict[str, Value] = {f"computed.{name}": identity[name] for name in ("device", "precision", "path")}
    return {**found, "data.hash": row["data_hash"], "seed": row["seed"]}


def _metrics(result: RunResult, row: Mapping[str, Any]) -> dict[str, float]:
    if result.state is not State.DONE:
        return {}
    cost = ("cpu_seconds", "peak_bytes")
    return {**_existing(result.metrics, list(result.metrics)), **_existing(row, cost)}


def _existing(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    # a store of an older version has fewer columns
    found = {name: values[name] for name in names if values.get(name) is not None}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _moments(epochs: Sequence[Mapping[str, Any]], finished: float) -> tuple[float, ...]:
    """Return when each epoch ended, backwards from the end: a run that was interrupted has gaps at its beginning."""
    later = list(accumulate((epoch["seconds"] for epoch in reversed(epochs)), initial=0.0))
    return tuple(finished - seconds for seconds in reversed(later[:-1]))


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
