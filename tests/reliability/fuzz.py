"""Every reader of what a stranger supplies, given damaged files: it reads them or says why not, soon, in little memory.

As a program: python -m tests.reliability.fuzz INPUTS SEED FOLDER [TARGET …]

Each target has a process of its own, so that a decoder that crashes is seen. An input is a function of target, seed and
number (`input_of`); one that a reader fails on is kept in FOLDER.
"""

import mmap
import os
import resource
import signal
import struct
import sys
import time
import traceback
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from doubleread.disk import Disk
from doubleread.errors import UnreadableImage, UserError
from tests.reliability.faults import using
from tests.reliability.fuzz_damage import GENERAL, any_of, splice
from tests.reliability.fuzz_targets import CANARY, Target, check_reason, targets

MEMORY = 3 * 2**30
"""Bytes that a reader may take beyond what its process has."""
KEPT = 2**29
"""Bytes of them that it may still have when it is done: some libraries lose what they had when they fail."""
SLOW = 2.0
"""Seconds of a processor to read one input once."""
HUNG = 60.0
"""Seconds on the wall after which a process is ended."""
MOST_BYTES = 400_000
REFUSED = ""
FULL = 4
"""The exit code of a child that another one shall follow."""


def input_of(target: Target, seed: int, number: int) -> bytes:
    """Return one damaged file, the same for the same three."""
    rng = np.random.default_rng([seed, zlib.crc32(target.name.encode()), number])
    content = any_of(target.seeds, rng)
    if rng.random() < 0.1:
        content = splice(content, any_of(target.seeds, rng), rng)
    for _ in range(int(rng.geometric(0.55))):
        content = any_of(target.mutators if rng.random() < 0.6 else GENERAL, rng)(content, rng)
    return (target.mended(content) if rng.random() < 0.7 else content)[:MOST_BYTES]


class Hasty(Disk):
    """Makes nothing durable: what is written is looked at and removed."""

    def fsync(self, handle):
        pass

    def fsync_folder(self, folder):
        pass


_COURSE = struct.Struct("<qqqqd")


@dataclass
class Course:
    """How far a child is: its number, how many were refused, read and wrong, the slowest one's seconds."""

    shared: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, _COURSE.size))

    def get(self) -> tuple[int, int, int, int, float]:
        return _COURSE.unpack(self.shared[:])

    def put(self, number: int, refused: int, read: int, wrong: int, slowest: float) -> None:
        self.shared[:] = _COURSE.pack(number, refused, read, wrong, slowest)


def run(target: Target, inputs: int, seed: int, folder: Path) -> tuple[int, int, int, int, float]:
    """Give a reader so many inputs, in a process of its own and in another where that dies; return the course."""
    course = Course()
    while course.get()[0] < inputs:
        child = os.fork()
        if child == 0:
            try:
                serve(target, inputs, seed, folder, course)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(3)
        how = death_of(child, course)
        if how is not None:
            number, refused, read, wrong, slowest = course.get()
            tell(target, seed, number, how, folder)
            course.put(number + 1, refused, read, wrong + 1, slowest)
    return course.get()


def death_of(child: int, course: Course) -> str | None:
    """Wait for a process to end; return how it died, if it did."""
    at, since = -1, time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return None if code in (0, FULL) else signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if course.get()[0] != at:
            at, since = course.get()[0], time.monotonic()
        elif time.monotonic() - since > HUNG:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"no end within {HUNG:.0f} s"
        time.sleep(0.01)


def serve(target: Target, inputs: int, seed: int, folder: Path, course: Course) -> None:
    """Give a reader the inputs from where the course is, and move the course on."""
    before = limit_memory()
    place = folder / target.name
    place.mkdir(exist_ok=True)
    number, refused, read, wrong, slowest = course.get()
    while number < inputs:
        content = input_of(target, seed, number)
        outcome, seconds = timed(target, content, place)
        if seconds > SLOW * target.readings:
            # a machine that is busy is slow once
            outcome, seconds = min(timed(target, content, place), (outcome, seconds), key=lambda one: one[1])
        kept = address_space() - before
        if outcome in (None, REFUSED) and seconds > SLOW * target.readings:
            outcome = f"{seconds:.1f} s"
        if outcome in (None, REFUSED) and kept > KEPT:
            outcome = f"{kept:,} bytes are kept"
        if outcome not in (None, REFUSED):
            tell(target, seed, number, outcome, folder)
            wrong += 1
        number, refused, read = number + 1, refused + (outcome == REFUSED), read + (outcome is None)
        slowest = max(slowest, seconds)
        course.put(number, refused, read, wrong, slowest)
        if kept > KEPT:
            # what comes next must not suffer for it
            os._exit(FULL)


def timed(target: Target, content: bytes, place: Path) -> tuple[str | None, float]:
    """Return what `attempt` does, in an empty folder, and its seconds of a processor."""
    empty(place)
    began = time.process_time()
    outcome = attempt(target, content, place)
    return outcome, time.process_time() - began


def attempt(target: Target, content: bytes, place: Path) -> str | None:
    """Return None if the reader reads, `REFUSED` if it says why not, else what is wrong with it."""
    try:
        with using(Hasty()):
            target.read(content, place)
    except (UnreadableImage, UserError) as error:
        try:
            check_reason(str(error))
        except AssertionError as wrong:
            return str(wrong)
        told = "".join(traceback.format_exception(error))
        return "a patient's name in a traceback" if CANARY in told else REFUSED
    except Exception as error:
        return "".join(traceback.format_exception(error))
    return None


def address_space() -> int:
    """Return how many bytes this process has."""
    # without a buffer, for which there may be no room
    handle = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        return int(os.read(handle, 100).split()[0]) * mmap.PAGESIZE
    finally:
        os.close(handle)


def limit_memory() -> int:
    """Let this process have `MEMORY` more than it has; return how much that is."""
    before = address_space()
    resource.setrlimit(resource.RLIMIT_AS, (before + MEMORY,) * 2)
    return before


def empty(folder: Path) -> None:
    for top, folders, names in os.walk(folder, topdown=False):
        for name in names:
            Path(top, name).unlink()
        for name in folders:
            Path(top, name).rmdir()


def tell(target: Target, seed: int, number: int, what: str, folder: Path) -> None:
    """Say what went wrong with which input, and keep it."""
    kept = folder / f"{target.name}-{seed}-{number}.bin"
    kept.write_bytes(input_of(target, seed, number))
    print(f"{target.name}, seed {seed}, number {number}: {what}\n  kept as {kept}", flush=True)


def main(inputs: int, seed: int, folder: Path, names: list[str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    # the user's own stays as it is
    os.environ.setdefault("DOUBLEREAD_SALT", "a salt for the tests")
    failed = 0
    for target in targets():
        if names and target.name not in names:
            continue
        total, refused, read, wrong, slowest = run(target, inputs, seed, folder)
        failed += wrong
        print(
            f"{target.name}: {total:,} inputs, {refused:,} refused, {read:,} read, slowest {slowest:.2f} s"
            + (f", {wrong:,} WRONG" if wrong else ""),
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]))
