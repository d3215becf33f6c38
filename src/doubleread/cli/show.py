"""What several commands share: consoles, JSON, overrides."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

from doubleread.files import user_path
from doubleread.study import parse_overrides


def out() -> Console:
    """Return the console of standard output; a file or a pipe has room for the whole table."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 180)


def err() -> Console:
    """Return the console of standard error, where progress and remarks go."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    print(json.dumps(value, indent=1, allow_nan=False))


def overrides(settings: list[str], data: str | None, seeds: int | None) -> dict[str, Any]:
    """Return what `--set`, `--data` and `--seeds` change, as overrides of the study file."""
    changed = parse_overrides(settings)
    if data is not None:
        path = user_path(data, "--data")
        changed["data.source"] = str(path.resolve()) if path.exists() else data
    if seeds is not None:
        changed["seeds"] = seeds
    return changed
