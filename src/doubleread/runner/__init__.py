"""Plan → engine → store: preparing a study, driving its runs, showing how it goes.

What needs torch is loaded when it is asked for: it takes longer than all the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from doubleread.late import names_of
from doubleread.runner.care import Care
from doubleread.runner.counts import Counts
from doubleread.runner.how import How
from doubleread.runner.live import Live
from doubleread.runner.progress import Progress, Show, Silent, in_words

if TYPE_CHECKING:
    from doubleread.runner.engines import engine_for, jobs_in_queue, left_at_work
    from doubleread.runner.estimate import Estimate
    from doubleread.runner.session import Prepared, prepare_study, train_study
    from doubleread.runner.workers import default_workers, workers_for

__all__ = [
    "Care",
    "Counts",
    "Estimate",
    "How",
    "Live",
    "Prepared",
    "Progress",
    "Show",
    "Silent",
    "default_workers",
    "engine_for",
    "in_words",
    "jobs_in_queue",
    "left_at_work",
    "prepare_study",
    "train_study",
    "workers_for",
]

__getattr__ = names_of(
    __name__,
    {
        "Estimate": "doubleread.runner.estimate",
        "Prepared": "doubleread.runner.session",
        "default_workers": "doubleread.runner.workers",
        "engine_for": "doubleread.runner.engines",
        "jobs_in_queue": "doubleread.runner.engines",
        "left_at_work": "doubleread.runner.engines",
        "prepare_study": "doubleread.runner.session",
        "train_study": "doubleread.runner.session",
        "workers_for": "doubleread.runner.workers",
    },
)
