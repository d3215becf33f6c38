"""One DICOM image: its pixels as a viewer shows them, and who it is of under names that tell nobody who.

Nothing of a header leaves this module but what stands in `Header`, and that is salted. Messages of the library below
may quote a header, so no error here repeats them.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from doubleread.errors import UnreadableImage
from doubleread.files import read_bytes
from doubleread.images.jpeg_frames import frame_sizes
from doubleread.images.pixels import MAX_FILE, MAX_PIXELS, check_pixels
from doubleread.images.salt import salted
from doubleread.late import late

library = late("doubleread.images.dicom_library")

special = late("scipy.special")

MAGIC_AT, MAGIC = 128, b"DICM"
SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
IDENTITY = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
"""The tags of a header that are looked at for who and what an image is of."""
DIRECTORY = "1.2.840.10008.1.3.10"
"""The class of a DICOMDIR, which lists files elsewhere."""
GREY, COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
PALETTE = "PALETTE COLOR"
NOT_THERE = "DICOM, which needs pydicom and pylibjpeg: pip install 'doubleread[dicom]'"
DEFLATED = "1.2.840.10008.1.2.1.99"
"""The transfer syntax whose whole data set is compressed."""
JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (90, 91, 201, 202, 203))
JPEG = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 57, 70, 80, 81))
MAX_RATIO, SMALL = 1000, 2**25
"""Bytes that one of a compressed image may become, and the size up to which it may be more, as of a blank one."""
PANIC = "PanicException"
"""What a decoder in Rust raises, by name: it stands in no module."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """Whom and what an image is of: salted names, None where the header has none."""

    subject: str | None
    study: str | None
    series: str | None


def is_dicom(content: bytes) -> bool:
    """Tell whether a file's first bytes are those of DICOM."""
    return content[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC


def header_of(content: bytes) -> Header:
    """Return whom and what a DICOM file is of.

    Raises:
        UnreadableImage: its header cannot be read.
    """
    return _header(_dataset(content, pixels=False))


def header_at(path: Path) -> Header:
    """Return the same of a file, of which only the header is read.

    Raises:
        UnreadableImage: it cannot be read.
    """
    with _reasoned("header"):
        # a pipe would never end
        if not path.is_file():
            raise UnreadableImage("not a regular file")
        with path.open("rb") as handle:
            if library.pydicom is None or not is_dicom(handle.read(MAGIC_AT + len(MAGIC))):
                raise UnreadableImage("not a DICOM file" if library.pydicom is not None else NOT_THERE)
            handle.seek(0)
            if _deflated_from(handle) is not None:
                return header_of(read_bytes(path, MAX_FILE))
            handle.seek(0)
            return _header(library.pydicom.dcmread(handle, stop_before_pixels=True, specific_tags=list(IDENTITY)))


def decode_dicom(content: bytes, *, colour: bool = False) -> np.ndarray:
    """Return the pixels of a DICOM file: in `colour`, shape (height, width, 3), else grey, (height, width).

    Grey goes through the modality's scale or table and the first window or table of interest, where there are any, and
    MONOCHROME1 is turned over, so that bones are bright; it fills 0 to 255 (uint8) of up to 8 stored bits, else 0 to
    65535 (uint16). Without a window the whole range that can be stored is kept: films stay comparable. What is padding
    is black (PS3.3 C.7.6.3, C.11).

    Raises:
        UnreadableImage: no image, several frames, a kind of pixels that is not known, damaged, or too large.
    """
    found = _dataset(content, pixels=True)
    with _reasoned("header"):
        _check(found)
        photometric = str(found.get("PhotometricInterpretation", ""))
    with _reasoned("pixels"):
        _check_stream(found)
        return _grey(found) if photometric in GREY and not colour else _coloured(found, photometric, colour)


def dicom_mode(content: bytes) -> str:
    """Return the mode of a DICOM image as `decode_dicom` gives it: `L`, `I;16`, `RGB` or `RGB;16`.

    Raises:
        UnreadableImage: its header cannot be read.
    """
    found = _dataset(content, pixels=False)
    with _reasoned("header"):
        base = "L" if str(found.get("PhotometricInterpretation", "")) in GREY else "RGB"
        if not _is_deep(found):
            return base
        return "I;16" if base == "L" else "RGB;16"


@contextmanager
def _reasoned(part: str) -> Iterator[None]:
    """Make a reason of whatever is raised, which repeats nothing of its message."""
    try:
        yield
    except UnreadableImage:
        raise
    except BaseException as error:
        # decoders are many, and each raises what it likes; that of RLE, in Rust, what is no Exception
        if isinstance(error, Exception) or type(error).__name__ == PANIC:
            raise UnreadableImage(f"damaged DICOM {part} ({type(error).__name__})") from None
        raise


def _dataset(content: bytes, *, pixels: bool) -> Any:
    if library.pydicom is None:
        raise UnreadableImage(NOT_THERE)
    if not is_dicom(content):
        raise UnreadableImage("not a DICOM file")
    _check_deflated(content)
    with _reasoned("header"):
        return library.pydicom.dcmread(io.BytesIO(content), stop_before_pixels=not pixels)


def _header(found: Any) -> Header:
    return Header(**dict(zip(("subject", "study", "series"), (_named(found, tag) for tag in IDENTITY), strict=True)))


def _named(found: Any, tag: str) -> str | None:
    try:
        text = str(found.get(tag, "") or "").strip()
    except Exception:
        raise UnreadableImage(f"damaged DICOM header ({tag})") from None
    return salted(f"{tag} {text}") if text else None


def _check(found: Any) -> None:
    """Refuse what cannot be shown, by its header, before anything is decoded."""
    if str(getattr(found, "file_meta", {}).get("MediaStorageSOPClassUID", "")) == DIRECTORY:
        raise UnreadableImage("a DICOMDIR, which is no image; its files are not followed")
    if "PixelData" not in found:
        raise UnreadableImage("DICOM without pixels of whole numbers")
    try:
        frames, rows, columns = (int(found.get(tag) or default) for tag, default in _SHAPE)
        bits, samples = int(found.get("BitsAllocated") or 0), int(found.get("SamplesPerPixel") or 1)
    except Exception:
        raise UnreadableImage("damaged DICOM header (shape)") from None
    if frames != 1:
        raise UnreadableImage(f"{frames:,} frames; expected one image a file")
    if rows < 1 or columns < 1 or rows * columns > MAX_PIXELS:
        raise UnreadableImage(f"{rows} × {columns} pixels; expected 1 to {MAX_PIXELS:,}")
    if bits not in (1, 8, 16) or samples not in (1, 3):
        raise UnreadableImage(f"{samples} × {bits} bits a pixel; expected 1 or 3 of 1, 8 or 16 bits")
    photometric = str(found.get("PhotometricInterpretation", ""))
    if samples != (3 if photometric in COLOUR else 1) and photometric in (*GREY, *COLOUR, PALETTE):
        raise UnreadableImage(f"{samples} samples a pixel; expected 1 of grey, 3 of colour")


_SHAPE = (("NumberOfFrames", 1), ("Rows", 0), ("Columns", 0))


def _check_stream(found: Any) -> None:
    """Refuse a compressed image that says of itself that it has another size than the header: decoders believe it."""
    syntax = str(found.file_meta.TransferSyntaxUID)
    if syntax not in JPEG_2000 | JPEG:
        return
    frame = library.get_frame(found.PixelData, 0, number_of_frames=1)
    size = int(found.Rows) * int(found.Columns) * int(found.SamplesPerPixel) * int(found.BitsAllocated) // 8
    if size > max(MAX_RATIO * len(frame), SMALL):
        raise UnreadableImage(f"{size:,} bytes unpacked, from {len(frame):,}; expected at most {MAX_RATIO:,} for each")
    if syntax in JPEG:
        # of lines that are counted later the decoder makes as many as there is memory for, even when asked for the size
        _require_size(frame_sizes(frame), found)
    decoder = library.openjpeg if syntax in JPEG_2000 else library.libjpeg
    said: dict[str, Any] = dict(decoder.utils.get_parameters(frame))
    samples = said.get("nr_components", said.get("samples_per_pixel"))
    _require_size([(said["rows"], said["columns"], samples)], found)


def _require_size(sizes: list[tuple[int, int, Any]], found: Any) -> None:
    if sizes != [(int(found.Rows), int(found.Columns), int(found.SamplesPerPixel))]:
        text = ", ".join(f"{rows} × {columns} pixels" for rows, columns, _ in sizes[:2]) or "no image"
        raise UnreadableImage(f"{text} when unpacked, which is not what its header says")


def _deflated_from(handle: BinaryIO) -> int | None:
    """Return where the compressed data set of a DICOM file begins, None where its data set is not compressed.

    As the library itself finds it, for it unpacks what is there whatever its size.
    """
    library.filereader.read_preamble(handle, False)
    meta = library.filereader._read_file_meta_info(handle)
    return handle.tell() if str(meta.get("TransferSyntaxUID", "")) == DEFLATED else None


def _check_deflated(content: bytes) -> None:
    """Refuse a data set that unpacks to more than a file may have."""
    with _reasoned("header"):
        start = _deflated_from(io.BytesIO(content))
    if start is None:
        return
    unpacker, left, total = zlib.decompressobj(-zlib.MAX_WBITS), content[start:], 0
    try:
        while left and total <= MAX_FILE and not unpacker.eof:
            total += len(unpacker.decompress(left, 2**20))
            left = unpacker.unconsumed_tail
    except zlib.error:
        raise UnreadableImage("damaged DICOM data set (zlib)") from None
    if total > MAX_FILE:
        raise UnreadableImage(f"it unpacks to more than {MAX_FILE:,} bytes")


def _is_deep(found: Any) -> bool:
    """Tell whether what is shown has more than 8 bits: what is stored, or what a table makes of it."""
    photometric = str(found.get("PhotometricInterpretation", ""))
    try:
        if photometric == PALETTE:
            return int(found.RedPaletteColorLookupTableDescriptor[2]) > 8
        tables = (
            [*found.get("ModalityLUTSequence", ()), *found.get("VOILUTSequence", ())] if photometric in GREY else []
        )
        return max([int(found.get("BitsStored") or 8), *(int(one.LUTDescriptor[2]) for one in tables)]) > 8
    except Exception:
        raise UnreadableImage("damaged DICOM header (bits)") from None


def _stored(found: Any) -> np.ndarray:
    """Return the pixels as they are stored, of one image and not of more than the header counts."""
    pixels = found.pixel_array
    if pixels.ndim != (2 if int(found.SamplesPerPixel) == 1 else 3):
        raise UnreadableImage("more pixels than those of one image")
    return pixels


def _grey(found: Any) -> np.ndarray:
    stored = _stored(found)
    values = library.processing.apply_modality_lut(stored, found)
    if _has(found, "VOILUTSequence"):
        values = library.processing.apply_voi(values, found, index=0)
        part = _part_of(values, 0, 2 ** int(found.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    elif _has(found, "WindowCenter") and _has(found, "WindowWidth"):
        part = _windowed(values, found)
    else:
        part = _part_of(values, *_range(found))
    del values
    np.clip(part, 0.0, 1.0, out=part)
    if not np.isfinite(part).all():
        raise UnreadableImage("pixels that are no numbers after their scale")
    if found.PhotometricInterpretation == "MONOCHROME1":
        np.subtract(1.0, part, out=part)
    if _has(found, "PixelPaddingValue"):
        part[stored == int(found.PixelPaddingValue)] = 0.0
    return _whole(part, deep=_is_deep(found))


def _has(found: Any, tag: str) -> bool:
    """Tell whether a header has a tag with something in it."""
    value = found.get(tag)
    return value is not None and value != "" and not (hasattr(value, "__len__") and len(value) == 0)


def _part_of(values: np.ndarray, lo: float, hi: float) -> np.ndarray:
    # in place from here on: a large film is 700 MB of these
    part = np.subtract(values, lo, dtype=np.float64)
    part /= max(hi - lo, 1e-12)
    return part


def _windowed(values: np.ndarray, found: Any) -> np.ndarray:
    """Return what the first window shows, 0 to 1 within it (PS3.3 C.11.2.1.2, C.11.2.1.3)."""
    centre, width = (float(np.ravel(found.get(tag))[0]) for tag in ("WindowCenter", "WindowWidth"))
    function = str(found.get("VOILUTFunction") or "LINEAR").upper()
    if width <= 0 or function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise UnreadableImage("a window that is not known")
    if function == "LINEAR":
        # a window of one value has what lies above its middle white
        return _part_of(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)
    part = np.subtract(values, centre, dtype=np.float64)
    if function == "LINEAR_EXACT":
        return part / width + 0.5
    return special.expit(4 / width * part)


def _range(found: Any) -> tuple[float, float]:
    """Return the least and the greatest value that stored pixels can have, after the modality's scale or table."""
    if _has(found, "ModalityLUTSequence"):
        return 0, 2 ** int(found.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    bits = int(found.BitsStored)
    lo, hi = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if int(found.PixelRepresentation) else (0, 2**bits - 1)
    scaled = _has(found, "RescaleSlope") and _has(found, "RescaleIntercept")
    slope, intercept = (float(found.RescaleSlope), float(found.RescaleIntercept)) if scaled else (1.0, 0.0)
    ends = lo * slope + intercept, hi * slope + intercept
    return min(ends), max(ends)


def _coloured(found: Any, photometric: str, colour: bool) -> np.ndarray:
    """Return pixels stored in colour or wanted in colour."""
    if photometric in GREY:
        return np.repeat(_grey(found)[:, :, None], 3, axis=2)
    if photometric not in (*COLOUR, PALETTE):
        raise UnreadableImage("a photometric interpretation that is not known")
    pixels = _stored(found)
    if photometric == PALETTE:
        pixels = library.processing.apply_color_lut(pixels, found)
    bits = int(found.RedPaletteColorLookupTableDescriptor[2]) if photometric == PALETTE else int(found.BitsStored)
    if pixels.dtype != np.uint8 or bits != 8:
        pixels = _whole(np.clip(pixels / (2**bits - 1), 0.0, 1.0), deep=_is_deep(found))
    return check_pixels(pixels, colour=colour)


def _whole(part: np.ndarray, *, deep: bool) -> np.ndarray:
    """Return values of 0 to 1, which are lost, as whole numbers of 8 or 16 bits."""
    part *= 65535 if deep else 255
    return np.rint(part, out=part).astype(np.uint16 if deep else np.uint8)
