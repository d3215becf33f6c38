"""The runs of a store, read once each: states, health, metrics, logits and what they belong to."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from doubleread.analysis.evidence import CaseSet, RunScores
from doubleread.dataset import PreparedSet, open_prepared
from doubleread.errors import WorkFailed
from doubleread.metrics import curve_metrics, scored_by
from doubleread.nouns import State
from doubleread.store import HEALTH, Logits, Store, read_logits
from doubleread.study import Arm


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One arm and seed: its state and, where it is done, health, metrics, epochs and logits.

    `metrics` has every metric that is known of it; a value that does not exist is NaN. `case_sets` are the test and the
    validation cases that `logits` belong to.
    """

    arm: str
    seed: int
    run_id: str
    state: State
    reason: str | None
    health: dict[str, bool]
    metrics: dict[str, float]
    epochs: list[dict[str, Any]]
    logits: Logits | None
    data: PreparedSet
    weights_hash: str | None
    case_sets: tuple[CaseSet, CaseSet] | None

    def scores(self) -> RunScores:
        """Return the run as the statistics see it; only a finished one has scores."""
        assert self.logits is not None, "a finished run has logits"
        assert self.case_sets is not None, "and their cases"
        logits = self.logits
        return RunScores(
            arm=self.arm,
            seed=self.seed,
            collapsed=self.health["collapsed"],
            metrics=self.metrics,
            test=(self.case_sets[0], logits.test),
            val=(self.case_sets[1], logits.val),
        )


class RunReader:
    """Reads runs out of a store, each once, with what they share."""

    def __init__(self, store: Store, run_ids: Sequence[str], facts: Mapping[str, Any], sealed: bool) -> None:
        self.store, self.facts, self.sealed = store, facts, sealed
        self.epochs = store.epochs_of(list(dict.fromkeys(run_ids)))
        self.case_sets = _CaseSets()
        self.results: dict[str, RunResult] = {}
        self.prepared: dict[str, PreparedSet] = {}

    def runs(self, arm: Arm, rows: Sequence[Mapping[str, Any]]) -> tuple[RunResult, ...]:
        """Return the runs of one arm."""
        return tuple(_named(self._run(row), arm.name) for row in rows)

    def _run(self, row: Mapping[str, Any]) -> RunResult:
        run_id, key = row["run_id"], row["data_hash"]
        if key not in self.prepared:
            self.prepared[key] = _prepared(self.store, key, self.facts)
        if run_id not in self.results:
            logits = _logits(self.store, row, self.sealed) if row["state"] == State.DONE else None
            self.results[run_id] = _run_result(row, self.epochs[run_id], self.prepared[key], logits, self.case_sets)
        return self.results[run_id]


def _prepared(store: Store, key: str, facts: Mapping[str, Any]) -> PreparedSet:
    data = open_prepared(store.data_folder / key)
    return replace(data, meta=facts[key]) if key in facts else data


class _CaseSets:
    """The case sets of runs, each made once: a study's runs mostly share theirs."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bytes], CaseSet] = {}

    def of(self, data: PreparedSet, rows: np.ndarray) -> CaseSet:
        key = (data.data_hash, rows.tobytes())
        if key not in self._made:
            cases = [data.cases[row] for row in rows]
            self._made[key] = CaseSet(
                names=tuple(case.case for case in cases),
                labels_N=data.labels[rows],
                subjects_N=np.array([case.subject for case in cases]),
            )
        return self._made[key]


def _named(run: RunResult, arm: str) -> RunResult:
    return run if run.arm == arm else RunResult(**{**run.__dict__, "arm": arm})


def _run_result(
    row: Mapping[str, Any],
    epochs: list[dict[str, Any]],
    data: PreparedSet,
    logits: Logits | None,
    case_sets: _CaseSets,
) -> RunResult:
    return RunResult(
        arm=row["arm"],
        seed=row["seed"],
        run_id=row["run_id"],
        state=State(row["state"]),
        reason=row["reason"],
        health={flag: bool(row[flag]) for flag in HEALTH} if logits is not None else {},
        metrics=_metrics(row, epochs, data.labels, logits) if logits is not None else {},
        epochs=epochs,
        logits=logits,
        data=data,
        weights_hash=row["weights_hash"],
        case_sets=(case_sets.of(data, logits.test_rows), case_sets.of(data, logits.val_rows)) if logits else None,
    )


def _logits(store: Store, row: Mapping[str, Any], sealed: bool) -> Logits:
    try:
        return read_logits(store.root, row["run_id"], sealed=sealed)
    except (OSError, ValueError) as error:
        raise WorkFailed(
            f"{row['arm']}, seed {row['seed']}: its logits are gone or damaged ({error}); doubleread status --store"
            f" {shlex.quote(str(store.root))} --verify lists all that is, then doubleread run trains just that again"
        ) from error


def _metrics(
    row: Mapping[str, Any], epochs: list[dict[str, Any]], labels: np.ndarray, logits: Logits
) -> dict[str, float]:
    last = epochs[-1]
    metrics = scored_by(logits.val)
    of_val = {f"val_{name}": metric(labels[logits.val_rows], logits.val) for name, metric in metrics.items()}
    of_test: dict[str, float] = {}
    if len(logits.test_rows):
        of_test = {name: metric(labels[logits.test_rows], logits.test) for name, metric in metrics.items()}
        of_test["gap"] = of_val["val_accuracy"] - of_test["accuracy"]
        of_test["train_gap"] = last["train_accuracy"] - of_test["accuracy"]
    return {
        **of_test,
        **of_val,
        **curve_metrics(epochs),
        "train_loss": last["train_loss"],
        "train_accuracy": last["train_accuracy"],
        "val_loss": last["val_loss"],
        "lowest_train_loss": min(epoch["train_loss"] for epoch in epochs),
        "seconds": row["seconds"],
    }
