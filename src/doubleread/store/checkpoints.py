"""The file of a checkpoint: tensors and a header, in the attempt that made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from doubleread import disk
from doubleread.files import MOST_BYTES, make_folders, read_bytes, sha256, write_into
from doubleread.store.artifacts import (
    CHECKPOINT,
    attempt_folder,
    hash_weights,
    remove_attempts,
    run_folder,
)


class Damaged(Exception):
    """A checkpoint cannot be used; the text is the reason."""


def write_checkpoint(folder: Path, header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Write a checkpoint into an attempt's folder, in the place of an older one.

    Raises:
        OSError: the disk is full or fails; an older checkpoint is as it was.
    """
    text = json.dumps(header, allow_nan=False)
    metadata = {"header": text, "header_sha256": sha256(text.encode()), "tensors_sha256": hash_weights(tensors)}
    write_into(folder / CHECKPOINT, save(dict(tensors), metadata=metadata))


def has_checkpoint(folder: Path) -> bool:
    """Tell whether an attempt has left a checkpoint."""
    return (folder / CHECKPOINT).is_file()


def read_header(folder: Path) -> dict[str, Any]:
    """Return the header of an attempt's checkpoint.

    Raises:
        Damaged: there is none, or it is not what was written.
    """
    return json.loads(_metadata(folder)["header"])


def read_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the header and the tensors of an attempt's checkpoint, compared with their hashes.

    Raises:
        Damaged: there is none, or it is not what was written.
    """
    metadata = _metadata(folder)
    try:
        tensors = load(read_bytes(folder / CHECKPOINT, MOST_BYTES))
    except (OSError, SafetensorError) as error:
        raise Damaged(str(error)) from error
    if hash_weights(tensors) != metadata.get("tensors_sha256"):
        raise Damaged("its tensors are not those that were written")
    return json.loads(metadata["header"]), tensors


def newest_checkpoint(root: Path, run_id: str, attempts: int) -> Path | None:
    """Return the folder with the newest checkpoint of a run that has had so many attempts, or None."""
    tried = [attempt_folder(root, run_id, attempt) for attempt in range(attempts, 0, -1)]
    return next((folder for folder in [*tried, run_folder(root, run_id)] if has_checkpoint(folder)), None)


def forget_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of an attempt."""
    disk.DISK.remove(folder / CHECKPOINT)


def make_attempt(root: Path, run_id: str, attempt: int, start: Path | None) -> Path:
    """Make the folder of an attempt, which begins with the checkpoint in the folder `start`; return it.

    Folders of earlier attempts are removed when the new one has what was in them.
    """
    folder = attempt_folder(root, run_id, attempt)
    make_folders(folder)
    if start is not None:
        try:
            disk.DISK.link(start / CHECKPOINT, folder / CHECKPOINT)
        except OSError:
            # a file system without second names
            write_into(folder / CHECKPOINT, read_bytes(start / CHECKPOINT, MOST_BYTES))
        disk.DISK.fsync_folder(folder)
    remove_attempts(root, run_id, attempt - 1)
    return folder


def _metadata(folder: Path) -> dict[str, str]:
    try:
        with safe_open(folder / CHECKPOINT, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise Damaged(str(error)) from error
    if sha256(metadata.get("header", "").encode()) != metadata.get("header_sha256"):
        raise Damaged("its header is not the one that was written")
    return metadata
