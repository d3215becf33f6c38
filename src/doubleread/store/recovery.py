"""What a program that ended in the middle left in a store, brought in order by the next one that writes to it."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

from doubleread import disk
from doubleread.errors import UserError
from doubleread.files import damage, remove_leftovers
from doubleread.nouns import State
from doubleread.store import artifacts
from doubleread.store.checkpoints import newest_checkpoint
from doubleread.store.store import Store

ORPHAN_SECONDS = 15.0
"""How long a worker whose program was killed may need to notice it."""
OVER = frozenset({State.DONE, State.DIVERGED})


def recover(store: Store, at_work: Collection[str] = ()) -> list[str]:
    """Bring runs that a program left `running` when it died to what they are; return those taken over whole.

    What no run needs any more is removed: half-written files, attempts of runs that are done, attempts without a
    checkpoint. Only the holder of the store's lock may call it: no other program is alive, and its workers are waited
    for. `at_work` are the folders of attempts, by name, that a queue goes on with though the program is gone; they stay
    as they are.

    Raises:
        UserError: a worker of an earlier program is still at work.
    """
    adopted = []
    for run_id, attempt in store.running():
        folder = artifacts.attempt_folder(store.root, run_id, attempt)
        if folder.name in at_work and not artifacts.is_whole(folder):
            continue
        _wait_for_worker(store.root, folder)
        renamed = artifacts.read_record(artifacts.run_folder(store.root, run_id))
        if artifacts.is_whole(folder):
            store.record(run_id, attempt)
            adopted.append(run_id)
        elif renamed is not None and renamed["attempt"] == attempt:
            store.write_rows(run_id, renamed)
            adopted.append(run_id)
        else:
            store.set_state(run_id, State.INTERRUPTED, "the program ended during the run")
    _sweep(store, at_work)
    return adopted


def lost(store: Store, run_ids: Collection[str]) -> dict[str, str]:
    """Mark as failed those of `run_ids` that are done but whose files are gone or cut short; return why, by run.

    Contents are not read: that is `verify`'s.
    """
    found = {}
    for run_id, files in store.files_of(run_ids).items():
        wrong = damage(artifacts.run_folder(store.root, run_id), files, read=False) if files is not None else []
        if wrong:
            found[run_id] = "damaged: " + ", ".join(wrong)
            store.set_state(run_id, State.FAILED, found[run_id])
    return found


def _wait_for_worker(root: Path, folder: Path) -> None:
    deadline = time.monotonic() + ORPHAN_SECONDS
    while folder.is_dir():
        try:
            held = disk.lock(folder)
        except OSError as error:
            if error.errno not in disk.NO_LOCKS:
                raise
            # nobody could have taken it
            return
        if held is not None:
            os.close(held)
            return
        if time.monotonic() > deadline:
            raise UserError(
                f"--store {root}",
                f"a process of an earlier doubleread still trains into {folder.name}",
                "",
                "wait for it, or end it",
            )
        time.sleep(0.05)


def _sweep(store: Store, at_work: Collection[str]) -> None:
    root = store.root
    found: dict[str, list[tuple[int, Path]]] = {}
    for run_id, attempt, folder in artifacts.attempts(root):
        found.setdefault(run_id, []).append((attempt, folder))
    states = store.states(list(found))
    for run_id, of_run in found.items():
        last = max(attempt for attempt, _ in of_run)
        needed = newest_checkpoint(root, run_id, last) if states.get(run_id, State.DONE) not in OVER else None
        for _, folder in of_run:
            if folder.name in at_work:
                continue
            if folder != needed:
                disk.DISK.remove_folder(folder)
            else:
                remove_leftovers(folder)
    remove_leftovers(root)
    remove_leftovers(root / "artifacts")
