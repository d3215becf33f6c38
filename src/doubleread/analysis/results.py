"""Every run of a study with its metrics, every arm with its spread over the seeds, as a store has them."""

from __future__ import annotations

import json
import math
import os
import shlex
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from doubleread.analysis.audited import Audited, audited
from doubleread.analysis.claims import ClaimResult, judge_claims, with_bootstrap
from doubleread.analysis.ensembles import ensemble_of
from doubleread.analysis.evidence import Evidence, RunScores, Unpaired, case_covariance, cases_behind
from doubleread.analysis.gap import Gaps, gaps_of
from doubleread.analysis.looking import judge_at_looks, looks_taken
from doubleread.analysis.registered import Registration, registration
from doubleread.analysis.runs import RunReader, RunResult
from doubleread.analysis.settings import Setting, judge_settings
from doubleread.dataset import PreparedSet
from doubleread.errors import UserError
from doubleread.metrics import needs_test
from doubleread.nouns import VARIED, State
from doubleread.stats import Estimate, contrast, prediction_interval
from doubleread.store import HEALTH, Store
from doubleread.study import TWIN, Arm, Study, Variant, data_key, leakage_variant, study_of, variants_of

MANY_RUNS, ENOUGH_RUNS, FEWEST = 300, 120, 10
"""From how many runs on the gap is taken from fewer, how many that are, and seeds of an arm that it has in any case."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A metric of one arm over its finished seeds: mean, standard deviation (n − 1), each value, intervals.

    `lo` and `hi` bound the 95 % interval of the mean, which counts the seeds and the cases; `predicted_lo` and
    `predicted_hi` that of one more run on as many new cases. NaN where one seed says nothing about them.
    """

    mean: float
    sd: float
    values: tuple[float, ...]
    lo: float = math.nan
    hi: float = math.nan
    predicted_lo: float = math.nan
    predicted_hi: float = math.nan


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """One arm over its seeds. Only finished runs enter `spreads`; `counts` has runs by state and by health flag."""

    arm: Arm
    runs: tuple[RunResult, ...]

    @cached_property
    def done(self) -> tuple[RunResult, ...]:
        """The finished runs, by seed."""
        return tuple(run for run in self.runs if run.state is State.DONE)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many runs are in each state, and how many finished ones have each health flag."""
        states = {state.value: sum(run.state is state for run in self.runs) for state in State}
        return states | {flag: sum(run.health[flag] for run in self.done) for flag in HEALTH}

    @cached_property
    def spreads(self) -> dict[str, Spread]:
        """Every metric over the finished seeds; empty where none has finished."""
        if not self.done:
            return {}
        return {name: self._with_intervals(name) for name in self.done[0].metrics}

    @cached_property
    def scores(self) -> tuple[RunScores, ...]:
        """The finished runs as the statistics see them."""
        return tuple(run.scores() for run in self.done)

    @cached_property
    def ensemble(self) -> Mapping[str, Estimate]:
        """The finished seeds averaged as one predictor, by metric: see `ensemble_of`."""
        return ensemble_of(self.scores)

    def _with_intervals(self, name: str) -> Spread:
        spread = spread_of([run.metrics[name] for run in self.done])
        if len(self.done) < 2:
            return spread
        try:
            covariance = case_covariance(name, self.scores)
        except Unpaired:
            return spread
        seeds, cases = len(self.done), cases_behind(name, self.scores[0]) or 1
        shaped = None if covariance is None else covariance[None, :, None, :]
        estimate = contrast(np.array([spread.values]), np.ones(1), shaped)
        low, high = prediction_interval(estimate, seeds, cases, cases)
        return replace(spread, lo=estimate.lo, hi=estimate.hi, predicted_lo=low, predicted_hi=high)


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """A study as far as it has been trained.

    `varied` maps the names of variants' arms to their runs, where alternatives of assumptions were trained too;
    `grouped` the names of arms to their runs on a split by groups, where leakage is measured. While it is `sealed`, no
    test score exists in it; `unsealings` has each time that they were looked at, `at` and `done` runs.
    """

    study: Study
    arms: tuple[ArmResult, ...]
    data: tuple[PreparedSet, ...]
    environments: tuple[dict[str, Any], ...]
    variants: tuple[Variant, ...]
    varied: dict[str, tuple[RunResult, ...]]
    grouped: dict[str, tuple[RunResult, ...]]
    registration: Registration | None
    sealed: bool
    unsealings: tuple[dict[str, Any], ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The negative and the positive class, or all of more than two."""
        return self.data[0].classes

    def of(self, arm: str) -> ArmResult:
        """Return the result of the arm of that name."""
        return next(result for result in self.arms if result.arm.name == arm)

    @cached_property
    def evidence(self) -> Evidence:
        """All finished runs as the statistics see them."""
        diverged = {arm.arm.name: arm.counts[State.DIVERGED] for arm in self.arms}
        return Evidence((scores for arm in self.arms for scores in arm.scores), diverged)

    @cached_property
    def claims(self) -> tuple[ClaimResult, ...]:
        """The study's claims with their verdicts; while the test images are sealed, those that do not need them."""
        study = self.study
        if study.looks is None:
            judged = judge_claims(study.claims, self.evidence)
        else:
            states = {(run.arm, run.seed): run.state for arm in self.arms for run in arm.runs}
            judged = judge_at_looks(study.claims, self.evidence, study.looks, looks_taken(study.looks, states))
        shown = [result for result in judged if not (self.sealed and needs_test(result.claim.metric))]
        return tuple(with_bootstrap(result, self.evidence) for result in shown)

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The claims under every alternative of the assumptions that has been trained."""
        done = {name: [run.scores() for run in runs if run.state is State.DONE] for name, runs in self.varied.items()}
        return judge_settings(self.study, self.evidence, self.variants, done) if done else ()

    @cached_property
    def gaps(self) -> Gaps:
        """Why validation and test differ, arm by arm and over the arms; of two classes, and none while they are sealed.

        Of studies with more than `MANY_RUNS` runs, from the first seeds of each arm: their number is shown.
        """
        if self.sealed or len(self.classes) > 2:
            return gaps_of({}, {}, ())
        many = sum(len(arm.scores) for arm in self.arms) > MANY_RUNS
        most = max(FEWEST, ENOUGH_RUNS // len(self.arms)) if many else None
        twins = {name: [run.scores() for run in runs if run.state is State.DONE] for name, runs in self.grouped.items()}
        return gaps_of({arm.arm.name: arm.scores[:most] for arm in self.arms}, twins, self.study.thresholds)

    @cached_property
    def audits(self) -> tuple[Audited, ...]:
        """The audit of each of the study's prepared sets."""
        return tuple(audited(data, sealed=self.sealed) for data in self.data)

    def counts(self) -> dict[str, int]:
        """Return how many different runs there are in each state, and in all as `planned`."""
        states = {run.run_id: run.state for arm in self.arms for run in arm.runs}
        found = list(states.values())
        return {state.value: found.count(state) for state in State} | {"planned": len(found)}


def spread_of(values: list[float]) -> Spread:
    """Return mean and SD of a metric over seeds.

    The mean is that of exact sums, so equal values give exactly their mean and an SD of 0.
    """
    mean = math.fsum(values) / len(values)
    sd = statistics.stdev(values) if len(values) > 1 and not any(map(math.isnan, values)) else math.nan
    return Spread(mean=mean, sd=sd, values=tuple(values))


def analyse(study: Study, store: Store, *, unsealed: bool = False) -> StudyResult:
    """Return what the store has of a study, for the seeds that the study names.

    Of a sealed study without its test scores, unless it is `unsealed`, which the caller writes down.

    Raises:
        UserError: the store has no run of it.
    """
    rows = {(row["arm"], row["seed"]): row for row in store.runs_of(study.name)}
    document = store.study_document(study.name)
    if document is not None:
        _refuse_changed(study, study_of(document), rows)
    wanted = [(arm, [rows[arm.name, seed] for seed in study.seeds if (arm.name, seed) in rows]) for arm in study.arms]
    if not any(found for _, found in wanted):
        command = f"doubleread run {shlex.quote(_called(study))}"
        raise UserError(f"--store {store.root}", f"no run of {study.name}", "", f"train it first: {command}")
    variants = variants_of(study) if any(VARIED in name and not name.endswith(TWIN) for name, _ in rows) else ()
    varied = [(arm, _as_trained(arm, study, rows)) for variant in variants for arm in variant.arms.values()]
    twins = leakage_variant(study).arms if study.measures_leakage else {}
    grouped = {name: (twin, _as_trained(twin, study, rows)) for name, twin in twins.items()}
    every = [row for _, found in [*wanted, *varied, *grouped.values()] for row in found]
    # a set may be shared by studies that asked for it otherwise: what is said about it is what this study knows
    facts = (document or {}).get("data", {})
    sealed = study.sealed and not unsealed
    read = RunReader(store, [row["run_id"] for row in every], facts, sealed)
    arms = tuple(ArmResult(arm=arm, runs=read.runs(arm, found)) for arm, found in wanted)
    return StudyResult(
        study=study,
        arms=arms,
        data=tuple({run.data.data_hash: run.data for arm in arms for run in arm.runs}.values()),
        environments=tuple(store.environments(list({row["run_id"]: None for row in every}))),
        variants=variants,
        varied={arm.name: read.runs(arm, found) for arm, found in varied if found},
        grouped={name: read.runs(twin, found) for name, (twin, found) in grouped.items() if found},
        registration=registration(store.registered_claims(study.name), study.claims),
        sealed=sealed,
        unsealings=tuple(store.unsealings(study.name)),
    )


def stored_evidence(study: Study, run_of: Mapping[tuple[str, int], str], store: Store) -> Evidence:
    """Return the finished runs that a store already has of a plan, whatever study they were trained for."""
    rows = store.rows_of(set(run_of.values()))
    read = RunReader(store, list(rows), {}, study.sealed)
    found = []
    for arm in study.arms:
        mine = [rows[run_of[arm.name, seed]] for seed in study.seeds if run_of[arm.name, seed] in rows]
        done = [row for row in mine if row["state"] == State.DONE]
        found += [run.scores() for run in read.runs(arm, [{**row, "arm": arm.name} for row in done])]
    return Evidence(found)


def _called(study: Study) -> str:
    """Return what `doubleread run` takes for a study: its file, as one would call it here, or its name."""
    return study.name if study.path is None else min(study.path, os.path.relpath(study.path), key=len)


def _as_trained(arm: Arm, study: Study, rows: Mapping[tuple[str, int], Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of a variant's arm that were trained with the recipe that it has today."""
    asked = {"recipe": arm.recipe.canonical(), "intensity": arm.data.intensity}
    found = [rows[arm.name, seed] for seed in study.seeds if (arm.name, seed) in rows]
    return [row for row in found if asked.items() <= json.loads(row["identity"]).items()]


def _refuse_changed(study: Study, trained: Study, rows: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
    """Stop where an arm's recipe or data is not the one that its stored runs were trained with.

    Raises:
        UserError: it is not.
    """
    data_of = {arm.name: data_key(arm.data) for arm in trained.arms}
    for arm in study.arms:
        mine = [row for (name, _), row in rows.items() if name == arm.name]
        asked = {"recipe": arm.recipe.canonical(), "intensity": arm.data.intensity}
        known = all(asked.items() <= json.loads(row["identity"]).items() for row in mine)
        if mine and not (known and data_of.get(arm.name) == data_key(arm.data)):
            raise UserError(
                f"{study.place}, arm {arm.name}",
                "its recipe or data is not the one that was trained",
                "",
                f"run the study again, or name it as the store does: {study.name}",
            )


def best_runs(result: StudyResult) -> set[str]:
    """Return the run of each arm with the highest validation AUROC; of equal ones, that with the lowest seed."""
    name = "val_auroc" if len(result.classes) == 2 else "val_macro_auroc"
    ranked = [max(arm.done, key=lambda run: (run.metrics[name], -run.seed)) for arm in result.arms if arm.done]
    return {run.run_id for run in ranked}
