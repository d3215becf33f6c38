"""The prepared set: reading through `images`, splits, audit, cache."""

from doubleread.dataset.prepare import Checked, check_source, look_for_sizes, prepare
from doubleread.dataset.prepared import Case, PreparedSet, open_prepared, open_run_data
from doubleread.dataset.reading import Progress, no_progress
from doubleread.dataset.subjects import rules_that_fit

__all__ = [
    "Case",
    "Checked",
    "PreparedSet",
    "Progress",
    "check_source",
    "look_for_sizes",
    "no_progress",
    "open_prepared",
    "open_run_data",
    "prepare",
    "rules_that_fit",
]
