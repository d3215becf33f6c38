"""Studies, runs and their artifacts on a disk."""

from doubleread.store.artifacts import (
    BEAT,
    PROGRESS,
    WEIGHTS,
    Logits,
    attempt_folder,
    has_begun,
    hash_weights,
    is_whole,
    read_beat,
    read_logits,
    read_progress,
    read_record,
    run_folder,
    weights_path,
    write_attempt,
)
from doubleread.store.checkpoints import (
    Damaged,
    forget_checkpoint,
    has_checkpoint,
    make_attempt,
    newest_checkpoint,
    read_checkpoint,
    read_header,
    write_checkpoint,
)
from doubleread.store.listing import COLUMNS, Listing, list_runs
from doubleread.store.opening import open_store
from doubleread.store.recovery import lost, recover
from doubleread.store.standing import finished, standing
from doubleread.store.store import DATABASE, EPOCH_FIELDS, HEALTH, Store, now

__all__ = [
    "BEAT",
    "COLUMNS",
    "DATABASE",
    "EPOCH_FIELDS",
    "HEALTH",
    "PROGRESS",
    "WEIGHTS",
    "Damaged",
    "Listing",
    "Logits",
    "Store",
    "attempt_folder",
    "finished",
    "forget_checkpoint",
    "has_begun",
    "has_checkpoint",
    "hash_weights",
    "is_whole",
    "list_runs",
    "lost",
    "make_attempt",
    "newest_checkpoint",
    "now",
    "open_store",
    "read_beat",
    "read_checkpoint",
    "read_header",
    "read_logits",
    "read_progress",
    "read_record",
    "recover",
    "run_folder",
    "standing",
    "weights_path",
    "write_attempt",
    "write_checkpoint",
]
