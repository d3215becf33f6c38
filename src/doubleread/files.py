"""Durable writes and capped reads; everything that goes to a disk goes through here.

A durable write is a temporary file in the same folder, fsync, rename, fsync of the folder: a reader sees the old
file or the new one, never a part (the rename is atomic on POSIX file systems).
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from doubleread import disk
from doubleread.errors import UserError

DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OverflowError,
    RuntimeError,  # an encrypted archive, or a compression that Python does not know
    ValueError,
)
"""What the standard library raises on a damaged .zip file."""
MAX_TEXT = 4 * 2**20
PIECE = 2**20
"""Bytes of one write."""
TEMPORARY = ".tmp"
MOST_BYTES = 2**40

Files = Mapping[str, Mapping[str, Any]]
"""Files of a folder by name, each with its `sha256` and `bytes`."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` durably; its folder is made if need be."""
    make_folders(path.parent)
    write_into(path, content)


def write_into(path: Path, content: bytes) -> None:
    """Write `content` to `path` durably, in a folder that is there.

    Raises:
        OSError: the disk is full or fails; the old file is as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with disk.DISK.create(temporary) as handle:
            view = memoryview(content)
            for start in range(0, len(view), PIECE):
                disk.DISK.write(handle, view[start : start + PIECE])
            disk.DISK.fsync(handle)
        disk.DISK.rename(temporary, path)
    except BaseException:
        # if this fails too, what is left lies under a name that nobody reads
        with suppress(OSError):
            disk.DISK.remove(temporary)
        raise
    disk.DISK.fsync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` durably, as UTF-8."""
    write_bytes(path, text.encode())


def json_bytes(value: Any) -> bytes:
    """Return `value` as a JSON file has it (no NaN: a number that does not exist is null)."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` durably, as JSON."""
    write_bytes(path, json_bytes(value))


def make_folders(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        disk.DISK.make_folder(one)
        disk.DISK.fsync_folder(one.parent)


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder durably; `target` must not exist."""
    make_folders(target.parent)
    disk.DISK.rename(source, target)
    disk.DISK.fsync_folder(target.parent)
    if source.parent != target.parent:
        disk.DISK.fsync_folder(source.parent)


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files that writes into `folder` left when they were cut off; return how many there were."""
    left = [entry for entry in folder.glob(f".*{TEMPORARY}") if entry.is_file()]
    for path in left:
        disk.DISK.remove(path)
    return len(left)


def cache_folder() -> Path:
    """Return the folder for what can be made again: `$XDG_CACHE_HOME/doubleread`, else `~/.cache/doubleread`.

    Raises:
        OSError: there is no home folder.
    """
    return _home_folder("XDG_CACHE_HOME", "~/.cache")


def _home_folder(variable: str, usual: str) -> Path:
    base = os.environ.get(variable)
    try:
        return (Path(base) if base else Path(usual).expanduser()) / "doubleread"
    except RuntimeError as error:
        raise OSError(str(error)) from error


def config_folder() -> Path:
    """Return the folder for what must stay: `$XDG_CONFIG_HOME/doubleread`, else `~/.config/doubleread`.

    Raises:
        OSError: there is no home folder.
    """
    return _home_folder("XDG_CONFIG_HOME", "~/.config")


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
        if not _made_writable(path.parent) or len(os.fsencode(path.name)) > 240:
            raise UserError(place, f"{path} cannot be written", next_step="give another path")
    except (OSError, ValueError) as error:
        raise UserError(place, f"{path} cannot be written ({_why(error)})", next_step="give another path") from error


def check_folder(path: Path, place: str) -> None:
    """Check that files can be written in the folder `path`, and make it.

    Raises:
        UserError: it is a file, or cannot be made or written to.
    """
    try:
        if path.exists() and not path.is_dir():
            raise UserError(place, f"{path} is a file", "expected a folder", "give another path")
        if not _made_writable(path):
            raise UserError(place, f"{path} cannot be written to", next_step="give another path")
    except (OSError, ValueError) as error:
        raise UserError(place, f"{path} cannot be made ({_why(error)})", next_step="give another path") from error


def _made_writable(folder: Path) -> bool:
    """Make a folder; return whether files can be written in it."""
    folder.mkdir(parents=True, exist_ok=True)
    return os.access(folder, os.W_OK)


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error).rstrip(".").lower()


def described(content: bytes) -> dict[str, Any]:
    """Return what `damage` compares of a file with this content: its `sha256` and `bytes`."""
    return {"sha256": sha256(content), "bytes": len(content)}


def describe(path: Path) -> dict[str, Any]:
    """Return the same of a file, which need not fit into memory."""
    with path.open("rb") as handle:
        return {"sha256": hashlib.file_digest(handle, "sha256").hexdigest(), "bytes": handle.tell()}


def damage(folder: Path, files: Files, *, read: bool) -> list[str]:
    """Return what is wrong with files, a phrase each: gone, of another size, and with `read`, of other content."""
    found = []
    for name, expected in files.items():
        path = folder / name
        try:
            size = path.stat().st_size
            if size != expected["bytes"]:
                found.append(f"{name} has {size:,} bytes instead of {expected['bytes']:,}")
            elif read and describe(path) != expected:
                found.append(f"{name} has other content than was written")
        except FileNotFoundError:
            found.append(f"{name} is gone")
        except OSError as error:
            found.append(f"{name} cannot be read ({error.strerror})")
    return found


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of `path`.

    Raises:
        UserError: the file is larger than `limit` bytes.
        OSError: it cannot be read.
    """
    with path.open("rb") as handle:
        # read() takes memory for as much as it is asked for, before it looks how much there is
        content = handle.read(min(limit, os.fstat(handle.fileno()).st_size) + 1)
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
