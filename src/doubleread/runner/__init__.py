"""Plan → engine → store: preparing a study, driving its runs, showing how it goes."""

from doubleread.runner.care import Care
from doubleread.runner.counts import Counts
from doubleread.runner.drive import drive
from doubleread.runner.engines import engine_for, jobs_in_queue, left_at_work
from doubleread.runner.estimate import Estimate
from doubleread.runner.how import How
from doubleread.runner.live import Live
from doubleread.runner.progress import Progress, Show, Silent, in_words
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
    "drive",
    "engine_for",
    "in_words",
    "jobs_in_queue",
    "left_at_work",
    "prepare_study",
    "train_study",
    "workers_for",
]
