"""Which engine a study's runs go to, set up for its plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from doubleread.dataset import PreparedSet
from doubleread.engines import Engine as Executor
from doubleread.engines import LocalExecutor
from doubleread.engines.ray_environment import settle_ray
from doubleread.engines.squeue import Unanswered, Waiting, left_in_queue
from doubleread.errors import UserError, WorkFailed
from doubleread.processes import usable_cores
from doubleread.runner.estimate import Estimate
from doubleread.runner.progress import Show
from doubleread.runner.workers import bytes_of, preload_for, workers_for
from doubleread.store import JOBS, Store
from doubleread.study import Engine, Plan, Study, engine_of
from doubleread.training import resolve_device
from doubleread.worker import Task

NEEDED = {"ray": "ray", "slurm": "submitit"}
"""What an engine takes, which may not be installed: an engine's modules are loaded by those alone that ask for it."""
WARN_SECONDS = 90
"""How long before its time is over a job is told."""
RAY_MEMORY_SPARE = 1.2


def engine_for(study: Study, name: str | None) -> Engine:
    """Return where a study is trained: on the engine called `name`, else where the study says, else on this machine.

    Raises:
        UserError: there is no such engine, what it takes is not installed, or the site file does not fit.
    """
    engine = engine_of(study.engine, name, study.place)
    package = NEEDED.get(engine.name)
    if package is not None and find_spec(package) is None:
        step = f"pip install 'doubleread[{engine.name}]'"
        raise UserError(f"--engine {engine.name}", f"{package} is not installed", "", step)
    return engine


def device_of(engine: Engine, wanted: str) -> Literal["cpu", "cuda"]:
    """Return the device that `auto`, `cpu` or `cuda` means with an engine: on other machines, what is asked for there.

    Raises:
        UserError: CUDA is wanted and there is none, or no GPU is asked for.
    """
    if engine.name == "local" or wanted not in ("auto", "cpu", "cuda"):
        return resolve_device(wanted)
    if wanted == "cuda" and not engine.gpus:
        raise UserError("--device cuda", f"no GPU is asked for with {engine.name}", "", "set engine.gpus")
    return "cuda" if engine.gpus and wanted != "cpu" else "cpu"


def left_at_work(root: Path, engine: Engine) -> frozenset[str]:
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
    engine: Engine, plan: Plan, prepared: Mapping[str, PreparedSet], store: Store, workers: int | None, show: Show
) -> Executor:
    """Return the executor of an engine, for the runs of a plan; `workers` is what the user asked for.

    Raises:
        WorkFailed: there is no such engine where one was to be.
    """
    if engine.name == "ray":
        return _on_ray(engine, plan, prepared, workers, show)
    if engine.name == "slurm":
        return _on_slurm(engine, plan, prepared, store, workers, show)
    allowed, remarks = workers_for(plan, prepared, workers)
    for remark in remarks:
        show.remark(remark)
    on_device = any(run.compute.device == "cuda" for run in plan.runs)
    return LocalExecutor(allowed, preload_for(*kinds_of(plan)), hold=on_device)


def kinds_of(plan: Plan) -> tuple[set[str], set[str]]:
    """Return the paths of a plan's runs, and the names of their models."""
    return {run.compute.path for run in plan.runs}, {run.recipe.model.name for run in plan.runs}


def _threads(plan: Plan) -> int:
    return max(run.recipe.threads for run in plan.runs)


def _on_ray(
    engine: Engine, plan: Plan, prepared: Mapping[str, PreparedSet], workers: int | None, show: Show
) -> Executor:
    settle_ray(local=engine.address is None)
    on_ray = import_module("doubleread.runner.on_ray")
    here = workers or max(1, usable_cores() // _threads(plan))
    if engine.address is None and not engine.gpus:
        here, remarks = workers_for(plan, prepared, here)
        for remark in remarks:
            show.remark(remark)
    pixels = sum(data.images.nbytes for data in prepared.values())
    cluster = on_ray.Cluster(
        address=engine.address,
        workers=here * _threads(plan),
        store_bytes=int(RAY_MEMORY_SPARE * pixels) + 2**28,
    )
    needs = on_ray.Needs(
        cpus=_threads(plan),
        gpus=engine.gpus,
        # what is shared counts once for a machine, and not for each run
        memory=0 if engine.address is None else max(bytes_of(run, prepared[run.data_hash]) for run in plan.runs),
        retries=engine.retries,
    )
    try:
        return on_ray.RunsOnRay(cluster, needs, prepared, most=workers, remark=show.remark)
    except on_ray.NoCluster as error:
        where = f"a cluster at {engine.address}" if engine.address else "a cluster on this machine"
        raise WorkFailed(f"Ray does not give {where}: {error}") from error


def _on_slurm(
    engine: Engine, plan: Plan, prepared: Mapping[str, PreparedSet], store: Store, workers: int | None, show: Show
) -> Executor:
    slurm = import_module("doubleread.engines.slurm")
    by_id = {run.run_id: run for run in plan.runs}
    estimate = Estimate(prepared, plan.runs, store.rows_of(list(by_id)))
    threads = _threads(plan)
    how = slurm.Jobs(
        sbatch=_sbatch(engine, threads),
        workers=max(1, (engine.cpus or threads) // threads),
        preload=tuple(preload_for(*kinds_of(plan))),
        hold=bool(engine.gpus),
        at_once=workers,
        batch_seconds=60 * engine.batch_minutes,
    )

    def seconds_of(tasks: Sequence[Task]) -> float:
        return sum(estimate.seconds(by_id[task.run_id]) for task in tasks)

    try:
        return slurm.SlurmExecutor(
            store.root / JOBS,
            how,
            name_of=_name_of,
            seconds_of=seconds_of,
            remark=show.remark,
        )
    except (Unanswered, RuntimeError) as error:
        raise WorkFailed(f"Slurm does not answer: {error}") from error


def _name_of(tasks: Sequence[Task]) -> str:
    """Return what a call is named by: where there is no stack, by its one run."""
    return tasks[0].folder.name


def _sbatch(engine: Engine, threads: int) -> dict[str, Any]:
    """Return what is asked of Slurm, as submitit has it."""
    cpus = engine.cpus or threads
    seconds = 60 * engine.minutes
    asked: dict[str, Any] = {
        "time": engine.minutes,
        "partition": engine.partition,
        "account": engine.account,
        "qos": engine.qos,
        "constraint": engine.constraint,
        "cpus_per_task": cpus,
        "gpus_per_node": int(engine.gpus) or None,
        "mem": f"{int(1024 * engine.memory_gb)}MB" if engine.memory_gb is not None else None,
        "setup": [*engine.setup, *engine.environments.get(engine.environment or "", ())] or None,
        "signal_delay_s": min(WARN_SECONDS, seconds // 3),
        # since 22.05 a step no longer has the cores of its job unless it says so
        "srun_args": [f"--cpus-per-task={cpus}"],
        # unless it is asked for, a site may not let a job begin again
        "additional_parameters": {k: v for k, v in {"requeue": True, **engine.options}.items() if v is not False},
    }
    return {name: value for name, value in asked.items() if value is not None}
