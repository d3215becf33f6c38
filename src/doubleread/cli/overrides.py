"""What the options of a command change in a study file."""

from __future__ import annotations

from typing import Any

from doubleread.files import user_path
from doubleread.study import parse_overrides


def overrides(settings: list[str], data: str | None, seeds: int | None) -> dict[str, Any]:
    """Return what `--set`, `--data` and `--seeds` change, as overrides of the study file."""
    changed = parse_overrides(settings)
    if data is not None:
        path = user_path(data, "--data")
        changed["data.source"] = str(path.resolve()) if path.exists() else data
    if seeds is not None:
        changed["seeds"] = seeds
    return changed
