"""One .npy array for each class, with or without train, val and test folders above them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from doubleread.errors import UserError, printable
from doubleread.files import sha256
from doubleread.images.arrays import check_count, open_npy
from doubleread.images.folder import PARTS
from doubleread.images.pixels import check_pixels, mode_of
from doubleread.images.reader import Reader
from doubleread.nouns import Item, Split


class NpySource:
    """Images in `root/CLASS.npy`, or in `root/train/CLASS.npy` and so on; shape (images, height, width[, channels])."""

    kind = "npy"

    def __init__(self, root: Path) -> None:
        self.location = str(root)
        self._at: list[tuple[np.ndarray, int]] = []
        items: list[Item] = []
        for path, part in _array_paths(root):
            array = open_npy(path)
            if array.ndim not in (3, 4):
                raise UserError(str(path), f"shape {array.shape}", "expected (images, height, width) or (…, channels)")
            check_count(len(array), str(path))
            stem = printable(path.relative_to(root).with_suffix("").as_posix())
            for row in range(len(array)):
                items.append(Item(case=f"{stem}/{row:06d}", class_name=printable(path.stem), part=part))
                self._at.append((array, row))
        self.items: Sequence[Item] = items

    def digest(self, index: int) -> str:
        """See `Source`."""
        array, row = self._at[index]
        return sha256(f"{array.dtype}{array.shape[1:]}".encode() + np.ascontiguousarray(array[row]).tobytes())

    def mode(self, index: int) -> str:
        """See `Source`."""
        return mode_of(self._at[index][0])

    def read(self, index: int, *, colour: bool = False) -> np.ndarray:
        """See `Source`."""
        array, row = self._at[index]
        return check_pixels(np.asarray(array[row]), colour=colour)

    def shown(self, index: int) -> str:
        """See `Source`."""
        return self.items[index].case


def looks_like_npy(root: Path) -> bool:
    """Tell whether `root` holds .npy files, itself or in its train, val and test folders."""
    return next(_array_paths(root), None) is not None


def _array_paths(root: Path) -> Iterator[tuple[Path, Split | None]]:
    tops: list[tuple[Path, Split | None]] = [
        (folder, PARTS[folder.name.lower()])
        for folder in sorted(root.iterdir())
        if folder.is_dir() and folder.name.lower() in PARTS and any(folder.glob("*.npy"))
    ]
    for top, part in tops or [(root, None)]:
        for path in sorted(top.glob("*.npy")):
            yield path, part


READER = Reader(kind="npy", layout="a folder with one .npy per class", fits=looks_like_npy, open=NpySource)
