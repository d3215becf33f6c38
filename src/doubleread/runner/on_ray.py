"""Runs as calls on a cluster of Ray: the images are put there once, what a run leaves comes home by a board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from doubleread.dataset import PreparedSet, SharedSet
from doubleread.engines.ray_cluster import Cluster, Needs, NoCluster, RayExecutor, Shared
from doubleread.store.board import Board
from doubleread.worker import Ending, Task
from doubleread.worker.away import execute_away

__all__ = ["Cluster", "Needs", "NoCluster", "RunsOnRay"]


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
        self._sets: dict[str, Shared[SharedSet]] = {key: self.share(data.shared()) for key, data in sets.items()}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Ending]:
        """See `Executor`; `args` are the tasks of one unit, which share their images."""
        (tasks,) = args
        return super().submit(execute_away, self._sets[tasks[0].data_hash], tasks)


def _folder_of(_data: object, tasks: Sequence[Task]) -> Path:
    return tasks[0].folder
