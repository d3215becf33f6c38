"""A folder of class folders, with or without train, val and test above them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from doubleread.errors import UnreadableImage, UserError, printable
from doubleread.files import sha256
from doubleread.images.image_file import read_image_file
from doubleread.images.pixels import SUFFIXES, decode, stored_mode
from doubleread.images.reader import Reader
from doubleread.nouns import Item, Split

PARTS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
IGNORED = frozenset({"thumbs.db", "desktop.ini"})


class FolderSource:
    """Images in `root/CLASS/` or in `root/train/CLASS/`, `root/val/CLASS/` and `root/test/CLASS/`.

    The folder's name is the class. Files that begin with a dot are passed over; any other file that is not a JPEG,
    PNG or TIFF by its suffix is listed, so that it is reported and not dropped in silence.
    """

    kind = "folder"

    def __init__(self, root: Path) -> None:
        self._root = root
        self.location = str(root)
        self._paths = list(class_files(root))
        self.items: Sequence[Item] = [_item(root, path, part) for path, part in self._paths]

    def __reduce__(self) -> tuple[type[FolderSource], tuple[Path]]:
        # another process lists the folder itself: thousands of paths take longer to send
        return FolderSource, (self._root,)

    def digest(self, index: int) -> str:
        """See `Source`."""
        return sha256(self._content(index))

    def mode(self, index: int) -> str:
        """See `Source`."""
        return stored_mode(self._content(index))

    def read(self, index: int, *, colour: bool = False) -> np.ndarray:
        """See `Source`."""
        return decode(self._content(index), colour=colour)

    def shown(self, index: int) -> str:
        """See `Source`."""
        return self.items[index].case

    def _content(self, index: int) -> bytes:
        path = self._paths[index][0]
        if path.is_file() and path.suffix.lower() not in SUFFIXES:
            raise UnreadableImage(f"{path.suffix or 'no suffix'}; expected a .jpg, .jpeg, .png, .tif or .tiff file")
        return read_image_file(path)


def looks_like_folder(root: Path) -> bool:
    """Tell whether `root` holds class folders with files in them."""
    return next(class_files(root), None) is not None


def class_files(root: Path) -> Iterator[tuple[Path, Split | None]]:
    """Yield every file in the class folders of `root`, or of its train, val and test, with the part that it is in."""
    tops: list[tuple[Path, Split | None]] = [
        (folder, PARTS[folder.name.lower()]) for folder in _folders(root) if folder.name.lower() in PARTS
    ]
    for top, part in tops or [(root, None)]:
        for class_folder in _folders(top):
            for path in _entries(class_folder):
                yield path, part


def _entries(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder that is no folder itself, links to folders too: what cannot be read is listed."""

    def cannot(error: OSError) -> None:
        raise UserError(
            str(error.filename), f"cannot be read ({error.strerror})", "", "mend its permissions"
        ) from error

    for top, folders, files in os.walk(folder, onerror=cannot):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if Path(top, name).is_symlink()]
        for name in sorted([*files, *links]):
            if not name.startswith(".") and name.lower() not in IGNORED:
                yield Path(top, name)


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _item(root: Path, path: Path, part: Split | None) -> Item:
    inside = path.relative_to(root)
    name = inside.parts[0 if part is None else 1]
    return Item(case=printable(inside.as_posix()), class_name=printable(name), part=part)


READER = Reader(
    kind="folder",
    layout="a folder of class folders (JPEG, PNG, TIFF or DICOM)",
    fits=looks_like_folder,
    open=FolderSource,
)
