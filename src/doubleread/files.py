"""Durable writes and capped reads; everything that touches a disk goes through here.

A durable write is a temporary file in the same folder, fsync, rename, fsync of the folder: a reader sees the old
file or the new one, never a part (the rename is atomic on POSIX file systems).
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from doubleread.errors import UserError

MAX_TEXT = 4 * 2**20


def fsync_folder(folder: Path) -> None:
    """Make the entries of `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def durable(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` at the end of the block, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` durably."""
    with durable(path) as handle:
        handle.write(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` durably, as UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` durably, as JSON (no NaN: a number that does not exist is null)."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_with(path: Path, writer: Callable[[BinaryIO], object]) -> None:
    """Let `writer` fill the file that durably replaces `path`."""
    with durable(path) as handle:
        writer(handle)


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder durably; `target` must not exist."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(source, target)
    fsync_folder(target.parent)
    if source.parent != target.parent:
        fsync_folder(source.parent)


def cache_folder() -> Path:
    """Return the folder for what can be made again: `$XDG_CACHE_HOME/doubleread`, else `~/.cache/doubleread`.

    Raises:
        OSError: there is no home folder.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path("~/.cache").expanduser()) / "doubleread"
    except RuntimeError as error:
        raise OSError(str(error)) from error


def user_path(text: str | Path, place: str) -> Path:
    """Return a path that a user gave, with `~` written out.

    Raises:
        UserError: no path can be made of it.
    """
    try:
        path = Path(text).expanduser()
        path.exists()
    except (RuntimeError, OSError, ValueError) as error:
        raise UserError(place, f"not a usable path ({_why(error)})", next_step="give another path") from error
    return path


def check_target(path: Path, place: str) -> None:
    """Check that a file can be written at `path`, and make its folder, before the work that fills it.

    Raises:
        UserError: it is a folder, or its folder cannot be made or written to.
    """
    try:
        if path.is_dir() or not path.name:
            raise UserError(place, f"{path} is a folder", "expected a file", "add a file name")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK) or len(os.fsencode(path.name)) > 240:
            raise UserError(place, f"{path} cannot be written", next_step="give another path")
    except (OSError, ValueError) as error:
        raise UserError(place, f"{path} cannot be written ({_why(error)})", next_step="give another path") from error


def check_folder(path: Path, place: str) -> None:
    """Check that files can be written in the folder `path`, and make it.

    Raises:
        UserError: it is a file, or cannot be made or written to.
    """
    check_target(path / "file", place)


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error).rstrip(".").lower()


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of `path`.

    Raises:
        UserError: the file is larger than `limit` bytes.
        OSError: it cannot be read.
    """
    with path.open("rb") as handle:
        content = handle.read(limit + 1)
    if len(content) > limit:
        raise UserError(str(path), f"the file has more than {limit:,} bytes", "expected a smaller file")
    return content


def read_text(path: Path, limit: int = MAX_TEXT) -> str:
    """Return the text of `path`, which must be UTF-8.

    Raises:
        UserError: it is missing, a folder, unreadable, too large or not text.
    """
    if not path.exists():
        raise UserError(str(path), "no such file", next_step="check the path")
    try:
        return read_bytes(path, limit).decode()
    except UnicodeDecodeError as error:
        raise UserError(str(path), "not a text file", "expected UTF-8 text") from error
    except OSError as error:
        raise UserError(str(path), f"cannot be read ({error.strerror})", next_step="check the path") from error


def sha256(content: bytes) -> str:
    """Return the hexadecimal SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def hash_of(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, hexadecimal."""
    return sha256(canonical_json(value).encode())
