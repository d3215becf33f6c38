"""Runs as calls on a cluster of Ray: the images are put there once, what a run leaves comes home by a board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from doubleread.dataset import PreparedSet, SharedSet
from doubleread.engines import Engine
from doubleread.engines.ray_cluster import Needs, RayExecutor, Shared
from doubleread.engines.ray_connection import Cluster, NoCluster
from doubleread.errors import WorkFailed
from doubleread.processes import usable_cores
from doubleread.runner.progress import Show
from doubleread.runner.workers import bytes_of, workers_for
from doubleread.store import Store
from doubleread.store.board import Board
from doubleread.study import EngineChoice, Plan
from doubleread.worker import Ending, Task
from doubleread.worker.away import execute_away

MEMORY_SPARE = 1.2


def open_engine(
    engine: EngineChoice, plan: Plan, prepared: Mapping[str, PreparedSet], store: Store, workers: int | None, show: Show
) -> Engine:
    """See `runner.open_engine`; the store is beside the driver, and no machine of the cluster sees it."""
    threads = max(run.recipe.threads for run in plan.runs)
    on_device = any(run.compute.device == "cuda" for run in plan.runs)
    here = workers or max(1, usable_cores() // threads)
    if engine.address is None and not on_device:
        here, remarks = workers_for(plan, prepared, here)
        for remark in remarks:
            show.remark(remark)
    pixels = sum(data.images.nbytes for data in prepared.values())
    cluster = Cluster(
        address=engine.address,
        workers=here * threads,
        store_bytes=int(MEMORY_SPARE * pixels) + 2**28,
    )
    needs = Needs(
        cpus=threads,
        gpus=engine.gpus if on_device else 0.0,
        # what is shared counts once for a machine, and not for each run
        memory=0 if engine.address is None else max(bytes_of(run, prepared[run.data_hash]) for run in plan.runs),
        retries=engine.retries,
    )
    try:
        return RunsOnRay(cluster, needs, prepared, most=workers, remark=show.remark)
    except NoCluster as error:
        where = f"a cluster at {engine.address}" if engine.address else "a cluster on this machine"
        raise WorkFailed(f"Ray does not give {where}: {error}") from error


class RunsOnRay(RayExecutor):
    """Takes `execute(tasks)` from the driver and has it done where the store is not seen."""

    def __init__(
        self,
        cluster: Cluster,
        needs: Needs,
        sets: Mapping[str, PreparedSet],
        most: int | None = None,
        remark: Callable[[str], None] = lambda _text: None,
    ) -> None:
        super().__init__(cluster, needs, Board, key_of=_folder_of, most=most, remark=remark)
        try:
            self._sets: dict[str, Shared[SharedSet]] = {key: self.share(data.shared()) for key, data in sets.items()}
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Ending]:
        """See `Executor`; `args` are the tasks of one unit, which share their images."""
        (tasks,) = args
        return super().submit(execute_away, self._sets[tasks[0].data_hash], tasks)


def _folder_of(_data: object, tasks: Sequence[Task]) -> Path:
    return tasks[0].folder
