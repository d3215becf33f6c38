"""Factors and levels: from the lists in an experiment to complete arms, each with its own recipe and data."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from doubleread.errors import UserError, did_you_mean, printable
from doubleread.recipe import PARTS, Recipe, Spec, ineffective
from doubleread.recipe.data import DataSpec
from doubleread.study.problems import Path, show, user_error
from doubleread.study.schema import ExperimentSpec

DATA = "data"
MOST_ARMS = 100
CHANGE_NOTHING = ("data.allow_leakage", "data.skip_unreadable", "data.kind")
Raw = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One value of a factor; `label` is how the study names it."""

    factor: str
    label: str
    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One combination of levels: a complete training recipe on stated data.

    `name` is `experiment/label`, with a comma between the labels of a grid; it is unique in a study.
    """

    experiment: str
    name: str
    levels: dict[str, str]
    recipe: Recipe
    data: DataSpec

    @property
    def label(self) -> str:
        """The name without the experiment."""
        return self.name.partition("/")[2]


def label_of(value: Any) -> str:
    """Return how a level is named: its `label`, its `name`, or the value itself as YAML would write it."""
    if isinstance(value, Mapping):
        named = value.get("label", value.get("name"))
        return str(named) if named is not None else show(dict(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def arms_of(raw: Raw, name: str, spec: ExperimentSpec, place: str) -> tuple[Arm, ...]:
    """Return the arms of one experiment: the full grid of its factors.

    `raw` is the whole study file as it was read, `place` the file's name for errors.

    Raises:
        UserError: a path that does not exist, a level that does not fit, is listed twice or has no effect.
    """
    where = f"{place}, experiments.{name}"
    _refuse_overlap(spec, where)
    factors = [_levels(path, values, where) for path, values in spec.factors.items()]
    if math.prod(map(len, factors)) > MOST_ARMS:
        raise UserError(f"{where}.factors", f"{math.prod(map(len, factors)):,} arms", f"expected at most {MOST_ARMS:,}")
    arms = []
    for combination in itertools.product(*factors):
        tree = {"base": copy.deepcopy(dict(raw["base"])), DATA: copy.deepcopy(dict(raw[DATA]))}
        for path, value in spec.base.items():
            put(tree, path, value, f"{where}.base")
        for level in combination:
            put(tree, level.factor, level.value, f"{where}.factors")
        arm = _arm(tree, name, combination, spec, where)
        _refuse_no_effect(arm, combination, where)
        _refuse_the_same(arm, arms, where)
        arms.append(arm)
    return tuple(arms)


def _refuse_overlap(spec: ExperimentSpec, where: str) -> None:
    """Stop where one factor would overwrite another, or a value of the experiment's base."""
    for path in spec.factors:
        for other in [*spec.factors, *spec.base]:
            if other != path and f"{other}.".startswith(f"{path}."):
                raise UserError(
                    f"{where}.factors.{path}",
                    f"it overwrites {other}",
                    "",
                    "write the parts into the levels of one factor",
                )
        if path in spec.base:
            raise UserError(f"{where}.base.{path}", f"{path} is a factor of this experiment", "", "delete one of them")


def _refuse_the_same(arm: Arm, others: list[Arm], where: str) -> None:
    for other in others:
        if arm.name == other.name:
            raise UserError(f"{where}.factors", f"two arms are called {arm.label}", "", "give a level another label")
        if arm.recipe == other.recipe and arm.data == other.data:
            raise UserError(
                f"{where}.factors", f"{other.label} and {arm.label} are the same recipe", "", "delete one of them"
            )


def _levels(path: str, values: tuple[Any, ...], where: str) -> list[Level]:
    levels: dict[str, Level] = {}
    for value in values:
        label = _label(path, value, where)
        if label in levels:
            raise UserError(f"{where}.factors.{path}", f"level {label} is listed twice", "", "delete one of them")
        bare = {k: v for k, v in value.items() if k != "label"} if isinstance(value, Mapping) else value
        levels[label] = Level(factor=path, label=label, value=bare)
    return list(levels.values())


def _label(path: str, value: Any, where: str) -> str:
    if isinstance(value, Mapping) and "label" in value and not _can_label(value["label"]):
        raise UserError(f"{where}.factors.{path}", f"label {show(value['label'])}", "expected a short text or a number")
    if path == f"{DATA}.source" and isinstance(value, str):
        # the way to a folder is nobody's business in a report
        return PurePath(value).name or value
    return label_of(value)


def _can_label(label: Any) -> bool:
    if isinstance(label, str):
        return 0 < len(label) <= 100 and printable(label) == label
    return isinstance(label, int | float)


def put(tree: dict[str, Any], path: str, value: Any, where: str) -> None:
    """Set the value at a dotted path; a shorthand such as `loss: bce` on the way is written out first."""
    keys = path.split(".")
    node: dict[str, Any] = tree if keys[0] == DATA else tree["base"]
    check_path(path, f"{where}.{path}")
    for key in keys[:-1]:
        inner = node.get(key)
        if isinstance(inner, str):
            inner = node[key] = {"name": inner}
        if not isinstance(inner, dict):
            raise UserError(
                f"{where}.{path}", f'there is no "{key}" to set it in', "", "name a part of the base or data"
            )
        node = inner
    node[keys[-1]] = value


def value_at(arm: Arm, path: str) -> Any:
    """Return the value at a dotted path of an arm's recipe or data, defaults written out; None where there is none."""
    in_data = path.startswith(f"{DATA}.")
    node: Any = arm.data.model_dump(mode="json") if in_data else arm.recipe.complete()
    for key in path.removeprefix(f"{DATA}.").split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def check_path(path: str, place: str) -> None:
    """Check that a dotted path names a part of a recipe or of the data.

    Raises:
        UserError: it does not.
    """
    keys = path.split(".")
    known = [*Recipe.model_fields, *(f"{DATA}.{field}" for field in DataSpec.model_fields)]
    head = ".".join(keys[:2]) if keys[0] == DATA else keys[0]
    if head not in known:
        inside = [
            f"{part}.{path}" for part, specs in PARTS.items() if any(path in s.model_fields for s in specs.values())
        ]
        allowed = f'did you mean "{inside[0]}"?' if len(inside) == 1 else did_you_mean(head, known)
        raise UserError(place, f'unknown path "{path}"', allowed)


def _arm(tree: dict[str, Any], name: str, combination: tuple[Level, ...], spec: ExperimentSpec, where: str) -> Arm:
    set_here = {**{level.factor: "factors" for level in combination}, **dict.fromkeys(spec.base, "base")}

    def place_of(path: Path) -> str:
        dotted = ".".join(str(part) for part in path)
        for prefix, part in set_here.items():
            inside = "base" if not prefix.startswith(f"{DATA}.") else ""
            full = f"{inside}.{prefix}" if inside else prefix
            if dotted == full or dotted.startswith(f"{full}."):
                return f"{where}.{part}.{prefix}" + dotted.removeprefix(full)
        return f"{where}, {dotted}"

    try:
        checked = _Tree.model_validate(tree)
    except ValidationError as error:
        raise user_error(error, tree, place_of, _Tree) from error
    return Arm(
        experiment=name,
        name=f"{name}/{','.join(level.label for level in combination)}",
        levels={level.factor: level.label for level in combination},
        recipe=checked.base,
        data=checked.data,
    )


def _refuse_no_effect(arm: Arm, combination: tuple[Level, ...], where: str) -> None:
    for level in combination:
        if level.factor in CHANGE_NOTHING:
            raise UserError(f"{where}.factors.{level.factor}", "it is no choice of training", "", "delete the factor")
        if (reason := ineffective(arm.recipe, level.factor)) is not None:
            raise UserError(f"{where}.factors.{level.factor}", reason, "", "delete the factor or change the base")


class _Tree(Spec):
    """The two parts of a study file that make up an arm."""

    base: Recipe
    data: DataSpec
