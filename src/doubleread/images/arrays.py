"""NumPy arrays on a disk, never building objects: header first, size capped before anything is allocated."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from doubleread.errors import UserError

MAX_BYTES = 64 * 2**30
MAX_MEMBERS = 100
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,  # an encrypted archive, or a compression that Python does not know
    SyntaxError,
    TypeError,
    ValueError,
)
"""What the standard library and NumPy raise on a damaged file."""
MAX_RATIO = 1100  # deflate cannot do better than 1,032 to 1


def open_npy(path: Path) -> np.ndarray:
    """Return the array of a .npy file, memory-mapped and read-only.

    Raises:
        UserError: not such a file, Python objects in it, or shorter than its header says.
    """
    try:
        with path.open("rb") as handle:
            shape, _, dtype = _header(handle, str(path))
            wanted = handle.tell() + _size(shape, dtype, str(path))
    except OSError as error:
        raise UserError(str(path), f"cannot be read ({error.strerror})", next_step="check the path") from error
    if path.stat().st_size < wanted:
        raise UserError(
            str(path),
            f"the header asks for {wanted:,} bytes, the file has {path.stat().st_size:,}",
            next_step="copy the file again",
        )
    return np.load(path, mmap_mode="r")


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


def _member(archive: zipfile.ZipFile, key: str, path: Path) -> np.ndarray:
    place = f"{path}, {key}"
    info = archive.getinfo(f"{key}.npy")
    if info.file_size > MAX_RATIO * max(info.compress_size, 1):
        raise UserError(place, "unpacks to more than a true .npz can", next_step="do not trust this file")
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
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(handle)
    except DAMAGE as error:
        raise UserError(place, "not a .npy array, or damaged", next_step="copy the file again") from error
    if dtype.hasobject:
        raise UserError(
            place, "holds Python objects, which are never loaded", "expected uint8 pixels", "save it as uint8"
        )
    return shape, fortran, dtype


def _size(shape: tuple[int, ...], dtype: np.dtype, place: str) -> int:
    if any(isinstance(side, bool) or side < (0 if axis == 0 else 1) for axis, side in enumerate(shape)):
        raise UserError(place, f"shape {shape}", "expected whole numbers above 0")
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_BYTES:
        raise UserError(place, f"the header asks for {size:,} bytes", f"expected at most {MAX_BYTES:,}")
    return size
