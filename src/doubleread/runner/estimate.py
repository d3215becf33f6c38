"""How long runs take: as those like them took, else by a few steps of training on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from doubleread.dataset import PreparedSet
from doubleread.nouns import State
from doubleread.study import PlannedRun
from doubleread.training import Cost, measure

UNKNOWN_SECONDS = 3600.0
"""What a run is taken for that nothing is known of, on a device that this machine does not have."""


class Estimate:
    """Estimates of the runs on some prepared sets; `rows` are those of runs of the store, as `Store.rows_of` has them.

    Runs that differ in their seed, the number of epochs or the schedule cost the same for each step.
    """

    def __init__(
        self,
        prepared: Mapping[str, PreparedSet],
        runs: Iterable[PlannedRun] = (),
        rows: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._prepared = prepared
        self._steps = {key: len(data.rows("train")) for key, data in prepared.items()}
        self._costs: dict[str, Cost] = {}
        self._took: dict[str, tuple[float, float]] = {}
        for run in runs:
            row = (rows or {}).get(run.run_id)
            if row is not None and row["state"] == State.DONE and row["seconds"]:
                seconds, steps = self._took.get(_key(run), (0.0, 0.0))
                self._took[_key(run)] = seconds + row["seconds"], steps + self.steps(run)

    def steps(self, run: PlannedRun) -> int:
        """Return how many updates a run makes."""
        return run.recipe.epochs * -(-self._steps[run.data_hash] // run.recipe.batch_size)

    def cost(self, run: PlannedRun) -> Cost:
        """Return what a step of a run takes on this machine, measured once for all that cost the same.

        Raises:
            RuntimeError, MemoryError: it cannot be trained here.
        """
        key = _key(run)
        if key not in self._costs:
            if run.compute.device == "cuda" and not torch.cuda.is_available():
                raise RuntimeError("this machine has no CUDA device to measure it on")
            torch.set_num_threads(run.recipe.threads)
            data = self._prepared[run.data_hash].run_data(run.seed)
            self._costs[key] = measure(run.recipe, run.intensity, data, run.compute)
        return self._costs[key]

    def seconds(self, run: PlannedRun) -> float:
        """Return about how long a run takes."""
        if (took := self._took.get(_key(run))) is not None:
            return self.steps(run) * took[0] / took[1]
        try:
            return self.steps(run) * self.cost(run).step_seconds
        except (RuntimeError, MemoryError):
            return UNKNOWN_SECONDS


def _key(run: PlannedRun) -> str:
    return f"{run.recipe.model_copy(update={'epochs': 1, 'schedule': None})}{run.data_hash}{run.compute}"
