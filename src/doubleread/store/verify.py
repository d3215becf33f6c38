"""Is what a store has still what was written? Every file of every finished run and prepared set, by its hash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load

from doubleread.dataset import damage_of, prepared_folders
from doubleread.errors import UserError
from doubleread.files import MOST_BYTES, damage, read_bytes
from doubleread.nouns import State
from doubleread.store import artifacts
from doubleread.store.opening import open_store
from doubleread.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """How many runs and prepared sets have been compared, and what is wrong with those that are damaged.

    Runs are named by study, arm and seed. `marked` tells whether the damaged runs are marked, so that `run` trains them
    again; damaged prepared sets are made again by any `run` that uses them.
    """

    runs: int
    sets: int
    damaged_runs: dict[str, str]
    damaged_sets: dict[str, str]
    marked: bool


def verify_store(root: Path, progress: Callable[[int, int], object] = lambda _done, _total: None) -> Verified:
    """Read every file of a store's finished runs and prepared sets, and compare each with what was written.

    What is damaged is marked, unless another process trains into the store. `progress(done, total)` is called after
    each run.

    Raises:
        UserError: there is no store, or it cannot be read.
    """
    with open_store(root) as store:
        found, names = damaged_runs(store, progress), store.names_of_runs()
        runs, folders = len(store.files_of()), prepared_folders(store.data_folder)
    return Verified(
        runs=runs,
        sets=len(folders),
        damaged_runs={names.get(run_id, run_id): why for run_id, why in found.items()},
        damaged_sets={folder.name: ", ".join(wrong) for folder in folders if (wrong := damage_of(folder))},
        marked=_marked(root, found),
    )


def damaged_runs(store: Store, progress: Callable[[int, int], object] = lambda _done, _total: None) -> dict[str, str]:
    """Return what is wrong with the files of finished runs, by run; nothing is changed.

    Of a run from before files had hashes, the weights are compared and the others must be readable.
    """
    files, hashes = store.files_of(), store.weights_hashes()
    damaged = {}
    for number, (run_id, known) in enumerate(files.items(), 1):
        folder = artifacts.run_folder(store.root, run_id)
        wrong = damage(folder, known, read=True) if known is not None else _older(store, run_id, hashes[run_id])
        if wrong:
            damaged[run_id] = "damaged: " + ", ".join(wrong)
        progress(number, len(files))
    return damaged


def _marked(root: Path, damaged: dict[str, str]) -> bool:
    if not damaged:
        return True
    try:
        with open_store(root, write=True) as store:
            for run_id, reason in damaged.items():
                store.set_state(run_id, State.FAILED, reason)
    except UserError:
        # in use, or on a disk that cannot be written to
        return False
    return True


def _older(store: Store, run_id: str, weights_hash: str) -> list[str]:
    folder, wrong = artifacts.run_folder(store.root, run_id), []
    try:
        if artifacts.read_record(folder) is None:
            wrong.append(f"{artifacts.RECORD} is gone")
    except (ValueError, UserError):
        wrong.append(f"{artifacts.RECORD} cannot be read")
    try:
        artifacts.read_logits(store.root, run_id)
    except (OSError, ValueError) as error:
        wrong.append(f"{artifacts.LOGITS} cannot be read ({error})")
    path = folder / artifacts.WEIGHTS
    if path.is_file():
        try:
            tensors = load(read_bytes(path, MOST_BYTES))
            if artifacts.hash_weights(tensors) != weights_hash:
                wrong.append(f"{artifacts.WEIGHTS} has other content than was written")
        except (OSError, SafetensorError) as error:
            wrong.append(f"{artifacts.WEIGHTS} cannot be read ({error})")
    return wrong
