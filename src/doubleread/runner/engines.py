"""Which engine a study's runs go to, set up for its plan."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from doubleread.dataset import PreparedSet
from doubleread.engines import Engine, LocalExecutor
from doubleread.engines.ray_environment import settle_ray
from doubleread.engines.squeue import Unanswered, Waiting, left_in_queue
from doubleread.errors import UserError, WorkFailed
from doubleread.runner.progress import Show
from doubleread.runner.workers import preload_for, workers_for
from doubleread.store import JOBS, Store
from doubleread.study import EngineChoice, Plan, Study, engine_of
from doubleread.training import resolve_device

NEEDED = {"ray": "ray", "slurm": "submitit"}
"""What an engine takes, which may not be installed."""
ELSEWHERE = {"ray": "doubleread.runner.on_ray", "slurm": "doubleread.runner.on_slurm"}
"""The modules that open an engine on other machines, each by its `open_engine`."""


def engine_for(study: Study, name: str | None) -> EngineChoice:
    """Return where a study is trained: on the engine called `name`, else where the study says, else on this machine.

    Raises:
        UserError: there is no such engine, what it takes is not installed, the site file does not fit, or a job has
            fewer cores than one run.
    """
    engine = engine_of(study.engine, name, study.place)
    package = NEEDED.get(engine.name)
    if package is not None and find_spec(package) is None:
        step = f"pip install 'doubleread[{engine.name}]'"
        raise UserError(f"--engine {engine.name}", f"{package} is not installed", "", step)
    threads = max(arm.recipe.threads for arm in study.arms)
    if engine.cpus is not None and engine.cpus < threads:
        raise UserError("engine.cpus", f"got {engine.cpus}, and a run has {threads} threads", f"expected ≥ {threads}")
    return engine


def device_of(engine: EngineChoice, wanted: str) -> Literal["cpu", "cuda"]:
    """Return the device that `auto`, `cpu` or `cuda` means with an engine: on other machines, what is asked for there.

    Raises:
        UserError: CUDA is wanted and there is none, or no GPU is asked for.
    """
    if engine.name == "local" or wanted not in ("auto", "cpu", "cuda"):
        return resolve_device(wanted)
    if wanted == "cuda" and not engine.gpus:
        raise UserError("--device cuda", f"no GPU is asked for with {engine.name}", "", "set engine.gpus")
    return "cuda" if engine.gpus and wanted != "cpu" else "cpu"


def left_at_work(root: Path, engine: EngineChoice) -> frozenset[str]:
    """Return the attempts, by the names of their folders, that the queue goes on with for an earlier driver.

    Raises:
        UserError: another engine is asked for than the one that has them.
        WorkFailed: there may be some, and the queue does not say.
    """
    names = frozenset(name for job in jobs_in_queue(root) for name in job.calls)
    if names and engine.name != "slurm":
        raise UserError(
            f"--store {root}",
            f"{len(names)} {'run is' if len(names) == 1 else 'runs are'} in the queue of Slurm, from an earlier start",
            "",
            "go on with --engine slurm, or end them with scancel",
        )
    return names


def jobs_in_queue(root: Path) -> list[Waiting]:
    """Return the jobs of a store that the queue has.

    Raises:
        WorkFailed: there may be some, and the queue does not say.
    """
    try:
        return left_in_queue(root / JOBS)
    except Unanswered as error:
        raise WorkFailed(
            f"{root / JOBS} tells of jobs in the queue of Slurm, but {error}: go on where Slurm answers, or remove that"
            " folder if they are gone"
        ) from error


def open_engine(
    engine: EngineChoice, plan: Plan, prepared: Mapping[str, PreparedSet], store: Store, workers: int | None, show: Show
) -> Engine:
    """Return the executor of an engine, for the runs of a plan; `workers` is what the user asked for.

    Raises:
        WorkFailed: there is no such engine where one was to be.
    """
    if engine.name == "ray":
        # Ray reads it once, as it is imported
        settle_ray(local=engine.address is None)
    if engine.name in ELSEWHERE:
        # not before it is asked for: what it takes may not be installed
        return import_module(ELSEWHERE[engine.name]).open_engine(engine, plan, prepared, store, workers, show)
    allowed, remarks = workers_for(plan, prepared, workers)
    for remark in remarks:
        show.remark(remark)
    on_device = any(run.compute.device == "cuda" for run in plan.runs)
    return LocalExecutor(allowed, preload_for(plan.runs), hold=on_device)
