"""What a run was trained with: versions, processor, threads."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from doubleread.nouns import Compute
from doubleread.training.native import compiler_version
from doubleread.training.precision import FLAGS

ARITHMETIC_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_MAX_CPU_ISA",
)
"""Variables of the environment that change the last bits of products."""
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
        "flags": {**FLAGS, **{name: os.environ[name] for name in ARITHMETIC_VARIABLES if name in os.environ}},
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in what an environment differs from an earlier one, a phrase each: `torch 2.12.0, now 2.13.0`.

    Only what both have written down is compared; how a run is computed and its threads are in its identity, and how
    many cores there were beside its own changes nothing.
    """
    before, after = _flat(then), _flat(now)
    return [
        f"{name} {before[name]}, now {after[name]}"
        for name in sorted(before)
        if name in after and before[name] != after[name] and name not in ("computed", "threads_per_run", "cores")
    ]


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    nested = {name: value for part in environment.values() if isinstance(part, dict) for name, value in part.items()}
    return {name: value for name, value in environment.items() if not isinstance(value, dict)} | nested


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
