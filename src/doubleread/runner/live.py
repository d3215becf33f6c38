"""One moment of a study under way: what the driver knows and progress shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from doubleread.nouns import State


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """One moment of a study under way, for whoever shows it.

    `running` maps a run to the epochs that it has finished; `work_done` and `work_total` are in the same unit,
    proportional to the time that runs take, without the runs that were there before.
    """

    states: Mapping[str, State]
    running: Mapping[str, list[dict[str, float]]]
    work_done: float
    work_total: float
