"""What a user is told whose input does not fit."""

from collections.abc import Callable
from typing import Any

import pytest

from doubleread.errors import UserError

ALLOWED = ("expected ", "did you mean ", "they are ", "it has none")
"""So begins what may be there; what to do next begins otherwise."""


def refusal(work: Callable[..., Any], *given: Any, **more: Any) -> str:
    """Return the message of the `UserError` that it raises, whose parts are in their places."""
    with pytest.raises(UserError) as caught:
        work(*given, **more)
    error = caught.value
    assert all(isinstance(part, str) for part in (error.place, error.found, error.allowed, error.next_step))
    assert not error.allowed or error.allowed.startswith(ALLOWED), error.allowed
    assert not error.next_step.startswith(ALLOWED), error.next_step
    return str(error)
