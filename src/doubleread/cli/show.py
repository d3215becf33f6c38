"""What all commands share: consoles and JSON; light, for those that must answer at once."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console


def out() -> Console:
    """Return the console of standard output; a file or a pipe has room for the whole table."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 180)


def err() -> Console:
    """Return the console of standard error, where progress and remarks go."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    print(json.dumps(value, indent=1, allow_nan=False))
