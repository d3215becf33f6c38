"""The prepared set: reading through `images`, splits, audit, cache."""

from doubleread.dataset.leaks import refuse_leaks
from doubleread.dataset.prepare import Checked, check_source, look_for_sizes, prepare, remove_drafts
from doubleread.dataset.prepared import (
    Case,
    PreparedSet,
    SharedSet,
    damage_of,
    open_prepared,
    open_run_data,
    prepared_folders,
)
from doubleread.dataset.reading import Progress, no_progress
from doubleread.dataset.select import by_number
from doubleread.dataset.subjects import rules_that_fit

__all__ = [
    "Case",
    "Checked",
    "PreparedSet",
    "Progress",
    "SharedSet",
    "by_number",
    "check_source",
    "damage_of",
    "look_for_sizes",
    "no_progress",
    "open_prepared",
    "open_run_data",
    "prepare",
    "prepared_folders",
    "refuse_leaks",
    "remove_drafts",
    "rules_that_fit",
]
