"""One study from its file to its finished runs: prepare the data, plan, drive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from doubleread.dataset import PreparedSet, prepare
from doubleread.dataset.audit import measured_of
from doubleread.engines import LocalExecutor
from doubleread.errors import UserError
from doubleread.images import open_source
from doubleread.metrics import CASE_METRICS, CLASS_METRICS, SCORES
from doubleread.nouns import SPLITS, Compute, Source, bits_of
from doubleread.recipe import Linear, Mlp, Recipe
from doubleread.recipe.data import DataSpec
from doubleread.runner.care import Care
from doubleread.runner.counts import Counts
from doubleread.runner.drive import FINISHED, drive
from doubleread.runner.engines import device_of, open_engine
from doubleread.runner.progress import Show
from doubleread.runner.resume import discard_unfit, tell_changed, tell_kinds, tell_mixture
from doubleread.runner.units import room_on_device
from doubleread.store import Store, lost
from doubleread.study import (
    Arm,
    EngineChoice,
    Plan,
    Study,
    Variant,
    data_key,
    default_thresholds,
    document_of,
    engine_of,
    engine_planned,
    leakage_variant,
    plan_runs,
    study_of,
)
from doubleread.training import compute_of
from doubleread.training.model import contents_of, start_of, try_model


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study with its data at hand: the prepared sets by data hash, and the plan of its runs.

    `own` are the hashes of the sets of the study's own arms, not of what stands beside them.
    """

    sets: dict[str, PreparedSet]
    own: tuple[str, ...]
    plan: Plan


def prepare_study(
    study: Study,
    cache: Path,
    show: Show,
    variants: Sequence[Variant] = (),
    device: str = "auto",
    *,
    refuse: bool = True,
    given: Source | None = None,
    engine: EngineChoice | None = None,
) -> Prepared:
    """Prepare and audit every set that the arms of a study ask for (most ask for one) in `cache`, and plan the runs.

    `variants` are alternatives of its assumptions that are to be trained as well, as are the arms on a split by groups
    where the study measures leakage; `device` is where: `auto` (CUDA where there is one), `cpu` or `cuda`, on the
    machines of `engine`. With `refuse` false a known leak does not stop it. `given` are images to be used instead of
    those that the study names.

    Raises:
        UserError: the images do not fit the study (see `dataset.prepare`), or there is no such device.
    """
    if study.measures_leakage:
        variants = (*variants, leakage_variant(study))
    where = device_of(engine or engine_planned(study.engine, None), device)
    said: set[str] = set()
    own = dict.fromkeys(data_key(arm.data) for arm in study.arms)
    sets: dict[str, PreparedSet] = {}
    hash_of: dict[str, str] = {}
    arms = [*study.arms, *(arm for variant in variants for arm in variant.arms.values())]
    wanted: dict[str, DataSpec] = {data_key(arm.data): arm.data for arm in arms}
    for key, data in wanted.items():
        place = "data.source (--data)" if "data.source" in study.overrides else f"{study.place}, data.source"
        columns = data.columns.named() if data.columns is not None else None
        source = given or open_source(data.source, kind=data.kind, columns=columns, place=place)
        prepared = prepare(source, data, cache, show.reading, refuse=refuse)
        _check_every_seed(prepared, study)
        for remark in prepared.remarks():
            if remark not in said:
                show.remark(remark)
            said.add(remark)
        if key in own:
            measured_of(prepared, show.reading, keep=True)
        # where an arm and its twin come to the same set, it is the arm's
        sets.setdefault(prepared.data_hash, prepared)
        hash_of[key] = prepared.data_hash

    contents: dict[str, dict[str, str]] = {}

    def contents_once(recipe: Recipe) -> dict[str, str]:
        key = str(recipe.model)
        if key not in contents:
            contents[key] = contents_of(recipe)
        return contents[key]

    def computed(arm: Arm, data_hash: str) -> Compute:
        data = sets[data_hash]
        intensity, classes, bits = arm.data.intensity, len(data.classes), bits_of(data.images)
        return compute_of(arm.recipe, where, intensity=intensity, classes=classes, bits=bits)

    plan = plan_runs(study, hash_of, computed, variants, contents_once)
    check_classes(study, plan, sets)
    for remark in _tried(plan, sets):
        show.remark(remark)
    return Prepared(sets=sets, own=tuple(dict.fromkeys(hash_of[key] for key in own)), plan=plan)


def check_classes(study: Study, plan: Plan, sets: Mapping[str, PreparedSet]) -> None:
    """Check that recipes, claims and what was reported fit the classes of the images.

    Raises:
        UserError: one does not.
    """
    numbers = {len(data.classes) for data in sets.values()}
    if len(numbers) > 1:
        raise UserError(f"{study.place}, data.source", "its levels have different numbers of classes", "expected one")
    (classes,) = numbers
    for run in plan.runs:
        loss, place = run.recipe.loss, f"{study.place}, arm {run.uses[0]}, loss"
        if loss.name == "bce" and classes > 2:
            raise UserError(place, f"bce is for two classes, the images have {classes}", "expected ce or focal")
        if not isinstance(loss.class_weights, str) and len(loss.class_weights) != classes:
            found = f"{len(loss.class_weights)} class weights for {classes} classes"
            raise UserError(f"{place}.class_weights", found, "expected one for each", "or balanced")
    if classes > 2:
        _refuse_for_two_classes(study, classes)
    known = CASE_METRICS if classes == 2 else CLASS_METRICS
    reported = [(metric, f"experiments.{e.name}.reported") for e in study.experiments for metric in e.reported]
    for metric, where in [*((claim.metric, f"claims.{claim.id}") for claim in study.claims), *reported]:
        name = metric.removeprefix("val_")
        if name in SCORES and name not in known:
            found = f"{metric} is not a metric of {classes} classes"
            raise UserError(f"{study.place}, {where}", found, f"expected one of {', '.join(known)}")


def _refuse_for_two_classes(study: Study, classes: int) -> None:
    """Refuse what a study asks for that only two classes have."""
    if study.measures_leakage:
        raise UserError(
            f"{study.place}, gap.leakage", f"the parts of the gap are for two classes, not {classes}", "", "delete it"
        )
    if study.thresholds != default_thresholds():
        raise UserError(
            f"{study.place}, threshold", f"it has no effect with {classes} classes, not two", "", "delete it"
        )


def _tried(plan: Plan, sets: dict[str, PreparedSet]) -> list[str]:
    """Build every model of a plan once and show it images; return what is to be said about how they start.

    Raises:
        UserError: one cannot be built, or does not take these images.
    """
    remarks: dict[str, None] = {}
    seen: set[tuple[str, str, tuple[int, int], str]] = set()
    for run in plan.runs:
        recipe = run.recipe
        key = (str(recipe.model), str(recipe.loss), (recipe.batch_size, recipe.accumulate), run.data_hash)
        # what a perceptron takes is known
        if key in seen or (isinstance(recipe.model, Mlp | Linear) and recipe.model.init is None):
            continue
        seen.add(key)
        data = sets[run.data_hash].run_data(run.seed)
        try_model(recipe, data)
        if (start := start_of(recipe, data)) is not None:
            remarks[start.in_words()] = None
    return list(remarks)


def _check_every_seed(data: PreparedSet, study: Study) -> None:
    if data.meta["split_per_seed"] is None:
        return
    for seed in study.seeds:
        drawn = data.run_data(seed)
        for split in SPLITS:
            if len(set(data.labels[drawn.rows(split)].tolist())) < len(data.classes):
                raise UserError(
                    f"{study.place}, data.split",
                    f"seed {seed} draws a {split} part without every class",
                    "expected every class in each split",
                    "use more images, another fraction, or another seed of the split",
                )


def train_study(
    prepared: Prepared,
    store: Store,
    *,
    workers: int | None,
    show: Show,
    care: Care | None = None,
    engine: EngineChoice | None = None,
) -> Counts:
    """Train what the store lacks of a planned study, `workers` runs at a time (default: see `default_workers`).

    `engine` is where, by default what the study says.

    The store has been brought in order: see `store.recover`.
    """
    plan = prepared.plan
    facts = {key: data.meta for key, data in prepared.sets.items()}
    _refuse_other_file(plan.study, store)
    tell_changed(plan, store, show.remark)
    before = store.study_document(plan.study.name)
    if before is not None and study_of(before).sealed and not plan.study.sealed:
        # from now on every report shows the test scores: that is a look
        store.unseal(plan.study.name)
    store.save_plan(
        plan.study.name,
        {**document_of(plan.study), "data": facts},
        [run.row() for run in plan.runs],
        plan.run_of,
        {claim.id: claim.canonical() for claim in plan.study.claims},
    )
    engine = engine or engine_of(plan.study.engine, None, plan.study.place)
    _look_back(plan, store, show, elsewhere=engine.name != "local")
    show.planned({run.run_id: (f"{run.uses[0]}, seed {run.seed}", run.recipe.epochs) for run in plan.runs})
    with open_engine(engine, plan, prepared.sets, store, workers, show) as executor:
        counts = drive(
            plan,
            prepared.sets,
            store,
            executor,
            keep_weights=plan.study.keep_weights,
            # how much memory a device elsewhere has is not known: fractions of one hold runs, not stacks of them
            room=room_on_device() // executor.workers if isinstance(executor, LocalExecutor) else 0,
            care=care,
            show=show.study,
            remark=show.remark,
        )
    if engine.name != "local":
        tell_kinds(plan, store, show.remark)
    return counts


def _look_back(plan: Plan, store: Store, show: Show, *, elsewhere: bool) -> None:
    """Say what has become of earlier runs: which are trained again, which cannot go on from their checkpoint.

    What runs `elsewhere` go on with is for the worker to say, which knows its machine.
    """
    names = {run.run_id: f"{run.uses[0]}, seed {run.seed}" for run in plan.runs}
    for run_id, why in lost(store, list(names)).items():
        show.remark(f"{names[run_id]} is trained again: {why}")
    if elsewhere:
        return
    states = store.states(list(names))
    discard_unfit([run for run in plan.runs if states[run.run_id] not in FINISHED], store, show.remark)
    tell_mixture(plan, states, store, show.remark)


def _refuse_other_file(study: Study, store: Store) -> None:
    """Stop before a study would take the place of another one that happens to have its name."""
    there = (store.study_document(study.name) or {}).get("path")
    if there is not None and study.path is not None and there != study.path and Path(there).exists():
        raise UserError(
            f"{study.place}, study",
            f"{study.name} is in the store already, from {there}",
            "",
            "give one of them another name, or another --store",
        )
