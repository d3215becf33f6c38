"""The least time that an epoch could take on this machine: its work over the rate, or its bytes over the bandwidth.

Work: two products in the first layer for each training case, one for each validation case; the other layers are left
out, a thousandth of it at 256 × 256 and a twelfth at 28 × 28. Bytes: weights and both moments of Adam, read and
written once a step. Rates are those of all cores.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from workloads import CORES, HIDDEN, TRAIN, VALIDATION

SIDE = 2048
COPIED = 2**27
"""Floats of the arrays of the bandwidth test: 512 MiB, more than any cache."""


def gemm_rates(turns: int) -> dict[str, float]:
    """Return floating-point operations a second of a 2048 × 2048 product with all cores: `mm` of fp32, and of bf16.

    And of fp32 by oneDNN, which PyTorch does not use for it on x86 but which is faster than its own on some processors.
    """
    torch.set_num_threads(CORES)
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    a16, b16 = a.bfloat16(), b.bfloat16()
    linear = torch.ops.mkldnn._linear_pointwise
    work = 2 * SIDE**3
    return {
        "fp32": work / _median(lambda: torch.mm(a, b), turns),
        "fp32, oneDNN": work / _median(lambda: linear(a, b, None, "none", [], ""), turns),
        "bf16": work / _median(lambda: torch.mm(a16, b16), turns),
    }


def bandwidth(turns: int) -> float:
    """Return the bytes a second that all cores read and write in an addition in place, as Adam's pass does."""
    torch.set_num_threads(CORES)
    x, y = torch.zeros(COPIED), torch.ones(COPIED)
    return 3 * 4 * COPIED / _median(lambda: x.add_(y), turns)


def floor_of(size: int, batch: int, rate: float, bytes_a_second: float) -> float:
    """Return the floor of an epoch in seconds, all cores together."""
    weights = size * size * HIDDEN[0]
    work = 2 * weights * (2 * TRAIN + VALIDATION)
    steps = -(-TRAIN // batch)
    return max(work / rate, steps * 6 * 4 * weights / bytes_a_second)


def _median(call: Callable[[], object], turns: int) -> float:
    call()
    spent = []
    for _ in range(turns):
        began = time.perf_counter()
        call()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)
