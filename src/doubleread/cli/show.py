"""What all commands share: consoles and JSON; light, for those that must answer at once."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console


def out() -> Console:
    """Return the console of standard output; a file or a pipe has room for the whole table."""
    return _console(stderr=False, width=None if sys.stdout.isatty() else 180)


def err() -> Console:
    """Return the console of standard error, where progress and remarks go."""
    return _console(stderr=True, width=None)


def _console(*, stderr: bool, width: int | None) -> Console:
    # paths and names are printed as they are: `runs[old]` is no markup, `a:cat:b` no picture
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    print(json.dumps(value, indent=1, allow_nan=False))


def counted(number: int, noun: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
