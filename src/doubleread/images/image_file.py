"""Any image file, by what it holds and not by its name: JPEG, PNG, TIFF or DICOM."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from doubleread.errors import UnreadableImage, UserError
from doubleread.files import read_bytes
from doubleread.images.dicom import decode_dicom, dicom_mode, is_dicom
from doubleread.images.pixels import MAX_FILE, decode, stored_mode


def decode_file(content: bytes, *, colour: bool = False) -> np.ndarray:
    """Return the pixels of an image file, uint8 or uint16: grey, (height, width), or in `colour`, (height, width, 3).

    Raises:
        UnreadableImage: it cannot be used; the text is the reason.
    """
    return decode_dicom(content, colour=colour) if is_dicom(content) else decode(content, colour=colour)


def mode_of_file(content: bytes) -> str:
    """Return the mode in which an image file's pixels are stored, by Pillow's names; see `nouns.Source`.

    Raises:
        UnreadableImage: it has none that can be read.
    """
    return dicom_mode(content) if is_dicom(content) else stored_mode(content)


def read_image_file(path: Path) -> bytes:
    """Return the content of an image file.

    Raises:
        UnreadableImage: it is no regular file, larger than `MAX_FILE` bytes, or cannot be read.
    """
    try:
        if not path.is_file():
            raise UnreadableImage(_no_file(path))
        return read_bytes(path, MAX_FILE)
    except UserError as error:
        raise UnreadableImage(error.found) from error
    except OSError as error:
        raise UnreadableImage(f"cannot be read ({error.strerror})") from error


def _no_file(path: Path) -> str:
    if path.exists():
        return "not a regular file"
    return "a broken link" if path.is_symlink() else "no such file"
