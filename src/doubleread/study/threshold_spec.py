"""Thresholds that a study wants to see beside 0.5: how each is written, what it is called, what it is chosen by."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from doubleread.recipe.spec import Spec, expecting, unmet

AT_LEAST = re.compile(r"(sensitivity|specificity)\s*>=\s*(0?\.\d+)")
DEFAULT = ("youden", "sensitivity>=0.95")
"""Beside 0.5 where a study says nothing: they decide nothing, and show what an operating point does."""
_EXPECTED = (
    "0.5 or another probability, youden, sensitivity>=0.95, specificity>=0.9, or"
    " {name: cost, false_negative: 5, false_positive: 1}"
)
Above0 = Annotated[float, Field(gt=0, le=1e6), expecting("a number above 0, at most 1e6")]


class ThresholdSpec(Spec):
    """One rule of choosing a threshold on validation, or a fixed probability."""

    name: Literal["fixed", "youden", "sensitivity", "specificity", "cost"]
    """Which rule."""
    value: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The probability, of `fixed`; the least that is wanted, of `sensitivity` and `specificity`."""
    false_negative: Above0 | None = None
    """What a false negative costs, of `cost`."""
    false_positive: Above0 | None = None
    """What a false positive costs, of `cost`."""

    @property
    def label(self) -> str:
        """How the rule is called in tables."""
        if self.name == "fixed":
            return f"{self.value:g}"
        if self.name == "cost":
            return f"cost {self.false_negative:g} : {self.false_positive:g}"
        return self.name if self.value is None else f"{self.name} ≥ {self.value:g}"


def _written(value: Any) -> Any:
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return {"name": "fixed", "value": float(value)}
    if value == "youden":
        return {"name": "youden"}
    if isinstance(value, str) and (match := AT_LEAST.fullmatch(value.strip())):
        return {"name": match[1], "value": float(match[2])}
    if isinstance(value, dict) and value.get("name") == "cost" and {"false_negative", "false_positive"} <= value.keys():
        return value
    # everything else fits no rule, and is answered with all that do
    return value if isinstance(value, ThresholdSpec) else None


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _all_different(rules: tuple[ThresholdSpec, ...]) -> tuple[ThresholdSpec, ...]:
    if len(set(rules)) < len(rules):
        raise unmet("rules that differ from each other")
    return rules


def default_thresholds() -> tuple[ThresholdSpec, ...]:
    """Return the rules of a study that names none."""
    return tuple(ThresholdSpec.model_validate(_written(text)) for text in DEFAULT)


Threshold = Annotated[ThresholdSpec, BeforeValidator(_written), expecting(_EXPECTED)]
Thresholds = Annotated[
    tuple[Threshold, ...],
    Field(min_length=1, max_length=10),
    BeforeValidator(_listed),
    AfterValidator(_all_different),
]
