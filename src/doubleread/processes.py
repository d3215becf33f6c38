"""What processes have to do with each other: how many cores there are for them, and what they begin with."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# the number of <sys/prctl.h>
PR_SET_PDEATHSIG = 1
# the numbers of <malloc.h>
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = 2**26


def usable_cores() -> int:
    """Return how many cores this process may use, at least one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_large_blocks() -> None:
    """Let this process keep the memory of large arrays that it frees, for the next one of their size.

    Given back to the system each time, it would come back as thousands of page faults: a quarter of the time of reading
    a film. Only glibc has such a setting; elsewhere nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT)
        mallopt(M_TRIM_THRESHOLD, 4 * KEPT)


def die_with_parent() -> None:
    """Let the system end this process when the one that forked it ends, however that ends. Only Linux can."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # it was gone before the system knew
        os._exit(1)


_asked = False
_spent = 0.0


def heed_sigterm() -> None:
    """Take SIGTERM for a wish to stop, which this process heeds when it can: see `asked_to_stop`."""

    def ask(_signal: int, _frame: object) -> None:
        global _asked
        _asked = True

    signal.signal(signal.SIGTERM, ask)


def ask_to_stop() -> None:
    """Ask this process to stop, as SIGTERM would."""
    global _asked
    _asked = True


def cpu_seconds() -> float:
    """Return the processor time that this process has spent, in seconds, since it began, or began anew."""
    return time.process_time() - _spent


def begin_anew() -> None:
    """Let this process, which does one thing after another, be like a new one.

    It is no longer asked to stop, has spent no time, and the most memory that it has had is what it has now (the last
    only on Linux).
    """
    global _asked, _spent
    _asked, _spent = False, time.process_time()
    with suppress(OSError), open("/proc/self/clear_refs", "w") as handle:
        handle.write("5")


def asked_to_stop() -> bool:
    """Tell whether this process has been asked to stop."""
    return _asked


@contextmanager
def main_module_hidden() -> Iterator[None]:
    """Keep processes started in the block from importing the user's script again: what they run is never defined there.

    Without it a script that calls us outside `if __name__ == "__main__"` would start itself over and over.
    """
    main = sys.modules["__main__"]
    kept = {name: main.__dict__.pop(name) for name in ("__spec__", "__file__") if name in main.__dict__}
    main.__dict__["__spec__"] = None
    try:
        yield
    finally:
        main.__dict__.update(kept)
