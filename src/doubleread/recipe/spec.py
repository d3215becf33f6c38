"""The base of every specification: frozen, keyword-only, typed, unknown keys refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

from doubleread.errors import printable

MOST = 1_000_000


class Spec(BaseModel):
    """A part of a recipe or of a study file.

    A field has a default only where leaving it out changes nothing, or where the default is that of the method's
    source; the printed plan shows it either way. A default is never changed later: identities of runs leave
    defaults out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def unmet(text: str) -> PydanticCustomError:
    """Return the error of values that do not fit each other, answered with `expected …`."""
    return PydanticCustomError("expected", "{expected}", {"expected": text})


@dataclass(frozen=True, slots=True)
class Expected:
    """What a wrong value is answered with; the reference shows the same `text`."""

    text: str

    def __call__(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise unmet(self.text) from error


def expecting(text: str) -> WrapValidator:
    """Let a value that does not fit be answered with `expected …`, whatever was wrong with it."""
    return WrapValidator(Expected(text))


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


ByName = BeforeValidator(_named)
"""Lets `loss: bce` stand for `loss: {name: bce}`."""


def _nothing(value: Any) -> Any:
    return None if value == "none" else value


OrNone = BeforeValidator(_nothing)
"""Lets `none` stand for what is not there, as it is called in tables."""


def _plain_text(value: str) -> str:
    # a control character in a text would move the cursor of every terminal that shows it
    if printable(value, keep="\n\t") != value:
        raise ValueError("control characters")
    return value


Text = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=2000),
    AfterValidator(_plain_text),
    expecting("a text of 1 to 2,000 characters"),
]
Precision = Annotated[Literal["fp32", "bf16", "auto"], expecting("fp32, bf16 or auto")]
Switch = Annotated[bool, Field(strict=True), expecting("true or false")]
WholeFromOne = Annotated[int, Field(strict=True, ge=1, le=MOST), expecting("a whole number from 1 to 1,000,000")]
WholeFromZero = Annotated[
    int, Field(strict=True, ge=0, le=2**32 - 1), expecting("a whole number from 0 to 4,294,967,295")
]
Positive = Annotated[float, Field(strict=True, gt=0), expecting("a number > 0")]
Size = Annotated[float, Field(strict=True, gt=0, le=1e9), expecting("a number above 0, at most 1e9")]
NotNegative = Annotated[float, Field(strict=True, ge=0), expecting("a number ≥ 0")]
Fraction = Annotated[float, Field(strict=True, ge=0, lt=1), expecting("a number from 0 to below 1")]
OpenFraction = Annotated[float, Field(strict=True, gt=0, lt=1), expecting("a number between 0 and 1")]
