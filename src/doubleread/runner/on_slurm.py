"""Runs as jobs in the queue of Slurm: what a job asks for, and how long its runs are thought to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doubleread.dataset import PreparedSet
from doubleread.engines import Engine
from doubleread.engines.batch import Jobs
from doubleread.engines.slurm import SlurmExecutor
from doubleread.engines.squeue import Unanswered
from doubleread.errors import WorkFailed
from doubleread.runner.estimate import Estimate
from doubleread.runner.progress import Show
from doubleread.runner.workers import preload_for
from doubleread.store import JOBS, Store
from doubleread.study import EngineChoice, Plan
from doubleread.worker import Task

WARN_SECONDS = 90
"""How long before its time is over a job is told."""


def open_engine(
    engine: EngineChoice, plan: Plan, prepared: Mapping[str, PreparedSet], store: Store, workers: int | None, show: Show
) -> Engine:
    """See `runner.open_engine`; every node must see the store."""
    by_id = {run.run_id: run for run in plan.runs}
    estimate = Estimate(prepared, plan.runs, store.rows_of(list(by_id)))
    threads = max(run.recipe.threads for run in plan.runs)
    on_device = any(run.compute.device == "cuda" for run in plan.runs)
    how = Jobs(
        sbatch=_sbatch(engine, threads, on_device=on_device),
        workers=max(1, (engine.cpus or threads) // threads),
        preload=tuple(preload_for(plan.runs)),
        hold=on_device,
        at_once=workers,
        # what does not fit before the warning is begun for nothing
        batch_seconds=min(60.0 * engine.batch_minutes, 60.0 * engine.minutes - _warn_seconds(engine)),
    )

    def seconds_of(tasks: Sequence[Task]) -> float:
        return sum(estimate.seconds(by_id[task.run_id]) for task in tasks)

    try:
        return SlurmExecutor(store.root / JOBS, how, name_of=_name_of, seconds_of=seconds_of, remark=show.remark)
    except Unanswered as error:
        raise WorkFailed(f"Slurm does not answer: {error}") from error


def _name_of(tasks: Sequence[Task]) -> str:
    """Return what a call is named by: where there is no stack, by its one run."""
    return tasks[0].folder.name


def _warn_seconds(engine: EngineChoice) -> int:
    return min(WARN_SECONDS, 60 * engine.minutes // 3)


def _sbatch(engine: EngineChoice, threads: int, *, on_device: bool) -> dict[str, Any]:
    """Return what is asked of Slurm, as submitit has it."""
    cpus = engine.cpus or threads
    asked: dict[str, Any] = {
        "time": engine.minutes,
        "partition": engine.partition,
        "account": engine.account,
        "qos": engine.qos,
        "constraint": engine.constraint,
        "cpus_per_task": cpus,
        "gpus_per_node": int(engine.gpus) or None if on_device else None,
        "mem": f"{max(1, int(1024 * engine.memory_gb))}MB" if engine.memory_gb is not None else None,
        "setup": [*engine.setup, *engine.environments.get(engine.environment or "", ())] or None,
        "signal_delay_s": _warn_seconds(engine),
        # since 22.05 a step no longer has the cores of its job unless it says so
        "srun_args": [f"--cpus-per-task={cpus}"],
        # unless it is asked for, a site may not let a job begin again
        "additional_parameters": {k: v for k, v in {"requeue": True, **engine.options}.items() if v is not False},
    }
    return {name: value for name, value in asked.items() if value is not None}
