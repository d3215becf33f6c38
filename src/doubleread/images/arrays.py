"""NumPy arrays on a disk, never building objects: header first, size capped before anything is allocated."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from doubleread.errors import UserError
from doubleread.files import DAMAGED_ZIP

MAX_BYTES = 64 * 2**30
MAX_MEMBERS = 100
DAMAGE = (*DAMAGED_ZIP, tokenize.TokenError, OSError, SyntaxError, TypeError)
"""What the standard library and NumPy raise on a damaged file."""
MAX_RATIO = 100
SMALL = 2**25
"""Bytes that may come of however few: labels that are all the same pack a thousandfold."""
MAX_HEADER = 10_000
"""Bytes, as NumPy has it."""
MOST_IMAGES = 5_000_000
"""Images of one array: each is listed."""


def open_npy(path: Path) -> np.ndarray:
    """Return the array of a .npy file, memory-mapped and read-only.

    Raises:
        UserError: not such a file, Python objects in it, or shorter than its header says.
    """
    try:
        if path.exists() and not path.is_file():
            # a pipe would never end
            raise UserError(str(path), "not a regular file", "expected a .npy array", "remove it")
        with path.open("rb") as handle:
            shape, fortran, dtype = _header(handle, str(path))
            start = handle.tell()
            wanted = start + _size(shape, dtype, str(path))
    except OSError as error:
        raise UserError(str(path), f"cannot be read ({error.strerror})", next_step="check the path") from error
    if path.stat().st_size < wanted:
        raise UserError(
            str(path),
            f"the header asks for {wanted:,} bytes, the file has {path.stat().st_size:,}",
            next_step="copy the file again",
        )
    try:
        return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
    except OSError as error:
        found = f"its {wanted:,} bytes cannot be mapped ({error.strerror})"
        raise UserError(str(path), found, "", "allow the process more memory") from error


def read_npz(path: Path, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return those of `keys` that are in a .npz file.

    Raises:
        UserError: not such a file, Python objects in it, damaged, or larger unpacked than is allowed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise UserError(str(path), f"{len(members)} members", f"expected at most {MAX_MEMBERS}")
            return {key: _member(archive, key, path) for key in keys if f"{key}.npy" in archive.namelist()}
    except DAMAGE as error:
        raise UserError(str(path), "not a .npz file, or damaged", next_step="copy the file again") from error


def check_count(images: int, place: str) -> None:
    """Check that so many images can be listed.

    Raises:
        UserError: they are too many.
    """
    if images > MOST_IMAGES:
        raise UserError(place, f"{images:,} images", f"expected at most {MOST_IMAGES:,}", "split the array")


def _member(archive: zipfile.ZipFile, key: str, path: Path) -> np.ndarray:
    place = f"{path}, {key}"
    info = archive.getinfo(f"{key}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(place, f"compression {info.compress_type}", "expected what numpy.savez writes", "save it again")
    if info.file_size > max(MAX_RATIO * info.compress_size, SMALL):
        raise UserError(
            place,
            f"{info.file_size:,} bytes unpacked, from {info.compress_size:,}",
            f"expected at most {MAX_RATIO} for each",
            "do not trust this file, or save it again with numpy.savez",
        )
    with archive.open(info) as handle:
        shape, fortran, dtype = _header(handle, place)
        count = _size(shape, dtype, place)
        if count > info.file_size:
            raise UserError(place, f"the header asks for {count:,} bytes, there are {info.file_size:,}")
        flat = np.frombuffer(handle.read(count), dtype=dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _header(handle: IO[bytes], place: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(handle)
        length = handle.read(2 if version == (1, 0) else 4)
        size = int.from_bytes(length, "little")
        if size > MAX_HEADER:
            # it would be read before NumPy has looked at it
            raise ValueError(f"a header of {size} bytes")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(io.BytesIO(length + handle.read(size)))
    except DAMAGE as error:
        raise UserError(place, "not a .npy array, or damaged", next_step="copy the file again") from error
    if dtype.hasobject:
        raise UserError(
            place, "holds Python objects, which are never loaded", "expected uint8 pixels", "save it as uint8"
        )
    if not dtype.itemsize:
        # as many as one likes would fit into any file
        raise UserError(place, f"values without a size ({dtype})", "expected uint8 pixels", "save it as uint8")
    return shape, fortran, dtype


def _size(shape: tuple[int, ...], dtype: np.dtype, place: str) -> int:
    # beside a side of 0 any other would do
    if any(isinstance(side, bool) or not (axis > 0) <= side <= MAX_BYTES for axis, side in enumerate(shape)):
        raise UserError(place, f"shape {shape}", f"expected whole numbers from 1 to {MAX_BYTES:,}")
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_BYTES:
        raise UserError(place, f"the header asks for {size:,} bytes", f"expected at most {MAX_BYTES:,}")
    return size
