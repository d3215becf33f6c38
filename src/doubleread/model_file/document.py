"""What a saved model says of itself: everything that reading an image with it needs, and what it is worth."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from doubleread.errors import UserError
from doubleread.nouns import INTENDED_USE
from doubleread.recipe import Recipe
from doubleread.recipe.data import Intensity, Size
from doubleread.recipe.spec import Spec, Text, WholeFromZero

FORMAT = 1
MOST_MEMBERS = 1000
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Class = Annotated[str, Field(max_length=2000)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]


Feature = Literal["mean", "sd", "p1", "p25", "p50", "p75", "p99", "border", "sharpness"]
"""Of the audit's features, those of the pixels that a model sees."""


class Member(Spec):
    """One trained seed: its run, its weights, and how its pixels are scaled: (pixel − shift) · factor.

    With `each`, an image's pixels are taken less their mean and over their standard deviation instead.
    """

    seed: WholeFromZero
    run: Text
    weights: Annotated[str, Field(pattern=r"^seed-\d{1,10}\.safetensors$")]
    sha256: Hash
    shift: Finite
    factor: Finite
    each: bool


class Preprocessing(Spec):
    """How an image becomes pixels: square, bilinear with antialiasing, grey or in colour; `bits` are those stored."""

    image_size: Size
    channels: Literal[1, 3]
    bits: Literal[8, 16]
    intensity: Intensity


class Cut(Spec):
    """Where the model calls an image positive: `logit` above that of `probability`.

    `rule` is what it came by; `chosen` whether that looked at validation, as a probability that is given does not.
    """

    rule: Text
    chosen: bool
    probability: Probability
    logit: Finite


class Calibration(Spec):
    """The temperature over which a logit is a calibrated one, fitted on `cases` of validation (Guo et al. 2017)."""

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    cases: WholeFromZero


class Likeness(Spec):
    """What training images look like: see `likeness`. K features: their names, percentiles, mean and precision."""

    features: Annotated[list[Feature], Field(min_length=1)]
    mean: list[Finite]
    precision: list[list[Finite]]
    low: list[Finite]
    high: list[Finite]
    limit: Finite

    @model_validator(mode="after")
    def _of_one_length(self) -> Likeness:
        k = len(self.features)
        rows = (self.mean, self.precision, self.low, self.high, *self.precision)
        if any(len(row) != k for row in rows):
            raise ValueError("features of different numbers")
        return self


class Document(Spec):
    """The `model.json` of a saved model.

    `classes` are the negative and the positive one, or all of more than two; `metrics` has for each group of them a
    metric's `value` or `mean`, with `lo` and `hi`; its group `calibration` has scores of the test images `before` and
    `after` it. `source` is the SHA-256 of the file of a network of the user's own.
    """

    format: Literal[1] = FORMAT
    made_by: Text
    study: Text
    question: str
    arm: Text
    kind: Literal["seed", "ensemble"]
    members: Annotated[list[Member], Field(min_length=1, max_length=MOST_MEMBERS)]
    recipe: dict[str, Any]
    preprocessing: Preprocessing
    classes: Annotated[list[Class], Field(min_length=2, max_length=10_000)]
    threshold: Cut | None
    calibration: Calibration | None
    likeness: Likeness | None
    data_hash: Text
    cases: list[dict[str, Any]]
    metrics: dict[str, dict[str, dict[str, float | None]]]
    remarks: list[str]
    source: Hash | None
    environment: dict[str, Any]
    intended_use: str = INTENDED_USE

    @model_validator(mode="after")
    def _each_seed_once(self) -> Document:
        if len({one.seed for one in self.members}) < len(self.members):
            raise ValueError("a seed comes twice")
        if any(one.weights != f"seed-{one.seed}.safetensors" for one in self.members):
            raise ValueError("weights are not called after their seed")
        if self.plan.model.init is not None:
            raise ValueError("a saved model starts from no other file")
        return self

    @model_validator(mode="after")
    def _two_classes_are_cut(self) -> Document:
        if (len(self.classes) == 2) != (self.threshold is not None):
            raise ValueError("a threshold is for two classes")
        return self

    @property
    def plan(self) -> Recipe:
        """The recipe that it was trained by."""
        return Recipe.model_validate(self.recipe)


def document_of(text: str, place: str) -> Document:
    """Return the document that a `model.json` holds.

    Raises:
        UserError: it is damaged, of another format, or says what cannot be.
    """
    try:
        return Document.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        if where == "format" and isinstance(got := first["input"], int) and got > FORMAT:
            known = f"this program reads format {FORMAT}"
            raise UserError(place, f"format {got}, of another version", known, "update doubleread") from error
        raise UserError(
            f"{place}, {where}" if where else place,
            f"not a model file of format {FORMAT}, or damaged ({first['msg']})",
            "expected what doubleread export writes",
        ) from error
