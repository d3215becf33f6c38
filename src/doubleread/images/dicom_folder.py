"""A folder of class folders that hold DICOM files at any depth: patients, studies, series as archives lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from doubleread.errors import UnreadableImage, printable
from doubleread.files import sha256
from doubleread.images import dicom, pixels
from doubleread.images.dicom import Header, decode_dicom, dicom_mode, header_at, is_dicom
from doubleread.images.folder import class_files
from doubleread.images.image_file import read_image_file
from doubleread.images.reader import Reader
from doubleread.images.salt import salted
from doubleread.nouns import Item, Split

HEAD = 132
"""Bytes that tell DICOM from other files."""
UNKNOWN = "unknown"
NOBODY = Header(subject=None, study=None, series=None)


class DicomSource:
    """DICOM images in `root/CLASS/…` or in `root/train/CLASS/…` and so on; who they are of stands in their headers.

    A case is named `CLASS/STUDY/SERIES/FILE`, after the part where there is one, all but the class salted; so is the
    subject. Neither paths nor headers go any further.
    """

    kind = "dicom"

    def __init__(self, root: Path) -> None:
        self.location = str(root)
        self._root = root
        self._paths: list[Path] = []
        items: list[Item] = []
        for path, part in class_files(root):
            self._paths.append(path)
            items.append(_item(root, path, part))
        self.items: Sequence[Item] = items

    def digest(self, index: int) -> str:
        """See `Source`."""
        return sha256(read_image_file(self._paths[index]))

    def mode(self, index: int) -> str:
        """See `Source`."""
        return dicom_mode(read_image_file(self._paths[index]))

    def read(self, index: int, *, colour: bool = False) -> np.ndarray:
        """See `Source`."""
        content = read_image_file(self._paths[index])
        if not is_dicom(content):
            raise UnreadableImage("not a DICOM file, among DICOM files")
        return decode_dicom(content, colour=colour)

    def shown(self, index: int) -> str:
        """See `Source`."""
        return printable(self._paths[index].relative_to(self._root).as_posix())


def holds_dicom(root: Path) -> bool:
    """Tell whether a folder of class folders holds a DICOM file."""
    return any(looks_like_dicom(path) for path, _ in class_files(root))


def looks_like_dicom(path: Path) -> bool:
    """Tell whether a file is DICOM, by its name, and where that says nothing, by its first bytes."""
    suffix = path.suffix.lower()
    if suffix in dicom.SUFFIXES or suffix in pixels.SUFFIXES:
        return suffix in dicom.SUFFIXES
    return begins_as_dicom(path)


def begins_as_dicom(path: Path) -> bool:
    """Tell whether a file is DICOM by its first bytes, whatever it is called."""
    try:
        # to open a pipe would wait for its other end
        if not path.is_file():
            return False
        # a pipe would never end, and a name with a zero byte is no name
        if not path.is_file():
            return False
        with path.open("rb") as handle:
            return is_dicom(handle.read(HEAD))
    except OSError:
        return False


def case_of(path: str, header: Header) -> str:
    """Return the name of a case whose file is `path`: its study, its series and itself, salted."""
    return "/".join((header.study or UNKNOWN, header.series or UNKNOWN, salted(f"file {path}")))


def header_or_none(path: Path) -> Header:
    """Return whom and what a file is of; what cannot be read is of nobody, and says why when its pixels are read."""
    try:
        return header_at(path)
    except UnreadableImage:
        return NOBODY


def _item(root: Path, path: Path, part: Split | None) -> Item:
    inside = path.relative_to(root)
    top = inside.parts[: 1 if part is None else 2]
    header = header_or_none(path)
    case = "/".join((*top, case_of(inside.as_posix(), header)))
    return Item(case=printable(case), class_name=printable(top[-1]), part=part, subject=header.subject)


READER = Reader(
    kind="dicom",
    # the words of class folders of image files hold for these too
    layout="",
    fits=holds_dicom,
    open=DicomSource,
)
