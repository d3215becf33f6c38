"""What `precision: auto` comes to: fp32, unless the benchmark has shown on this processor that bf16 gains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from doubleread.files import cache_folder, write_json
from doubleread.training.native import Unavailable, processor_key

WORTH = 1.1
"""How many times as fast bf16 must be before `auto` takes it."""

Resolved = Literal["fp32", "bf16"]


def resolve_precision(wanted: str, path: str) -> Resolved:
    """Return the precision of a run on the CPU that asks for `fp32`, `bf16` or `auto`, computed on `path`."""
    if wanted == "auto":
        return "bf16" if _gains().get(path, 0.0) >= WORTH else "fp32"
    return "bf16" if wanted == "bf16" else "fp32"


def keep_gain(path: str, gain: float) -> Path:
    """Keep what the benchmark measured on this processor: runs in bf16 took 1/`gain` of the time on `path`.

    Raises:
        native.Unavailable: the processor cannot be told from others.
    """
    file = _file()
    write_json(file, {**_gains(), path: gain})
    return file


def _file() -> Path:
    return cache_folder() / f"bf16-gain-{processor_key()}.json"


def _gains() -> dict[str, float]:
    try:
        return json.loads(_file().read_text(encoding="utf-8"))
    except (Unavailable, OSError, ValueError):
        return {}
