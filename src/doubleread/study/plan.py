"""From a study and its prepared sets to the runs that answer it, each with an identity of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from doubleread.files import canonical_json, hash_of
from doubleread.nouns import VARIED, Compute
from doubleread.recipe import Recipe
from doubleread.recipe.data import DataSpec
from doubleread.study.levels import Arm
from doubleread.study.parse import Study
from doubleread.study.variants import Variant

NUMERICS = 1
"""Raised only when golden traces change: runs of an older number are trained again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRun:
    """One recipe × one seed on one prepared set, to be trained once.

    `identity` is what `run_id` is the hash of; `uses` are the arms, of any experiment, that it stands for.
    """

    run_id: str
    recipe: Recipe
    intensity: str
    seed: int
    data_hash: str
    compute: Compute
    identity: dict[str, Any]
    uses: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """Return what a store is told of it before it is trained."""
        return {
            "run_id": self.run_id,
            "identity": self.identity,
            "recipe": self.recipe.complete(),
            "seed": self.seed,
            "data_hash": self.data_hash,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Every run of a study, each once; `run_of` finds the run of an arm and a seed.

    Runs stand seed by seed: whatever has finished when a study is stopped is as balanced over the arms as can be.
    """

    study: Study
    runs: tuple[PlannedRun, ...]
    run_of: Mapping[tuple[str, int], str]


def data_key(data: DataSpec) -> str:
    """Return the same text for two data specifications that ask for the same prepared set."""
    return canonical_json(data.preparation())


def identity_of(
    recipe: Recipe,
    intensity: str,
    seed: int,
    data_hash: str,
    compute: Compute,
    contents: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what makes a run the run it is: runs of equal identities are one run, trained once.

    `contents` has the hashes of files that its recipe names: `init` weights, the `source` of a model of the user's own.
    """
    return {
        "recipe": recipe.canonical(),
        "intensity": intensity,
        "seed": seed,
        "data": data_hash,
        "precision": compute.precision,
        "device": compute.device,
        "path": compute.path,
        "numerics": NUMERICS,
        **(contents or {}),
    }


def plan_runs(
    study: Study,
    data_hashes: Mapping[str, str],
    compute_of: Callable[[Arm, str], Compute],
    variants: Sequence[Variant] = (),
    contents_of: Callable[[Recipe], Mapping[str, str]] = lambda _recipe: {},
) -> Plan:
    """Return the plan of a study, and of its `variants` after it.

    `data_hashes` maps the `data_key` of each arm's data to its prepared set's hash; `compute_of` says how an arm is
    computed on a prepared set, `contents_of` what the files that it names hold: see `identity_of`.
    """
    runs: dict[str, PlannedRun] = {}
    uses: dict[str, list[str]] = {}
    run_of: dict[tuple[str, int], str] = {}
    varied = tuple(arm for variant in variants for arm in variant.arms.values())
    for seed, arm in [*product(study.seeds, study.arms), *product(study.seeds, varied)]:
        data_hash = data_hashes[data_key(arm.data)]
        run = _planned(arm, seed, data_hash, compute_of(arm, data_hash), contents_of(arm.recipe))
        runs.setdefault(run.run_id, run)
        uses.setdefault(run.run_id, []).append(arm.name)
        run_of[arm.name, seed] = run.run_id
    return Plan(
        study=study, runs=tuple(replace(run, uses=tuple(uses[key])) for key, run in runs.items()), run_of=run_of
    )


def limited(plan: Plan, seeds_of: Mapping[str, int]) -> Plan:
    """Return a plan of the first seeds of each arm alone: as many as `seeds_of` says, of variants as many as of their
    arm.
    """
    run_of = {(arm, seed): run for (arm, seed), run in plan.run_of.items() if seed < seeds_of[arm.partition(VARIED)[0]]}
    kept = set(run_of.values())
    return replace(plan, runs=tuple(run for run in plan.runs if run.run_id in kept), run_of=run_of)


def _planned(arm: Arm, seed: int, data_hash: str, compute: Compute, contents: Mapping[str, str]) -> PlannedRun:
    identity = identity_of(arm.recipe, arm.data.intensity, seed, data_hash, compute, contents)
    return PlannedRun(
        run_id=hash_of(identity)[:20],
        recipe=arm.recipe,
        intensity=arm.data.intensity,
        seed=seed,
        data_hash=data_hash,
        compute=compute,
        identity=identity,
        uses=(),
    )
