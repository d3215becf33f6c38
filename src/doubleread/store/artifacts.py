"""What a run leaves on the disk: weights, logits and a record, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from doubleread.files import move_folder, read_text, write_bytes, write_json

WEIGHTS, LOGITS, RECORD = "weights.safetensors", "logits.npz", "run.json"
PROGRESS = "progress.jsonl"


@dataclass(frozen=True, kw_only=True)
class Logits:
    """The stored logits of a run, float32, with the rows of the prepared set that they belong to."""

    val_rows: np.ndarray
    val: np.ndarray
    test_rows: np.ndarray
    test: np.ndarray


def attempt_folder(root: Path, run_id: str, attempt: int) -> Path:
    """Return where a worker writes attempt number `attempt` (1 is the first) of a run."""
    return root / "artifacts" / f"{run_id}.attempt-{attempt}"


def run_folder(root: Path, run_id: str) -> Path:
    """Return where the artifacts of a finished run are."""
    return root / "artifacts" / run_id


def write_attempt(
    folder: Path, record: Mapping[str, Any], logits: Logits | None, weights: Mapping[str, np.ndarray] | None
) -> None:
    """Write what a run leaves; the record comes last, so a folder with a record is whole."""
    if weights is not None:
        write_bytes(folder / WEIGHTS, save(dict(weights)))
    if logits is not None:
        content = io.BytesIO()
        np.savez(content, val_rows=logits.val_rows, val=logits.val, test_rows=logits.test_rows, test=logits.test)
        write_bytes(folder / LOGITS, content.getvalue())
    write_json(folder / RECORD, dict(record))


def is_whole(folder: Path) -> bool:
    """Tell whether a run's folder has everything that it will have."""
    return (folder / RECORD).is_file()


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a run's folder, or None where it is not whole."""
    return json.loads(read_text(folder / RECORD, limit=2**28)) if is_whole(folder) else None


def read_logits(root: Path, run_id: str) -> Logits:
    """Return the stored logits of a finished run."""
    with np.load(run_folder(root, run_id) / LOGITS) as arrays:
        return Logits(
            val_rows=arrays["val_rows"], val=arrays["val"], test_rows=arrays["test_rows"], test=arrays["test"]
        )


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


def weights_path(root: Path, run_id: str) -> Path:
    """Return where the weights of a finished run are, if they were kept."""
    return run_folder(root, run_id) / WEIGHTS


def adopt(root: Path, run_id: str, attempt: int) -> None:
    """Make an attempt the run's artifacts, and remove what other attempts left."""
    target = run_folder(root, run_id)
    if target.exists():
        shutil.rmtree(target)
    move_folder(attempt_folder(root, run_id, attempt), target)
    remove_attempts(root, run_id, attempt)


def remove_attempts(root: Path, run_id: str, last: int) -> None:
    """Remove the folders of unfinished attempts of a run, up to number `last`."""
    # by number: a glob would list the folder of every run
    for attempt in range(1, last + 1):
        folder = attempt_folder(root, run_id, attempt)
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)


def hash_weights(weights: Mapping[str, np.ndarray]) -> str:
    """Return a SHA-256 over names, shapes, types and bytes of all tensors."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = np.ascontiguousarray(weights[name])
        digest.update(f"{name}{tensor.dtype}{tensor.shape}".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
