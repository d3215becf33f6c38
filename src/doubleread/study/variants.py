"""Assumptions varied: the arms of a study as they would be under each alternative, one assumption at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from doubleread.nouns import VARIED
from doubleread.recipe import ineffective
from doubleread.recipe.data import DrawnSplit
from doubleread.study.levels import Arm, arms_of, label_of, put, value_at
from doubleread.study.parse import Study, checked_tree
from doubleread.study.schema import Assumption, ExperimentSpec

GROUPED = "group"
TWIN = f"{VARIED}by-group"
"""Ends the name of an arm's twin on a split by groups; what an assumption varies has an equals sign in its name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One alternative of one assumption; `arms` maps the names of the arms that it changes to what they become."""

    assumption: str
    path: str
    alternative: Any
    arms: dict[str, Arm]

    @property
    def label(self) -> str:
        """The assumption and the alternative in a few words."""
        return f"{self.assumption}={alternative_text(self.alternative)}"


def alternative_text(value: Any) -> str:
    """Return how an alternative is called: as a level is, and a mapping without a name by its parts."""
    if isinstance(value, dict) and not {"label", "name"} & set(value):
        return ", ".join(f"{key} {label_of(part)}" for key, part in value.items())
    return label_of(value)


def leakage_variant(study: Study) -> Variant:
    """Return the arms of a study that split by case as they are on a split by groups, with the same test cases."""
    arms = {}
    for arm in study.arms:
        split = arm.data.split
        if isinstance(split, DrawnSplit) and split.by == "case":
            # a test set that is drawn stays as the study draws it
            test_by = "case" if split.test else None
            twin = split.model_copy(update={"by": GROUPED, "test_by": test_by})
            data = arm.data.model_copy(update={"split": twin})
            arms[arm.name] = replace(arm, name=grouped_name(arm.name), data=data)
    return Variant(assumption="split", path="data.split.by", alternative=GROUPED, arms=arms)


def grouped_name(arm: str) -> str:
    """Return the name of an arm's twin on a split by groups; see `TWIN`."""
    return f"{arm}{TWIN}"


def variants_of(study: Study) -> tuple[Variant, ...]:
    """Return every alternative of every assumption that changes an arm.

    An alternative goes into the base, so that factors and an experiment's own base still come on top of it. Where a
    factor's levels hold the setting (a schedule's maximum rate, say), it goes into those levels that have the assumed
    value. An experiment in which the setting is a factor itself, or is set by the experiment, stays as it is.

    Raises:
        UserError: an alternative does not fit the rest of a recipe.
    """
    tree, checked = checked_tree(study)
    found = []
    for name, assumption in checked.assumptions.items():
        for index, alternative in enumerate(assumption.alternatives):
            place = f"{study.place}, assumptions.{name}.alternatives.{index}"
            arms: dict[str, Arm] = {}
            for experiment, spec in checked.experiments.items():
                if assumption.experiments is None or experiment in assumption.experiments:
                    label = f"{name}={alternative_text(alternative)}"
                    arms |= _changed(study, tree, experiment, spec, assumption, alternative, label, place)
            if arms:
                found.append(Variant(assumption=name, path=assumption.path, alternative=alternative, arms=arms))
    return tuple(found)


def _changed(
    study: Study,
    tree: dict[str, Any],
    experiment: str,
    spec: ExperimentSpec,
    assumption: Assumption,
    alternative: Any,
    label: str,
    place: str,
) -> dict[str, Arm]:
    path = assumption.path
    before = [arm for arm in study.arms if arm.experiment == experiment]
    if any(path.startswith(f"{factor}.") for factor in spec.factors):
        levels = [arm for arm in before if value_at(arm, path) == assumption.assumed]
        after = [_in_level(arm, tree, experiment, spec, path, alternative, place) for arm in levels]
        pairs: Iterator[tuple[Arm, Arm]] = zip(levels, after, strict=True)
    else:
        varied = copy.deepcopy(tree)
        put(varied, path, copy.deepcopy(alternative), place)
        pairs = zip(before, arms_of(varied, experiment, spec, place), strict=True)
    return {
        old.name: replace(new, name=f"{old.name}{VARIED}{label}")
        for old, new in pairs
        if (old.recipe != new.recipe or old.data != new.data) and ineffective(new.recipe, path) is None
    }


def _in_level(
    arm: Arm, tree: dict[str, Any], experiment: str, spec: ExperimentSpec, path: str, alternative: Any, place: str
) -> Arm:
    """Return an arm with the alternative put into its level."""
    factor = next(factor for factor in spec.factors if path.startswith(f"{factor}."))
    level = next(value for value in spec.factors[factor] if label_of(value) == arm.levels[factor])
    changed = copy.deepcopy(dict(level)) if isinstance(level, dict) else {"name": level}
    inner, rest = changed, path.removeprefix(f"{factor}.").split(".")
    for key in rest[:-1]:
        inner = inner[key]
    inner[rest[-1]] = alternative
    factors = {f: (changed,) if f == factor else values for f, values in spec.factors.items()}
    narrowed = spec.model_copy(update={"factors": factors})
    return next(new for new in arms_of(tree, experiment, narrowed, place) if new.levels == arm.levels)
