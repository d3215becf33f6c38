"""From what a study file says to a `Study`: overriding, checking."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from pydantic import TypeAdapter, ValidationError

from doubleread.errors import UserError, did_you_mean
from doubleread.metrics import metric_names, needs_test
from doubleread.recipe import Recipe
from doubleread.recipe.data import DataSpec, DrawnSplit
from doubleread.stats import Looks, look_seeds
from doubleread.study import problems
from doubleread.study.claims import Claim, check_metrics, refuse_twice, resolve_claims
from doubleread.study.engine_spec import EngineSpec, refuse_without_effect
from doubleread.study.levels import Arm, arms_of, check_path, label_of
from doubleread.study.problems import show, user_error
from doubleread.study.schema import (
    Assumption,
    Contradiction,
    Prior,
    Reported,
    ReportedNumber,
    Reporting,
    StudyFile,
    UntilDecided,
)
from doubleread.study.threshold_spec import ThresholdSpec
from doubleread.study.yaml_file import parse_mapping, parse_value

REPORTS = ("report-a", "report-b")
"""The studies of the two course reports."""
BUILT_IN = (*REPORTS, "strong")
_NUMBER = TypeAdapter(ReportedNumber)


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """A named part of a study with its own factors.

    `reported` maps a metric to the reported numbers by arm name; `claims` are about these arms.
    """

    name: str
    title: str
    factors: tuple[str, ...]
    arms: tuple[Arm, ...]
    reported: dict[str, dict[str, Reported]]
    claims: tuple[Claim, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A study, checked: the question, the data, what is fixed, what varies, the seeds.

    `seeds` are all that it may have; `looks`, where it grows until its claims are decided, when it is looked at.

    `path` is the file, None for a built-in study; `raw` is what was read and `overrides` what `--set` and its like
    changed, path → value; both together give the study again.
    """

    name: str
    question: str
    data: DataSpec
    base: Recipe
    seeds: tuple[int, ...]
    looks: Looks | None
    experiments: tuple[Experiment, ...]
    keep_weights: str
    prior: dict[str, Prior]
    assumptions: dict[str, Assumption]
    contradictions: tuple[Contradiction, ...]
    source_note: str | None
    reporting: Reporting
    thresholds: tuple[ThresholdSpec, ...]
    measures_leakage: bool
    sealed: bool
    engine: EngineSpec | None
    place: str
    path: str | None
    raw: dict[str, Any] = field(repr=False)
    overrides: dict[str, Any]

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Every arm of every experiment, in the order of the file."""
        return tuple(arm for experiment in self.experiments for arm in experiment.arms)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Every claim of every experiment, in the order of the file."""
        return tuple(claim for experiment in self.experiments for claim in experiment.claims)


def built_in_raw(name: str) -> dict[str, Any]:
    """Return the study file of that name, as it is in the package."""
    folder = "reports" if name in REPORTS else "recipes"
    text = (resources.files("doubleread.study") / folder / f"{name}.yaml").read_text(encoding="utf-8")
    return parse_mapping(text, name)


def parse_study(
    raw: dict[str, Any], *, place: str, path: str | None = None, overrides: Mapping[str, Any] | None = None
) -> Study:
    """Return the study in a mapping; `place` names it in errors, `path` is the file that it came from, if one did.

    Raises:
        UserError: something does not fit.
    """
    changed = dict(overrides or {})
    tree = _overridden(raw, changed, place)
    checked = _checked(tree, place, changed)
    for name, assumption in checked.assumptions.items():
        check_path(assumption.path, f"{place}, assumptions.{name}.path")
        for experiment in assumption.experiments or ():
            if experiment not in checked.experiments:
                here = f"{place}, assumptions.{name}.experiments"
                raise UserError(here, f"no experiment {experiment}", did_you_mean(experiment, checked.experiments))
    for part, metrics in (("margin", checked.margin), ("prior", checked.prior)):
        check_metrics(metrics, f"{place}, {part}")
    experiments = tuple(_experiment(tree, name, checked, place) for name in checked.experiments)
    refuse_twice([claim.id for experiment in experiments for claim in experiment.claims], place)
    if checked.engine is not None:
        refuse_without_effect(checked.engine, checked.engine.name, f"{place}, engine")
    seeds, looks = _seeds(checked, experiments, place)
    return Study(
        name=checked.study,
        question=checked.question,
        data=checked.data,
        base=checked.base,
        seeds=seeds,
        looks=looks,
        experiments=experiments,
        keep_weights=checked.keep_weights,
        prior=checked.prior,
        assumptions=checked.assumptions,
        contradictions=checked.contradictions,
        source_note=checked.source_note,
        reporting=checked.reporting,
        thresholds=checked.threshold,
        measures_leakage=_measures_leakage(checked, experiments, place),
        sealed=checked.test == "sealed",
        engine=checked.engine,
        place=place,
        path=path,
        raw=copy.deepcopy(raw),
        overrides=changed,
    )


def _seeds(checked: StudyFile, experiments: Sequence[Experiment], place: str) -> tuple[tuple[int, ...], Looks | None]:
    """Return all seeds that a study may have, and when it is looked at, if it grows.

    Raises:
        UserError: it has nothing to be decided, or what decides it is sealed.
    """
    if not isinstance(checked.seeds, UntilDecided):
        return checked.seeds, None
    here = f"{place}, seeds.until"
    claims = [claim for experiment in experiments for claim in experiment.claims]
    if not claims:
        raise UserError(here, "there is no claim to be decided", "expected a number of seeds", "or add a claim")
    sealed = [claim.id for claim in claims if checked.test == "sealed" and needs_test(claim.metric)]
    if sealed:
        found = f"{sealed[0]} is decided by the test images, which are sealed"
        raise UserError(here, found, "expected a number of seeds", "or claims about validation")
    return tuple(range(checked.seeds.max)), Looks(look_seeds(checked.seeds.min, checked.seeds.max))


def _measures_leakage(checked: StudyFile, experiments: Sequence[Experiment], place: str) -> bool:
    """Tell whether runs on a split by groups are asked for.

    Raises:
        UserError: there is no arm that they could stand beside.
    """
    if checked.gap is None or not checked.gap.leakage:
        return False
    splits = [arm.data.split for experiment in experiments for arm in experiment.arms]
    if any(isinstance(split, DrawnSplit) and split.by == "case" for split in splits):
        return True
    here = f"{place}, gap.leakage"
    if any(isinstance(split, DrawnSplit) for split in splits):
        raise UserError(here, "it has no effect where the split keeps subjects together", "", "delete it")
    raise UserError(
        here,
        "the source's own split is given, and has no other to stand beside it",
        "expected split: {val, by: case, seed}",
        "draw the split, or delete gap.leakage",
    )


def _experiment(tree: dict[str, Any], name: str, checked: StudyFile, place: str) -> Experiment:
    spec = checked.experiments[name]
    arms = arms_of(tree, name, spec, place)
    here = f"{place}, experiments.{name}"
    return Experiment(
        name=name,
        title=spec.title or name,
        factors=tuple(spec.factors),
        arms=arms,
        reported=_reported(spec.reported, arms, f"{here}.reported"),
        claims=resolve_claims(
            spec.claims, name, {arm.name: arm.levels for arm in arms}, checked.margin, f"{here}.claims"
        ),
    )


def document_of(study: Study) -> dict[str, Any]:
    """Return what a store keeps of a study: enough to have it again."""
    return {"file": study.raw, "overrides": study.overrides, "place": study.place, "path": study.path}


def study_of(document: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Study:
    """Return a study that a store has kept, with further overrides."""
    return parse_study(
        document["file"],
        place=document["place"],
        path=document.get("path"),
        overrides={**document["overrides"], **(overrides or {})},
    )


def checked_tree(study: Study) -> tuple[dict[str, Any], StudyFile]:
    """Return a study's file with its overrides in place, as it was read and as it was checked."""
    tree = _overridden(study.raw, study.overrides, study.place)
    return tree, _checked(tree, study.place, study.overrides)


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Return `key=value` texts of `--set` as a mapping; values are YAML.

    Raises:
        UserError: a text has no `=`, or its value is not YAML.
    """
    overrides: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set {text}", "no value", "expected key=value", "for example --set base.epochs=5")
        overrides[key.strip()] = parse_value(value, f"--set {key.strip()}")
    return overrides


def _overridden(raw: dict[str, Any], overrides: dict[str, Any], place: str) -> dict[str, Any]:
    tree = copy.deepcopy(raw)
    for dotted, value in overrides.items():
        _refuse_factor(tree, dotted)
        *way, last = dotted.split(".")
        node: Any = tree
        for key in way:
            inner = node.get(key)
            if isinstance(inner, str) and (node is not tree or key == "engine"):
                inner = node[key] = {"name": inner}
            if key in node and not isinstance(inner, dict):
                raise UserError(f"--set {dotted}", f"{key} has no keys to set", "", f"set {key} as a whole")
            if not isinstance(inner, dict):
                raise UserError(f"--set {dotted}", f'{place} has no "{key}" to set it in', _paths_from(node, key))
            node = inner
        node[last] = copy.deepcopy(value)
    return tree


def _paths_from(node: dict[str, Any], key: str) -> str:
    return did_you_mean(key, [str(known) for known in node])


def _refuse_factor(tree: dict[str, Any], dotted: str) -> None:
    experiments = tree.get("experiments")
    if dotted.split(".")[0] == "experiments":
        raise UserError(f"--set {dotted}", "experiments cannot be overridden", "", "edit a copy of the study")
    for name, spec in (experiments if isinstance(experiments, dict) else {}).items():
        factors = spec.get("factors") if isinstance(spec, dict) else None
        for factor in factors if isinstance(factors, dict) else ():
            path = factor if str(factor).startswith("data.") else f"base.{factor}"
            if f"{dotted}.".startswith(f"{path}.") or f"{path}.".startswith(f"{dotted}."):
                raise UserError(
                    f"--set {dotted}", f"{factor} is a factor of experiment {name}", "", "edit a copy of the study"
                )


def _checked(tree: dict[str, Any], place: str, overrides: dict[str, Any]) -> StudyFile:
    def place_of(path: problems.Path) -> str:
        dotted = ".".join(str(part) for part in path)
        for key in overrides:
            if dotted == key or dotted.startswith(f"{key}."):
                return f"--set {dotted}"
        return f"{place}, {dotted}" if dotted else place

    try:
        return StudyFile.model_validate(tree)
    except ValidationError as error:
        raise user_error(error, tree, place_of, StudyFile) from error


def _reported(raw: Mapping[str, Any], arms: tuple[Arm, ...], place: str) -> dict[str, dict[str, Reported]]:
    result: dict[str, dict[str, Reported]] = {}
    for metric, numbers in raw.items():
        if metric not in metric_names():
            raise UserError(f"{place}.{metric}", f'unknown metric "{metric}"', did_you_mean(metric, metric_names()))
        here = f"{place}.{metric}"
        pairs = numbers.items() if isinstance(numbers, Mapping) else [_grid_entry(entry, here) for entry in numbers]
        by_arm = result.setdefault(metric, {})
        for key, value in pairs:
            if (name := _arm_named(key, arms, here)) in by_arm:
                raise UserError(here, f"arm {label_of(key)} is listed twice", "", "delete one of them")
            by_arm[name] = _number(value, f"{here}.{label_of(key)}")
    return result


def _grid_entry(entry: Any, place: str) -> tuple[Any, Any]:
    if not isinstance(entry, Mapping) or set(entry) != {"arm", "value"} or not isinstance(entry["arm"], Mapping):
        raise UserError(place, f"got {show(entry)}", "expected {arm: {factor: label, …}, value: number}")
    return entry["arm"], entry["value"]


def _arm_named(key: Any, arms: tuple[Arm, ...], place: str) -> str:
    wanted = {str(f): label_of(v) for f, v in key.items()} if isinstance(key, Mapping) else None
    for arm in arms:
        if arm.levels == wanted or (wanted is None and arm.label == label_of(key)):
            return arm.name
    raise UserError(place, f"no arm {label_of(key)}", did_you_mean(label_of(key), [a.label for a in arms]))


def _number(value: Any, place: str) -> Reported:
    try:
        return _NUMBER.validate_python(value)
    except ValidationError as error:
        expected = error.errors()[0].get("ctx", {})["expected"]
        raise UserError(place, f"got {show(value)}", f"expected {expected}") from error
