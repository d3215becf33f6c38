"""Disks that break: the test doubles of `doubleread.disk.Disk`.

One fails at an operation, one kills its process there, one cuts the power: what was not made durable is then gone, or
there in part, in the worst way that a file system allows.
"""

import errno
import os
import secrets
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

from doubleread import disk
from doubleread.disk import Disk

OPERATIONS = ("create", "write", "fsync", "rename", "link", "fsync_folder", "make_folder", "remove", "remove_folder")


class Counting(Disk):
    """Counts operations, and calls `at` before each with its name and number; 1 is the first."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def at(self, name: str, number: int) -> None:
        """Do nothing; the others do."""


def _counted(name):
    def operation(self, *args):
        self.names.append(name)
        self.at(name, len(self.names))
        return getattr(Disk, name)(self, *args)

    return operation


for _name in OPERATIONS:
    setattr(Counting, _name, _counted(_name))


class Failing(Counting):
    """Fails at operation `number`, once or from then on, as a full or a broken disk does."""

    def __init__(self, number: int, code: int, *, lasting: bool) -> None:
        super().__init__()
        self.number, self.code, self.lasting = number, code, lasting
        self.failed = 0

    def at(self, name, number):
        # on a full disk files can still be removed and renamed
        broken = number == self.number or (self.lasting and number > self.number and name in ("create", "write"))
        if broken:
            self.failed += 1
            raise OSError(self.code, os.strerror(self.code))

    def write(self, handle, content):
        self.names.append("write")
        try:
            self.at("write", len(self.names))
        except OSError:
            # half of it got there
            handle.write(memoryview(content)[: len(content) // 2])
            raise
        Disk.write(self, handle, content)


class Killing(Counting):
    """Ends its process by SIGKILL at operation `number`; a write gets half of its bytes there first."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def at(self, name, number):
        if number == self.number:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, handle, content):
        self.names.append("write")
        if len(self.names) == self.number:
            handle.write(memoryview(content)[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        Disk.write(self, handle, content)


class PowerCut(BaseException):
    """The machine is off."""


class Volatile(Counting):
    """Cuts the power before operation `number`; `settle` then leaves of the disk what had been made durable.

    With `kept`, names that were not made durable are there all the same, and their files half: a file system may write
    a name before the content. Without, they are as they were before.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.synced: set[tuple[int, int]] = set()
        self.written: dict[tuple[int, int], Path] = {}
        self.pending: list[tuple[Path, Path, Path | None, Path | None]] = []
        self.moved: dict[Path, Path] = {}

    def at(self, name, number):
        if number >= self.number:
            raise PowerCut

    def create(self, path):
        handle = Counting.create(self, path)
        self.written[_inode(path)] = path
        self.pending.append((path.parent, path, None, None))
        return handle

    def write(self, handle, content):
        Counting.write(self, handle, content)
        stat = os.fstat(handle.fileno())
        self.synced.discard((stat.st_dev, stat.st_ino))

    def fsync(self, handle):
        Counting.fsync(self, handle)
        stat = os.fstat(handle.fileno())
        self.synced.add((stat.st_dev, stat.st_ino))

    def rename(self, source, target):
        saved = self._saved(target)
        Counting.rename(self, source, target)
        self.pending.append((target.parent, target, source, saved))
        self.moved[source] = target

    def link(self, source, target):
        Counting.link(self, source, target)
        self.pending.append((target.parent, target, None, None))

    def remove(self, path):
        saved = self._saved(path)
        Counting.remove(self, path)
        if saved is not None:
            self.pending.append((path.parent, path, None, saved))

    def remove_folder(self, folder):
        saved = self._saved(folder)
        Counting.remove_folder(self, folder)
        if saved is not None:
            self.pending.append((folder.parent, folder, None, saved))

    def make_folder(self, folder):
        there = folder.exists()
        Counting.make_folder(self, folder)
        if not there:
            self.pending.append((folder.parent, folder, None, None))

    def fsync_folder(self, folder):
        Counting.fsync_folder(self, folder)
        self.pending = [change for change in self.pending if change[0] != folder]

    def settle(self, root: Path, *, kept: bool) -> None:
        """Leave what a machine would find when it is switched on again."""
        if not kept:
            for _folder, name, source, saved in reversed(self.pending):
                # its folder may have another name by now, for good
                there = name.parent if name.parent.exists() else self.moved.get(name.parent, name.parent)
                path = there / name.name
                if source is not None and path.exists():
                    source.parent.mkdir(parents=True, exist_ok=True)
                    path.rename(source)
                elif source is None and saved is None:
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                if saved is not None:
                    shutil.rmtree(path, ignore_errors=True)
                    saved.rename(path)
        for path in [path for path in root.rglob("*") if path.is_file()]:
            if _inode(path) in self.written and _inode(path) not in self.synced:
                os.truncate(path, path.stat().st_size // 2)

    def _saved(self, path: Path) -> Path | None:
        """Return a copy, by second names, of what an operation is about to take away."""
        if not path.exists():
            return None
        copy = path.parent.parent / f"attic-{secrets.token_hex(4)}"
        if path.is_dir():
            shutil.copytree(path, copy, copy_function=os.link)
        else:
            os.link(path, copy)
        return copy


def _inode(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


@contextmanager
def using(double: Disk):
    """Put a double in the place of the disk."""
    before, disk.DISK = disk.DISK, double
    try:
        yield double
    finally:
        disk.DISK = before


def in_a_killed_process(number: int, work) -> bool:
    """Do `work` in a forked process that is killed at operation `number`; return whether it came to that."""
    child = os.fork()
    if not child:
        try:
            with using(Killing(number)):
                work()
        except BaseException:
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the work itself failed"
    return False


FULL, BROKEN = errno.ENOSPC, errno.EIO
