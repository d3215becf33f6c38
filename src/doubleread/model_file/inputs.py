"""The images that a user points at: files, folders and patterns, in a stable order; what is said of the others."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from doubleread.errors import UserError, WorkFailed, printable
from doubleread.files import user_path
from doubleread.images.dicom_folder import looks_like_dicom
from doubleread.images.pixels import SUFFIXES

PATTERN = frozenset("*?[")
NAMED = 4
"""Files that are left out and named."""
LISTED = 20
"""Images that cannot be read and are listed."""


@dataclass(frozen=True, kw_only=True)
class ImageFiles:
    """The `files` that a user points at, and the `others` that lie in their folders and are no images."""

    files: tuple[Path, ...]
    others: tuple[Path, ...]

    @property
    def remark(self) -> str:
        """What is to be said of the others; empty where there are none."""
        if not self.others:
            return ""
        names = [path.name for path in self.others[:NAMED]] + ["…"] * (len(self.others) > NAMED)
        what = "other file" if len(self.others) == 1 else "other files"
        listed = f"{len(self.others):,} {what} left out: {', '.join(names)}"
        return printable(f"{listed}; of a folder JPEG, PNG, TIFF and DICOM are read")


def image_files(given: Sequence[str]) -> ImageFiles:
    """Return the files that are given: themselves, those below a folder that are images, those that fit a pattern.

    A file that is named is taken whatever it is called; below a folder, JPEG, PNG, TIFF and DICOM are. What begins with
    a dot is not looked at.

    Raises:
        UserError: one of `given` is not there, or has no image.
    """
    found: dict[Path, None] = {}
    others: dict[Path, None] = {}
    for text in given:
        path = user_path(text, "IMAGE")
        if path.is_dir():
            mine, rest = _below(path)
        elif path.exists() or path.is_symlink():
            mine, rest = [path], []
        else:
            mine, rest = _fitting(str(path)) if PATTERN & set(text) else ([], [])
            if not mine and not rest:
                raise UserError("IMAGE", f"nothing at {text}", "expected files, folders or patterns", "check the path")
        if not mine:
            raise UserError("IMAGE", f"no images in {text}", "expected JPEG, PNG, TIFF or DICOM files")
        found |= dict.fromkeys(mine)
        others |= dict.fromkeys(rest)
    return ImageFiles(files=tuple(found), others=tuple(path for path in others if path not in found))


def unreadable(reasons: Sequence[str], total: int) -> WorkFailed:
    """Return the failure that names images that could not be read, out of `total`: `reasons` has a line for each."""
    rest = ", the rest is done" if len(reasons) < total else ""
    what = "image" if total == 1 else "images"
    head = f"{len(reasons):,} of {total:,} {what} cannot be read{rest}:"
    more = [f"  and {len(reasons) - LISTED:,} more"] if len(reasons) > LISTED else []
    return WorkFailed("\n".join([head, *(f"  {printable(reason)}" for reason in reasons[:LISTED]), *more]))


def _below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the images below a folder, and the other files."""
    images: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            (images if path.suffix.lower() in SUFFIXES or looks_like_dicom(path) else others).append(path)
    return images, others


def _fitting(pattern: str) -> tuple[list[Path], list[Path]]:
    images: list[Path] = []
    others: list[Path] = []
    for path in sorted(map(Path, glob.glob(pattern, recursive=True))):
        mine, rest = _below(path) if path.is_dir() else ([path], [])
        images += mine
        others += rest
    return images, others
