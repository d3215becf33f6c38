"""Where a command that trains nothing keeps the images that it prepares."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doubleread.store import DATABASE


@contextmanager
def prepared_sets(store: Path) -> Iterator[Path]:
    """Give the folder of the store's prepared sets where there is a store; otherwise one that leaves nothing behind."""
    if (store / DATABASE).is_file():
        yield store / "data"
        return
    with tempfile.TemporaryDirectory(prefix="doubleread-") as folder:
        yield Path(folder)
