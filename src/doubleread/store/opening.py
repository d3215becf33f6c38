"""Opening a store: for any number of readers, or for the one that writes."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from doubleread import disk
from doubleread.errors import UserError
from doubleread.files import make_folders, user_path
from doubleread.store.schema import VERSION, migrate, version_of
from doubleread.store.store import DATABASE, READING, Store

READER_SECONDS, WRITER_SECONDS = 60, 600
"""How long to wait for others: a reader for one that writes, a study of a week for those that look at it."""


def open_store(root: Path, *, write: bool = False) -> Store:
    """Open the store in `root`; with `write` it is made if need be, and locked for this process.

    Raises:
        UserError: there is none (reading), the path is a file, it is from a newer version, it cannot be written to, or
            another process writes to it.
    """
    root = user_path(root, "--store")
    try:
        return _open(root, write)
    except OSError as error:
        if error.errno in disk.FULL:
            raise
        raise _unusable(root, error.strerror or str(error)) from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(root)) from error
        raise _unusable(root, str(error)) from error


def _open(root: Path, write: bool) -> Store:
    if root.exists() and not root.is_dir():
        raise UserError(f"--store {root}", "this is a file", "expected a folder", "give another path")
    if not write:
        if not (root / DATABASE).is_file():
            raise _none_here(root)
        return Store(root, _connected(root, write), None)
    for name in ("artifacts", "data"):
        make_folders(root / name)
    lock = _locked(root)
    try:
        return Store(root, _connected(root, write), lock)
    except BaseException:
        os.close(lock)
        raise


def _connected(root: Path, write: bool) -> sqlite3.Connection:
    with READING:
        connection = _connect(root / DATABASE, write)
        found = version_of(connection)
    if found == 0 and not write:
        raise _none_here(root)
    if found > VERSION:
        versions = f"schema version {found}; this program knows {VERSION}"
        raise UserError(f"--store {root}", versions, next_step="install a newer doubleread")
    if write:
        migrate(connection)
    return connection


def _locked(root: Path) -> int:
    (root / "lock").touch()
    found = disk.lock(root / "lock")
    if found is None:
        raise UserError(
            f"--store {root}", "another doubleread is training into this store", "", "wait for it, or give another path"
        )
    return found


def _connect(path: Path, write: bool) -> sqlite3.Connection:
    # a reader may have to roll back what a writer that was killed left half done, and asks for the right to write
    mode = "rwc" if write else "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=WRITER_SECONDS if write else READER_SECONDS,
        # one thread at a time uses it, but not always the thread that opened it
        check_same_thread=False,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    if write:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")
    else:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _none_here(root: Path) -> UserError:
    return UserError(
        f"--store {root}",
        f"there is no store at {root.resolve()}",
        next_step="train a study first, with doubleread run, or give another path",
    )


def _unusable(root: Path, why: str) -> UserError:
    if why == os.strerror(errno.EROFS):
        return UserError(f"--store {root}", "is on a read-only file system", "", "give another path")
    return UserError(
        f"--store {root}", f"cannot be opened ({why})", "expected a folder of doubleread", "give another path"
    )
