"""What a run leaves on the disk: weights, logits and a record, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from safetensors.numpy import save

from doubleread import disk
from doubleread.files import DAMAGED_ZIP, described, json_bytes, move_folder, read_text, write_into

WEIGHTS, LOGITS, RECORD = "weights.safetensors", "logits.npz", "run.json"
KEPT = (WEIGHTS, LOGITS, RECORD)
CHECKPOINT, PROGRESS, BEAT = "checkpoint.safetensors", "progress.jsonl", "beat"
JOBS = "jobs"
"""The folder of a store in which what is submitted to a queue stands."""
DAMAGE = (*DAMAGED_ZIP, KeyError, SyntaxError, TokenError, TypeError)
"""What NumPy raises on a damaged archive, and where it lacks an array or is one."""
ATTEMPT = re.compile(r"(.+)\.attempt-(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Logits:
    """The stored logits of a run, float32, with the rows of the prepared set that they belong to."""

    val_rows: np.ndarray
    val: np.ndarray
    test_rows: np.ndarray
    test: np.ndarray


def attempt_folder(root: Path, run_id: str, attempt: int) -> Path:
    """Return where a worker writes attempt number `attempt` (1 is the first) of a run."""
    return root / "artifacts" / f"{run_id}.attempt-{attempt}"


def attempt_of(name: str) -> tuple[str, int]:
    """Return the run and the number that the folder of an attempt is called by.

    Raises:
        ValueError: it is no such name.
    """
    match = ATTEMPT.fullmatch(name)
    if match is None:
        raise ValueError(f"{name} is no attempt")
    return match[1], int(match[2])


def run_folder(root: Path, run_id: str) -> Path:
    """Return where the artifacts of a finished run are."""
    return root / "artifacts" / run_id


def write_attempt(
    folder: Path, record: Mapping[str, Any], logits: Logits | None, weights: Mapping[str, np.ndarray] | None
) -> None:
    """Write what a run leaves, into a folder that is there; the record comes last, so a folder with one is whole.

    The record gets `files`: the hash and the size of each file beside it.

    Raises:
        OSError: the disk is full or fails, or the folder is gone.
    """
    contents: dict[str, bytes] = {}
    if weights is not None:
        contents[WEIGHTS] = save(dict(weights))
    if logits is not None:
        content = io.BytesIO()
        np.savez(content, val_rows=logits.val_rows, val=logits.val, test_rows=logits.test_rows, test=logits.test)
        contents[LOGITS] = content.getvalue()
    for name, content in contents.items():
        write_into(folder / name, content)
    files = {name: described(content) for name, content in contents.items()}
    write_into(folder / RECORD, json_bytes({**record, "files": files}))


def is_whole(folder: Path) -> bool:
    """Tell whether a run's folder has everything that it will have."""
    return (folder / RECORD).is_file()


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a run's folder, or None where it is not whole; in its `files` the record itself stands too.

    A record of a program that did not write down the files has none.
    """
    if not is_whole(folder):
        return None
    text = read_text(folder / RECORD, limit=2**28)
    record = json.loads(text)
    if "files" in record:
        record["files"][RECORD] = described(text.encode())
    return record


def read_logits(root: Path, run_id: str, *, sealed: bool = False) -> Logits:
    """Return the stored logits of a finished run; with `sealed` those of no test case, which are not even read.

    Raises:
        OSError: they are gone, or cannot be read.
        ValueError: they are damaged.
    """
    try:
        # NumPy leaves a file open whose archive is cut off
        with (run_folder(root, run_id) / LOGITS).open("rb") as handle, np.load(handle) as arrays:
            val_rows, val = arrays["val_rows"], arrays["val"]
            if sealed:
                return Logits(val_rows=val_rows, val=val, test_rows=val_rows[:0], test=val[:0])
            return Logits(val_rows=val_rows, val=val, test_rows=arrays["test_rows"], test=arrays["test"])
    except DAMAGE as error:
        raise ValueError(error.args[0] if error.args else type(error).__name__) from error


def has_begun(folder: Path) -> bool:
    """Tell whether a worker has begun the attempt in `folder`."""
    return (folder / PROGRESS).is_file()


def read_progress(folder: Path) -> list[dict[str, float]]:
    """Return the epochs that a worker has finished so far; a line that is still being written is left out."""
    try:
        text = (folder / PROGRESS).read_text(encoding="utf-8")
    except OSError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def read_beat(folder: Path) -> str:
    """Return the latest sign of life of the worker in `folder`; it is another each time that the worker gives one."""
    try:
        return (folder / BEAT).read_text(encoding="utf-8")
    except OSError:
        return ""


def weights_path(root: Path, run_id: str) -> Path:
    """Return where the weights of a finished run are, if they were kept."""
    return run_folder(root, run_id) / WEIGHTS


def adopt(root: Path, run_id: str, attempt: int, *, failed: bool = False) -> None:
    """Make a whole attempt the run's artifacts, and remove what other attempts left.

    One that failed keeps its checkpoint, from which the next attempt may go on.
    """
    source, target = attempt_folder(root, run_id, attempt), run_folder(root, run_id)
    kept = (*KEPT, CHECKPOINT) if failed else KEPT
    for path in source.iterdir():
        if path.name not in kept:
            disk.DISK.remove(path)
    disk.DISK.fsync_folder(source)
    disk.DISK.remove_folder(target)
    move_folder(source, target)
    remove_attempts(root, run_id, attempt)


def remove_attempts(root: Path, run_id: str, last: int) -> None:
    """Remove the folders of attempts of a run, up to number `last`."""
    # by number: a glob would list the folder of every run
    for attempt in range(1, last + 1):
        # what cannot be removed now is removed when the store is next opened for writing
        with suppress(OSError):
            disk.DISK.remove_folder(attempt_folder(root, run_id, attempt))


def attempts(root: Path) -> Iterator[tuple[str, int, Path]]:
    """Yield the run, the number and the folder of every attempt that is there."""
    with os.scandir(root / "artifacts") as entries:
        names = [entry.name for entry in entries]
    for name in names:
        if match := ATTEMPT.fullmatch(name):
            yield match[1], int(match[2]), root / "artifacts" / name


def hash_weights(weights: Mapping[str, np.ndarray]) -> str:
    """Return a SHA-256 over names, shapes, types and bytes of all tensors."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = np.ascontiguousarray(weights[name])
        digest.update(f"{name}{tensor.dtype}{tensor.shape}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
