"""What a study file may say as a claim."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from doubleread.recipe.spec import Size, Spec, Text, expecting, unmet

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
FIRST_KEYS = ("better", "higher", "lower", "same", "trend", "best", "worst", "arm")
Number = Annotated[float, Field(strict=True, ge=-1e9, le=1e9), expecting("a number")]
ArmName = Annotated[Any, expecting("an arm")]


class ClaimSpec(Spec):
    """One claim of a study file.

    Exactly one of `better`, `higher`, `lower` (with `than`), `same`, `trend`, `best`, `worst` and `arm` (with `above`
    or `below`). An arm is the label of its level, or, in a grid, `{factor: label, …}`; factors left out there are
    averaged over, so that `{loss: bce}` is the main effect, and `all` is the mean of every arm.
    """

    id: Annotated[
        str,
        Field(strict=True, pattern="^[a-z0-9][a-z0-9-]{0,59}$"),
        expecting("up to 60 small letters, digits and hyphens, such as bce-beats-ce"),
    ]
    """Its name, once in a study."""
    metric: Text
    """What it is about."""
    on: (
        Annotated[
            Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy"],
            expecting("train_loss, train_accuracy, val_loss or val_accuracy"),
        ]
        | None
    ) = None
    """Of a curve's metric, which curve."""
    role: Annotated[Literal["primary", "secondary"], expecting("primary or secondary")] = "primary"
    """Each role is a family of its own for the correction for several claims."""
    margin: Size | None = None
    """The smallest difference that matters, in place of the study's."""
    says: Text | None = None
    """What was claimed, in words."""
    better: ArmName = None
    """The arm that is said to be better, in the metric's own good direction."""
    higher: ArmName = None
    """The arm that is said to be higher."""
    lower: ArmName = None
    """The arm that is said to be lower."""
    than: ArmName = None
    """The other arm, beside `better`, `higher` or `lower`."""
    more_at: dict[str, Any] | None = None
    """The level of another factor at which the difference is said to be larger."""
    than_at: dict[str, Any] | None = None
    """The level at which it is said to be smaller, beside `more_at`."""
    same: Annotated[tuple[Any, Any], expecting("a list of two arms")] | None = None
    """Two arms that are said to be within ± the margin."""
    trend: Annotated[Literal["increasing", "decreasing"], expecting("increasing or decreasing")] | None = None
    """Over the levels of a factor, which are numbers above 0."""
    factor: Text | None = None
    """Which factor the trend is over, in a grid."""
    best: ArmName = None
    """The arm that is said to be the best of all."""
    worst: ArmName = None
    """The arm that is said to be the worst of all."""
    arm: ArmName = None
    """One arm, that is held against a number."""
    above: Number | None = None
    """The number that the arm is said to be above."""
    below: Number | None = None
    """The number that the arm is said to be below."""

    @model_validator(mode="after")
    def _one_kind(self) -> ClaimSpec:
        kinds = [key for key in FIRST_KEYS if getattr(self, key) is not None]
        if len(kinds) != 1:
            raise unmet(f"one of {', '.join(FIRST_KEYS)}, and only one")
        if (self.than is not None) != (kinds[0] in ("better", "higher", "lower")):
            raise unmet("than: ARM beside better, higher or lower, and only there")
        if (self.above is None) + (self.below is None) != (1 if kinds[0] == "arm" else 2):
            raise unmet("above: NUMBER or below: NUMBER beside arm, and only there")
        if (self.more_at is None) != (self.than_at is None) or (self.more_at is not None and self.than is None):
            raise unmet("more_at and than_at together, beside better, higher or lower")
        if self.factor is not None and self.trend is None:
            raise unmet("factor beside trend, and only there")
        return self
