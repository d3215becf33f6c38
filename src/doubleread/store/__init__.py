"""Studies, runs and their artifacts on a disk."""

from doubleread.store.artifacts import (
    PROGRESS,
    Logits,
    attempt_folder,
    has_begun,
    hash_weights,
    is_whole,
    read_logits,
    read_progress,
    run_folder,
    weights_path,
    write_attempt,
)
from doubleread.store.store import DATABASE, EPOCH_FIELDS, HEALTH, Store, now, open_store

__all__ = [
    "DATABASE",
    "EPOCH_FIELDS",
    "HEALTH",
    "PROGRESS",
    "Logits",
    "Store",
    "attempt_folder",
    "has_begun",
    "hash_weights",
    "is_whole",
    "now",
    "open_store",
    "read_logits",
    "read_progress",
    "run_folder",
    "weights_path",
    "write_attempt",
]
