"""Every reader of what a stranger supplies: good files to begin with, how they are damaged, and what is asked of it."""

import io
import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pydicom
from PIL import Image, TiffImagePlugin
from pyarrow import parquet
from pydicom import data as shipped

from doubleread import files
from doubleread.analysis.logits_file import read_logits_file
from doubleread.errors import UnreadableImage, UserError, printable
from doubleread.images import decode_file, open_source
from doubleread.images.dicom import Header, header_at, header_of
from doubleread.images.image_file import mode_of_file
from doubleread.images.pixels import is_deep
from doubleread.images.unpack import unpack
from doubleread.nouns import Source
from doubleread.study import document_of, load_study
from doubleread.study.claims_file import load_claims
from tests.images.dicom_files import write_dicom
from tests.reliability import fuzz_texts as texts
from tests.reliability.fuzz_damage import (
    GENERAL,
    Mutator,
    any_of,
    dicom_numbers,
    inside_zip,
    jpeg_numbers,
    lines,
    npy_header,
    numbers_at,
    packed,
    parquet_numbers,
    png_mended,
    png_numbers,
    tiff_numbers,
    words,
    zip_numbers,
)

CANARY = "Canaryson^Jane"
"""A patient's name that stands in headers and must stand in no reason."""


def unchanged(content: bytes) -> bytes:
    return content


@dataclass(frozen=True, kw_only=True)
class Target:
    """One reader.

    `read` raises `UnreadableImage` or `UserError` where the file is refused, and anything else where the reader is
    wrong; it reads the file `readings` times. `mended` makes checksums right again.
    """

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes, Path], None]
    readings: int = 1
    mutators: tuple[Mutator, ...]
    mended: Callable[[bytes], bytes] = unchanged


def reason(call: Callable[[], object]) -> str | None:
    """Return why an image is refused, None where it is not."""
    try:
        call()
    except UnreadableImage as error:
        return str(error)
    return None


def check_reason(text: str) -> None:
    assert text.strip(), "a reason without words"
    assert CANARY not in text, "a patient's name in a reason"
    assert printable(text, keep="\n") == text, f"a reason with control characters: {text!r}"


# --- images


def film() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(np.cumsum(rng.normal(0, 9, (24, 19)), axis=1) + 120, 0, 255).astype(np.uint8)


def saved(mode: str, kind: str, **options) -> bytes:
    content = io.BytesIO()
    deep = Image.fromarray(film().astype(np.uint16) * 257)
    image = deep if mode == "I;16" else Image.fromarray(film()).convert("RGB").convert(mode)
    image.save(content, kind, **options)
    return content.getvalue()


def jpegs() -> tuple[bytes, ...]:
    exif = Image.Exif()
    exif[274], exif[270] = 6, "a film"
    return (
        saved("L", "JPEG"),
        saved("RGB", "JPEG", exif=exif, comment=b"a film", dpi=(72, 72)),
        saved("L", "JPEG", progressive=True),
        saved("CMYK", "JPEG", icc_profile=bytes(200)),
        saved("RGB", "JPEG", progressive=True, restart_marker_rows=1, subsampling=2),
    )


def pngs() -> tuple[bytes, ...]:
    palette = saved("P", "PNG", transparency=3)
    return (*(saved(mode, "PNG") for mode in ("1", "L", "LA", "RGB", "RGBA", "I;16")), palette)


def tiffs() -> tuple[bytes, ...]:
    white_is_zero = TiffImagePlugin.ImageFileDirectory_v2()
    white_is_zero[270], white_is_zero[262] = "a film", 0
    ways = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate")
    return (
        *(saved(mode, "TIFF", compression=way) for mode in ("L", "RGB", "I;16") for way in ways),
        saved("1", "TIFF", compression="group4"),
        saved("RGB", "TIFF", compression="jpeg"),
        saved("P", "TIFF", compression="tiff_lzw"),
        saved("RGBA", "TIFF"),
        saved("L", "TIFF", tiffinfo=white_is_zero),
        saved("I;16", "TIFF", big_tiff=True),
    )


def dicoms() -> tuple[bytes, ...]:
    """Return files that pydicom ships, of every encoding, and some of our own with whatever changes pixels."""
    folder = Path(shipped.__file__).parent / "test_files"
    found = [path.read_bytes() for path in sorted(folder.glob("*.dcm")) if path.stat().st_size < 16_000]
    table = pydicom.Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4096, 0, 16], "US"
    table.LUTData = np.arange(0, 65536, 16, dtype="<u2").tobytes()
    ours = [
        {"WindowCenter": [500, 40], "WindowWidth": [900, 400], "RescaleSlope": "2", "RescaleIntercept": "-1024"},
        {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 5},
        {"VOILUTSequence": [table]},
        {"ModalityLUTSequence": [table], "SmallestImagePixelValue": 0},
    ]
    with tempfile.TemporaryDirectory() as place:
        for tags in ours:
            path = write_dicom(Path(place, "a.dcm"), film().astype(np.uint16) * 16, BitsStored=12, HighBit=11, **tags)
            found.append(path.read_bytes())
    return tuple(named(content) for content in found)


def named(content: bytes) -> bytes:
    """Return a DICOM file of a patient whose name is the canary; one that cannot be written again stays as it is."""
    try:
        found = pydicom.dcmread(io.BytesIO(content))
        found.PatientName, found.PatientID, found.StudyID = CANARY, CANARY, CANARY[:10]
        # ours is drawn anew for each file, and an input is to be the same each time
        found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = "1.2.3.4.5"
        out = io.BytesIO()
        found.save_as(out)
    except Exception:
        return content
    return out.getvalue()


def retagged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a DICOM file with another value in one of its tags, written as such a file is written."""
    name = any_of(tuple(texts.TAGS), rng)
    value, chance = any_of(texts.TAGS[name], rng), rng.random()
    try:
        found = pydicom.dcmread(io.BytesIO(content), force=True)
        if chance < 0.1:
            delattr(found, name)
        elif chance < 0.2:
            found.file_meta.TransferSyntaxUID = any_of(texts.SYNTAXES, rng)
        else:
            setattr(found, name, value)
        out = io.BytesIO()
        found.save_as(out)
    except Exception:
        # a file that is damaged too much for another tag stays as it is
        return content
    return out.getvalue()


def read_image(content: bytes, folder: Path) -> None:
    # a mode is asked for of images that cannot be decoded, too
    unknown = reason(lambda: mode_of_file(content))
    if unknown is not None:
        check_reason(unknown)
    check_pixels(decode_file(content), decode_file(content, colour=True), mode_of_file(content))


def check_pixels(grey: np.ndarray, colour: np.ndarray, mode: str) -> None:
    assert grey.dtype in (np.uint8, np.uint16)
    assert grey.ndim == 2
    assert grey.size > 0
    assert colour.shape == (*grey.shape, 3)
    assert colour.dtype == grey.dtype
    assert is_deep(mode) == (grey.dtype == np.uint16), mode


def read_header(content: bytes, folder: Path) -> None:
    path = folder / "a.dcm"
    path.write_bytes(content)
    refused = reason(lambda: check_header(header_at(path)))
    if refused is not None:
        check_reason(refused)
    check_header(header_of(content))


def check_header(header: Header) -> None:
    for value in (header.subject, header.study, header.series):
        assert value is None or re.fullmatch("[0-9a-f]{12}", value)


# --- arrays


def npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version)
    return out.getvalue()


def npys() -> tuple[bytes, ...]:
    grey = np.stack([film()] * 3)
    return (
        npy(grey),
        npy(grey.astype(">u2") * 256, (2, 0)),
        npy(np.stack([grey] * 3, axis=3), (3, 0)),
        npy(np.asfortranarray(grey)),
    )


def npzs() -> tuple[bytes, ...]:
    grey, labels = np.stack([film()] * 4), np.array([[0], [1], [1], [0]], np.uint8)
    splits = ("train", "val", "test")
    return tuple(
        packed(
            [
                (f"{split}_{what}.npy", npy(array))
                for split in splits
                for what, array in (("images", images), ("labels", labels))
            ],
            method,
        )
        for images, method in ((grey, zipfile.ZIP_DEFLATED), (np.stack([grey] * 3, axis=3), zipfile.ZIP_STORED))
    )


def read_source(source: Source) -> None:
    """Read the first images of a source; it is refused where each of them is."""
    refused = []
    for index, item in enumerate(source.items[:3]):
        assert item.case
        assert item.class_name
        assert source.shown(index)
        for call in (partial(source.digest, index), partial(source.mode, index)):
            if (why := reason(call)) is not None:
                check_reason(why)
        try:
            check_pixels(source.read(index), source.read(index, colour=True), source.mode(index))
        except UnreadableImage as error:
            check_reason(str(error))
            refused.append(error)
    if len(refused) == min(3, len(source.items)):
        raise refused[-1]


def read_npy(content: bytes, folder: Path) -> None:
    (folder / "0.npy").write_bytes(content)
    read_source(open_source(str(folder)))


def read_medmnist(content: bytes, folder: Path) -> None:
    (folder / "set.npz").write_bytes(content)
    read_source(open_source(str(folder / "set.npz")))


# --- tables, archives, texts


def parquets() -> tuple[bytes, ...]:
    names = ["./" * i + name for i, name in enumerate(["a.png", "b.dcm", "c"] * 3)]
    table = pa.table({"path": names, "label": [0, 1, 1] * 3, "subject": [1.0, None, 2.5] * 3, "split": ["val"] * 9})
    found = []
    for compression in ("NONE", "snappy", "zstd"):
        out = io.BytesIO()
        parquet.write_table(table, out, compression=compression, row_group_size=5, use_dictionary=compression != "NONE")
        found.append(out.getvalue())
    return tuple(found)


def read_table(name: str, content: bytes, folder: Path) -> None:
    (folder / "a.png").write_bytes(pngs()[1])
    (folder / name).write_bytes(content)
    read_source(open_source(str(folder / name)))


def zips() -> tuple[bytes, ...]:
    members = [("set/train/A/a.png", bytes(range(256))), ("set/train/B/b", b"hi" * 50), ("set/test/", b""),
               ("__MACOSX/x", b"x")]  # fmt: skip
    return packed(members), packed(members, zipfile.ZIP_STORED), packed([("set/a", bytes(3000))])


def read_zip(content: bytes, folder: Path) -> None:
    (folder / "it.zip").write_bytes(content)
    inside = "set" if len(content) % 2 else None
    try:
        unpack(folder / "it.zip", folder / "out", origin="x", inside=inside, reading=lambda *_: None)
    except UserError:
        left = os.listdir(folder)
        if left != ["it.zip"]:
            raise AssertionError(f"{left} is left") from None
        raise
    assert sorted(os.listdir(folder)) == ["it.zip", "out"]


def read_study(content: bytes, folder: Path) -> None:
    path = folder / "study.yaml"
    path.write_bytes(content)
    study = load_study(path)
    assert study.arms
    assert study.seeds
    # what a store keeps of it
    assert files.json_bytes(document_of(study))


def read_claims(content: bytes, folder: Path) -> None:
    path = folder / "claims.yaml"
    path.write_bytes(content)
    assert load_claims(path, texts.ARMS)


def read_logits(content: bytes, folder: Path) -> None:
    path = folder / "logits.csv"
    path.write_bytes(content)
    evidence = read_logits_file(path)
    assert evidence.runs
    for run in evidence.runs.values():
        cases, logits_N = run.test
        assert len(cases.names) == len(logits_N) > 0
        assert np.isfinite(logits_N).all()


def targets() -> tuple[Target, ...]:
    jpeg, png, tiff = (numbers_at(find) for find in (jpeg_numbers, png_numbers, tiff_numbers))
    dicom, archive = (retagged, numbers_at(dicom_numbers)), numbers_at(zip_numbers)
    yaml, cells = (lines, words(*texts.YAML)), (lines, words(*texts.CELLS))
    headers = dicoms()
    shown = tuple(content for content in headers if reason(partial(decode_file, content)) is None)
    inner = inside_zip(npy_header, npy_header, *GENERAL)
    return (
        Target(name="jpeg", seeds=jpegs(), read=read_image, readings=2, mutators=(jpeg,)),
        Target(name="png", seeds=pngs(), read=read_image, readings=2, mutators=(png,), mended=png_mended),
        Target(name="tiff", seeds=tiffs(), read=read_image, readings=2, mutators=(tiff,)),
        Target(name="dicom", seeds=shown, read=read_image, readings=2, mutators=dicom),
        Target(name="header", seeds=headers, read=read_header, readings=2, mutators=dicom),
        Target(name="npy", seeds=npys(), read=read_npy, mutators=(npy_header,)),
        Target(name="npz", seeds=npzs(), read=read_medmnist, mutators=(archive, inner)),
        Target(name="csv", seeds=texts.CSV, read=partial(read_table, "t.csv"), mutators=cells),
        Target(
            name="parquet",
            seeds=parquets(),
            read=partial(read_table, "t.parquet"),
            mutators=(numbers_at(parquet_numbers),),
        ),
        Target(name="zip", seeds=zips(), read=read_zip, mutators=(archive, inside_zip(*GENERAL))),
        Target(name="study", seeds=texts.STUDIES, read=read_study, mutators=yaml),
        Target(name="claims", seeds=texts.CLAIMS, read=read_claims, mutators=yaml),
        Target(name="logits", seeds=texts.LOGITS, read=read_logits, mutators=(*cells, words(*texts.VALUES))),
    )
