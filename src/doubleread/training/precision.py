"""What a precision means here, and what `auto` comes to: fp32, unless the benchmark has shown that bf16 gains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch

from doubleread.files import cache_folder, write_json
from doubleread.training.native import Unavailable, processor_key

WORTH = 1.1
"""How many times as fast bf16 must be before `auto` takes it."""

FLAGS = {"denormal_numbers": "zero", "tf32": "off"}
"""What `settle_arithmetic` sets, as a run's record says it."""

Resolved = Literal["fp32", "bf16"]


def settle_arithmetic() -> None:
    """Set what PyTorch leaves open about numbers, for this process.

    Denormal numbers count as zero: as moments of weights at dead pixels they would slow Adam by an order of magnitude.
    Products of float32 on a CUDA device are float32, whatever the environment says about TF32.
    """
    torch.set_flush_denormal(True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


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
