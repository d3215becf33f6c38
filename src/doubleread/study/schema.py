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
    """A number that a report gives: exact, or `about 60`, `>= 0.1`, `0.90 to 0.95`.

    `value` is the number where there is one; `text` what stands in tables.
    """

    text: str
    value: float | None


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
    """One experiment: what varies, what is fixed otherwise than in the study's base, and what was reported.

    `base` maps dotted paths to values; `factors` maps dotted paths to lists of levels; `reported` maps a metric to
    the numbers by the label of their level, or, in a grid, to a list of `{arm: {factor: label, …}, value: number}`;
    `claims` are statements about its arms, made before anything trains.
    """

    title: Text | None = None
    base: dict[str, Any] = Field(default_factory=dict)
    factors: Annotated[
        dict[str, Annotated[tuple[Any, ...], Field(min_length=1), expecting("a list of one level or more")]],
        Field(min_length=1),
    ]
    reported: dict[Text, dict[Any, Any] | list[Any]] = Field(default_factory=dict)
    claims: Annotated[tuple[ClaimSpec, ...], Field(max_length=MOST_CLAIMS)] = ()


class Prior(Spec):
    """What is known of a metric before anything trains, for the smallest detectable difference.

    `seed_sd` is the standard deviation over seeds of one arm; `case_sd` that of a difference of two arms over test
    sets of this size, the square root of the test set's part.
    """

    seed_sd: Size
    case_sd: Size | None = None


class Assumption(Spec):
    """A setting that a report leaves out: what is assumed, what else it could have been, and why we assume it.

    `experiments` are those that it holds for, all of them where it is left out.
    """

    path: Text
    assumed: Any
    alternatives: Annotated[tuple[Any, ...], Field(min_length=1), expecting("a list of one value or more")]
    because: Text
    experiments: Annotated[tuple[Name, ...], Field(min_length=1), expecting("a list of experiments")] | None = None

    @model_validator(mode="after")
    def _all_different(self) -> Assumption:
        every = [self.assumed, *self.alternatives]
        if any(value in every[:index] for index, value in enumerate(every)):
            raise unmet("alternatives that differ from what is assumed, and from each other")
        return self


class GapSpec(Spec):
    """What is asked of the difference between validation and test.

    `leakage` trains every arm a second time on a split by groups, the same test set beside it, to measure what subjects
    and copies on both sides of the study's own split are worth.
    """

    leakage: Switch


class Reporting(Spec):
    """What only its author knows of a study's data, for the report's checklist; it changes no number.

    `licence` of the images, `reference_standard`: who or what gave the labels, and how; `population` and `exclusions`:
    who was imaged, and which images were left out before the source was made; `external_test`: one made elsewhere.
    """

    licence: Text | None = None
    reference_standard: Text | None = None
    population: Text | None = None
    exclusions: Text | None = None
    external_test: Text | None = None


class Contradiction(Spec):
    """What a report leaves contradictory, and how the study shows it."""

    about: Text
    says: Text
    shown: Text


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
    """Seeds that are added until every claim is decided, or more seeds cannot help: see `stats.looks`.

    A study starts with `min` seeds an arm and has at most `max`, looked at in at most five steps fixed beforehand.
    """

    min: Annotated[int, Field(strict=True, ge=FEWEST_SEEDS), expecting(f"a whole number ≥ {FEWEST_SEEDS}")]
    max: Annotated[int, Field(strict=True, le=MOST_SEEDS), expecting("a whole number above min, at most 10,000")]
    until: Annotated[Literal["decided"], expecting("decided")]

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
    """A whole study file.

    `margin` maps a metric to the smallest difference that matters, `prior` to what is known of it beforehand. `gap`
    asks for more about validation and test, `threshold` for operating points beside 0.5, which never replace it. `test:
    sealed` keeps every score on the test images, and all that compares them with others, from being computed until
    `report --unseal`. `keep_weights`: of `all` runs, of the `best` run of each arm (the highest validation AUROC, then
    the lowest seed), or of `none`. `engine` is where runs are trained, on this machine where it is left out.
    """

    study: Name
    question: Text
    data: DataSpec
    base: Recipe
    seeds: SeedsOrGrowing
    experiments: Annotated[dict[Name, ExperimentSpec], Field(min_length=1)]
    keep_weights: Annotated[Literal["all", "best", "none"], expecting("all, best or none")] = "all"
    margin: dict[Text, Size] = Field(default_factory=dict)
    prior: dict[Text, Prior] = Field(default_factory=dict)
    assumptions: dict[Name, Assumption] = Field(default_factory=dict)
    contradictions: tuple[Contradiction, ...] = ()
    gap: GapSpec | None = None
    test: Annotated[Literal["open", "sealed"], expecting("open or sealed")] = "open"
    threshold: Thresholds = Field(default=DEFAULT, validate_default=True)
    source_note: Text | None = None
    reporting: Reporting = Field(default_factory=Reporting)
    engine: Annotated[EngineSpec, ByName] | None = None
