"""What a run was trained with: versions, processor, threads."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from doubleread.nouns import Compute
from doubleread.training.native import compiler_version

PACKAGES = ("doubleread", "torch", "numpy", "scipy", "pillow", "safetensors")


def environment(threads: int, compute: Compute) -> dict[str, Any]:
    """Return the versions and the machine of this process; nothing in it names the user or the machine."""
    more: dict[str, Any] = {"computed": f"{compute.device}, {compute.precision}, {compute.path}"}
    if compute.path == "native":
        more["compiler"] = compiler_version()
    if compute.device == "cuda":
        more |= {"cuda_device": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return more | {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "threads_per_run": threads,
        "packages": versions(),
    }


@cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on."""
    return {name: metadata.version(name) for name in PACKAGES}


@cache
def processor() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
