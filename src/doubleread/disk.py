"""The operations that change a disk, in one place, and locks on what is there.

Everything that must survive goes through `DISK`; tests put another in its place, which fails or kills at any operation,
or forgets what was not made durable.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path
from typing import BinaryIO

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says when there is no room."""


NO_LOCKS = frozenset({errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a file system without locks on folders says: NFS is one."""


class Disk:
    """The operations as the system has them."""

    def create(self, path: Path) -> BinaryIO:
        """Open a new file for writing, unbuffered."""
        return path.open("xb", buffering=0)

    def write(self, handle: BinaryIO, content: bytes | memoryview) -> None:
        """Write all of `content`."""
        left = memoryview(content)
        while left:
            left = left[handle.write(left) :]

    def fsync(self, handle: BinaryIO) -> None:
        """Make a file's content durable."""
        os.fsync(handle.fileno())

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or a folder another name; a file that has it already is replaced in the same instant."""
        os.replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name."""
        os.link(source, target)

    def fsync_folder(self, folder: Path) -> None:
        """Make the entries of a folder durable."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_folder(self, folder: Path) -> None:
        """Make a folder whose parent is there; it may be there itself."""
        folder.mkdir(exist_ok=True)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def remove_folder(self, folder: Path) -> None:
        """Remove a folder with everything in it, if it is there."""
        if folder.exists():
            shutil.rmtree(folder)


DISK = Disk()


def reserve(handle: BinaryIO, size: int) -> None:
    """Take room on the disk for the first `size` bytes of a file that is to be written through a mapping.

    Without it, a full disk would be found at a page of the mapping, and would end the process.

    Raises:
        OSError: there is no such room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle.fileno(), 0, size)
        return
    # macOS: what is there is written once more, zeros where there is nothing yet
    handle.seek(0)
    while (at := handle.tell()) < size:
        content = handle.read(min(2**20, size - at))
        handle.seek(at)
        handle.write(content or bytes(min(2**20, size - at)))
    handle.flush()


def lock(path: Path) -> int | None:
    """Take the lock of a file or a folder that is there; return its descriptor, or None where another process has it.

    The lock goes with the descriptor, or with the process, however that ends.

    Raises:
        OSError: it is not there, or its file system has no locks.
    """
    # NFS locks for one alone what is open for writing; a folder cannot be
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise
    return descriptor
