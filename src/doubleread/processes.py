"""Starting processes that begin with what they are given, and with nothing of the user's program."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
