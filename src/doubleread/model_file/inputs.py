"""The images that a user points at: files, folders and patterns, in a stable order."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from doubleread.errors import UserError
from doubleread.files import user_path
from doubleread.images.dicom_folder import looks_like_dicom
from doubleread.images.pixels import SUFFIXES

PATTERN = frozenset("*?[")


def image_files(given: Sequence[str]) -> list[Path]:
    """Return the files that are given: themselves, those below a folder that are images, those that fit a pattern.

    A file that is named is taken whatever it is called; below a folder, JPEG, PNG, TIFF and DICOM are.

    Raises:
        UserError: one of `given` is not there, or has no image.
    """
    found: dict[Path, None] = {}
    for text in given:
        path = user_path(text, "IMAGE")
        if path.is_dir():
            mine = list(_below(path))
        elif path.exists() or path.is_symlink():
            mine = [path]
        else:
            mine = _fitting(str(path)) if PATTERN & set(text) else []
            if not mine:
                raise UserError("IMAGE", f"nothing at {text}", "expected files, folders or patterns", "check the path")
        if not mine:
            raise UserError("IMAGE", f"no images in {text}", "expected JPEG, PNG, TIFF or DICOM files")
        found |= dict.fromkeys(mine)
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and (path.suffix.lower() in SUFFIXES or looks_like_dicom(path)):
            yield path


def _fitting(pattern: str) -> list[Path]:
    found: list[Path] = []
    for path in sorted(map(Path, glob.glob(pattern, recursive=True))):
        found += _below(path) if path.is_dir() else [path]
    return found
