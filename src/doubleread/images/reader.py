"""What a reader is: how its images are recognised and opened. Each module that has one ends with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from doubleread.nouns import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """A way to read images from a path.

    `kind` is its name in a study file; `layout` says in error messages what it takes (empty where another's words say
    it); `fits` tells cheaply whether a path that exists is its own, asked of each reader in turn; `open` lists the
    images, from the path and, with `has_columns`, what the columns of a table are called; `is_file` tells whether it
    reads one file, or a folder.
    """

    kind: str
    layout: str
    fits: Callable[[Path], bool]
    open: Callable[..., Source]
    is_file: bool = False
    has_columns: bool = False
