"""Plan → engine → store: preparing a study, driving its runs, showing how it goes."""

from doubleread.runner.care import Care
from doubleread.runner.drive import Counts, drive
from doubleread.runner.live import Live
from doubleread.runner.progress import Progress, Show, Silent, in_words
from doubleread.runner.session import Prepared, prepare_study, train_study
from doubleread.runner.workers import default_workers, workers_for

__all__ = [
    "Care",
    "Counts",
    "Live",
    "Prepared",
    "Progress",
    "Show",
    "Silent",
    "default_workers",
    "drive",
    "in_words",
    "prepare_study",
    "train_study",
    "workers_for",
]
