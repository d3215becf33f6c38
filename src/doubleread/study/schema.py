"""The study file: its keys and what may stand there. What the levels of a factor may be is checked with the arms."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from doubleread.recipe import Recipe, Spec
from doubleread.recipe.data import DataSpec
from doubleread.recipe.spec import ByName, Size, Switch, Text, WholeFromZero, expecting, unmet
from doubleread.stats import FEWEST_SEEDS
from doubleread.study.claim_spec import NUMBER, ClaimSpec
from doubleread.study.engine_spec import EngineSpec
from doubleread.study.threshold_spec import DEFAULT, Thresholds

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
MOST_SEEDS = 10_000
MOST_CLAIMS = 1000
REPORTED = re.compile(rf"(?:(about|>=|<=|>|<)\s*)?({NUMBER})|({NUMBER})\s+to\s+({NUMBER})")

Name = Annotated[
    str,
    Field(strict=True, pattern=f"^{NAME.pattern}$"),
    expecting("up to 60 small letters, digits and hyphens, such as batch-size"),
]


class Reported(Spec):
    """A number that a report gives: exact, or `about 60`, `>= 0.1`, `0.90 to 0.95`."""

    text: str
    """What stands in tables."""
    value: float | None
    """The number, where there is one."""


def _reported(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
        return {"text": f"{value:.10g}", "value": float(value)}
    if isinstance(value, str) and (match := REPORTED.fullmatch(value.strip())):
        bound, number, low, high = match.groups()
        signs = {">=": "≥ ", "<=": "≤ ", ">": "> ", "<": "< ", "about": "about ", None: ""}
        if low is not None:
            return {"text": f"{low} to {high}", "value": None}
        return {"text": signs[bound] + number, "value": float(number) if bound in (None, "about") else None}
    return value


ReportedNumber = Annotated[
    Reported, BeforeValidator(_reported), expecting('a number, or a text such as "about 60", ">= 0.1", "0.90 to 0.95"')
]


class ExperimentSpec(Spec):
    """One experiment: what varies, what is fixed otherwise than in the study's base, and what was reported."""

    title: Text | None = None
    """What it is called in tables and figures; its name where it is left out."""
    base: dict[str, Any] = Field(default_factory=dict)
    """What is otherwise than in the study's base: dotted paths to values."""
    factors: Annotated[
        dict[str, Annotated[tuple[Any, ...], Field(min_length=1), expecting("a list of one level or more")]],
        Field(min_length=1),
    ]
    """What varies: dotted paths to lists of levels; several give the full grid, of at most 100 arms."""
    reported: dict[Text, dict[Any, Any] | list[Any]] = Field(default_factory=dict)
    """What a report says: by metric, the numbers by the label of their level; in a grid a list of `{arm: {factor:
    label, …}, value: number}`."""
    claims: Annotated[tuple[ClaimSpec, ...], Field(max_length=MOST_CLAIMS)] = ()
    """Statements about its arms, made before anything trains."""


class Prior(Spec):
    """What is known of a metric before anything trains, for the smallest detectable difference."""

    seed_sd: Size
    """The standard deviation over seeds of one arm."""
    case_sd: Size | None = None
    """That of a difference of two arms over test sets of this size, the square root of the test set's part."""


class Assumption(Spec):
    """A setting that a report leaves out: what is assumed, what else it could have been, and why we assume it."""

    path: Text
    """The dotted path of the setting, as in a factor."""
    assumed: Any
    """What is assumed."""
    alternatives: Annotated[tuple[Any, ...], Field(min_length=1), expecting("a list of one value or more")]
    """What else it could have been; `run --assumptions` trains these, one at a time."""
    because: Text
    """Why we assume it."""
    experiments: Annotated[tuple[Name, ...], Field(min_length=1), expecting("a list of experiments")] | None = None
    """Those that it holds for; all of them where it is left out."""

    @model_validator(mode="after")
    def _all_different(self) -> Assumption:
        every = [self.assumed, *self.alternatives]
        if any(value in every[:index] for index, value in enumerate(every)):
            raise unmet("alternatives that differ from what is assumed, and from each other")
        return self


class GapSpec(Spec):
    """What is asked of the difference between validation and test."""

    leakage: Switch
    """Train every arm that splits by case a second time on a split by groups, the same test set beside it, to measure
    what subjects and copies on both sides of the study's own split are worth."""


class Reporting(Spec):
    """What only its author knows of a study's data, for the report's checklist; it changes no number."""

    licence: Text | None = None
    """The licence of the images."""
    reference_standard: Text | None = None
    """Who or what gave the labels, and how."""
    population: Text | None = None
    """Who was imaged."""
    exclusions: Text | None = None
    """Which images were left out before the source was made."""
    external_test: Text | None = None
    """A test set made elsewhere."""


class Contradiction(Spec):
    """What a report leaves contradictory, and how the study shows it."""

    about: Text
    """What it is about."""
    says: Text
    """What the report says, and says otherwise elsewhere."""
    shown: Text
    """How the study shows it."""


def _seed_numbers(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SEEDS:
        return tuple(range(value))
    return value


def _all_different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed stands twice")
    return seeds


Seeds = Annotated[
    tuple[WholeFromZero, ...],
    Field(min_length=1, max_length=MOST_SEEDS),
    BeforeValidator(_seed_numbers),
    AfterValidator(_all_different),
    expecting("a number of seeds from 1 to 10,000, or a list of different whole numbers ≥ 0"),
]


class UntilDecided(Spec):
    """Seeds that are added until every claim is decided, or more seeds cannot help: see `stats.looks`."""

    min: Annotated[int, Field(strict=True, ge=FEWEST_SEEDS), expecting(f"a whole number ≥ {FEWEST_SEEDS}")]
    """Seeds that each arm starts with."""
    max: Annotated[int, Field(strict=True, le=MOST_SEEDS), expecting("a whole number above min, at most 10,000")]
    """Seeds that an arm has at most; there are at most five looks, fixed beforehand."""
    until: Annotated[Literal["decided"], expecting("decided")]
    """The only rule that there is."""

    @model_validator(mode="after")
    def _grows(self) -> UntilDecided:
        if self.max <= self.min:
            raise unmet(f"a max above min, {self.min}")
        return self


def _kind_of_seeds(value: Any) -> str:
    return "growing" if isinstance(value, dict | UntilDecided) else "fixed"


SeedsOrGrowing = Annotated[
    Annotated[Seeds, Tag("fixed")] | Annotated[UntilDecided, Tag("growing")], Discriminator(_kind_of_seeds)
]


class StudyFile(Spec):
    """A whole study file."""

    study: Name
    """Its name, in the store and in the report."""
    question: Text
    """What it asks, in a sentence."""
    data: DataSpec
    """Which images, and how they are drawn, split and scaled."""
    base: Recipe
    """The recipe that the arms share."""
    seeds: SeedsOrGrowing
    """N for seeds 0 to N − 1, or a list of them; or seeds that are added where a claim is open."""
    experiments: Annotated[dict[Name, ExperimentSpec], Field(min_length=1)]
    """By name, each with its own factors."""
    keep_weights: Annotated[Literal["all", "best", "none"], expecting("all, best or none")] = "all"
    """Those of `all` runs, of the `best` run of each arm (the highest validation AUROC, then the lowest seed) once the
    study is done, or of `none`."""
    margin: dict[Text, Size] = Field(default_factory=dict)
    """By metric, the smallest difference that matters; a claim needs one. Accuracy, AUROC and macro AUROC have 0.02
    where the file is silent."""
    prior: dict[Text, Prior] = Field(default_factory=dict)
    """By metric, what is known of it before anything trains."""
    assumptions: dict[Name, Assumption] = Field(default_factory=dict)
    """By name, settings that a report leaves out."""
    contradictions: tuple[Contradiction, ...] = ()
    """What a report leaves contradictory."""
    gap: GapSpec | None = None
    """What more is asked of the difference between validation and test."""
    test: Annotated[Literal["open", "sealed"], expecting("open or sealed")] = "open"
    """`sealed` keeps every score on the test images, and all that compares them with others, from being computed until
    `report --unseal`."""
    threshold: Thresholds = Field(default=DEFAULT, validate_default=True)
    """Operating points to show beside 0.5, which they never replace; one or a list."""
    source_note: Text | None = None
    """Where the reported numbers come from."""
    reporting: Reporting = Field(default_factory=Reporting)
    """What only you know of the data, for the report's checklist."""
    engine: Annotated[EngineSpec, ByName] | None = None
    """Where its runs are trained; on this machine where it is left out. It changes no number."""
