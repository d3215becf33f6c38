"""How many runs at once: one for each core, fewer where the memory would not do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from doubleread.dataset import PreparedSet
from doubleread.models import BUILDERS, module_of
from doubleread.processes import usable_cores
from doubleread.study import Plan, PlannedRun
from doubleread.training.memory import worker_bytes
from doubleread.training.native import why_not

SPARE = 0.9
"""The part of the available memory that workers may plan with."""


def workers_for(plan: Plan, prepared: Mapping[str, PreparedSet], wanted: int | None) -> tuple[int, list[str]]:
    """Return how many runs there are at once on this machine, and what a user should know about how they are computed.

    `wanted` is what the user asked for; by default as many as `default_workers` says.
    """
    number, remark = affordable(wanted or default_workers(plan), plan, prepared, available_bytes())
    remarks = [remark] if remark is not None else []
    if any(run.compute.path == "tiles" and run.recipe.threads == 1 for run in plan.runs) and (reason := why_not()):
        remarks.append(f"without the compiled routine training takes longer: {reason}")
    return number, remarks


def preload_for(runs: Iterable[PlannedRun]) -> list[str]:
    """Return the modules that the server of these runs loads before it forks, by their models and paths.

    torch.optim imports torch's compiler at its first step, 1.6 s of every run unless the server has it; the other paths
    never do, and a process forked without it is there in half the time. MONAI takes two seconds. A module of the user's
    own is left to the runs: what it does as it is imported should not be shared.
    """
    kinds = {(run.recipe.model.name, run.compute.path) for run in runs}
    nets = sorted({module for name, _ in kinds if name in BUILDERS and (module := module_of(name))})
    paths = {path for _, path in kinds}
    return ["doubleread.worker.server", *(["torch._dynamo"] if "reference" in paths else []), *nets]


def default_workers(plan: Plan) -> int:
    """Return how many runs fill the cores that this process may use, over the threads of each; on CUDA one stack."""
    if any(run.compute.device == "cuda" for run in plan.runs):
        return 1
    return max(1, usable_cores() // max(run.recipe.threads for run in plan.runs))


def affordable(
    wanted: int, plan: Plan, prepared: Mapping[str, PreparedSet], available: int | None
) -> tuple[int, str | None]:
    """Return how many of the `wanted` workers the memory allows, at least one, and what to say if it is fewer.

    `available` is in bytes; None where the system does not tell. A worker is counted with the largest run of the plan;
    the images are shared and are counted once.
    """
    if available is None:
        return wanted, None
    each = max(bytes_of(run, prepared[run.data_hash]) for run in plan.runs)
    shared = sum(data.images.nbytes for data in prepared.values())
    allowed = max(1, int((SPARE * available - shared) // each))
    if allowed >= wanted:
        return wanted, None
    return allowed, (
        f"{allowed} {'run' if allowed == 1 else 'runs'} at once instead of {wanted}: each takes about"
        f" {each / 2**20:,.0f} MiB, and {available / 2**20:,.0f} MiB are available"
    )


def available_bytes() -> int | None:
    """Return how much memory new processes can have, or None where the system does not tell (only Linux does)."""
    found = [_meminfo(), *_cgroups()]
    known = [value for value in found if value is not None]
    return min(known, default=None)


def bytes_of(run: PlannedRun, data: PreparedSet) -> int:
    """Return how much memory the process of a run takes, without the images."""
    return worker_bytes(run.recipe, run.compute, data.shape, len(data.classes))


def _meminfo() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def _cgroups() -> list[int]:
    """Return what the limits of this process's control groups leave; in a container nothing else tells its limit."""
    root, left = Path("/sys/fs/cgroup"), []
    for folder, limit, used, cached in (
        (root, "memory.max", "memory.current", "inactive_file"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # the cache of files counts as used, and is given back when it is asked for
            taken = int((folder / used).read_text()) - int(stat.get(cached, 0))
            left.append(int((folder / limit).read_text()) - taken)
        except (OSError, ValueError):
            continue
    return left
