"""What processes have to do with each other: how many cores there are for them, and what they begin with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def usable_cores() -> int:
    """Return how many cores this process may use, at least one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
