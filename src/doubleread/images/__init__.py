"""Readers of images, one a file, and finding out which of them a path needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from doubleread.errors import UserError, did_you_mean
from doubleread.files import user_path
from doubleread.images.arrays import read_npz
from doubleread.images.dicom_folder import DicomSource, holds_dicom
from doubleread.images.folder import FolderSource, looks_like_folder
from doubleread.images.image_file import decode_file
from doubleread.images.medmnist import MedmnistSource
from doubleread.images.memory import ARRAYS, ArraySource, from_datasets
from doubleread.images.npy import NpySource, looks_like_npy
from doubleread.images.phantom import PhantomSource, PhantomSpec, write_png
from doubleread.images.pixels import GREY, grey_of, is_deep, resize, to_depth
from doubleread.images.table import TABLES, TableSource
from doubleread.nouns import Source

__all__ = [
    "ARRAYS",
    "GREY",
    "READERS",
    "ArraySource",
    "PhantomSource",
    "PhantomSpec",
    "decode_file",
    "from_datasets",
    "grey_of",
    "is_deep",
    "open_source",
    "read_npz",
    "resize",
    "to_depth",
    "write_png",
]

READERS: dict[str, Callable[[Path], Source]] = {
    "folder": FolderSource,
    "dicom": DicomSource,
    "npy": NpySource,
    "medmnist": MedmnistSource,
    "table": TableSource,
}
"""Readers of a path, by kind; the phantom has none."""
WITH_COLUMNS: dict[str, Callable[[Path, Mapping[str, str]], Source]] = {
    "medmnist": MedmnistSource,
    "table": TableSource,
}
"""Those that can be told what their columns are."""
FILES = frozenset({"medmnist", "table"})
"""Kinds that are one file."""

LAYOUTS = (
    "a folder of class folders (JPEG, PNG, TIFF or DICOM), a folder with one .npy per class, a MedMNIST .npz, a table"
    " (.csv, .tsv, .parquet), or phantom"
)


def open_source(
    source: str | Mapping[str, Any],
    *,
    kind: str | None = None,
    columns: Mapping[str, str] | None = None,
    place: str = "data.source",
) -> Source:
    """Return the source at a path, or the named one; `kind` overrides what the path looks like.

    `source` may be `{name: phantom, …}` with the phantom's knobs; `columns` is what a table's columns are called.

    Raises:
        UserError: there is nothing there, it is empty, or its layout is not known.
    """
    if columns and (isinstance(source, Mapping) or source == "phantom"):
        raise UserError("data.columns", "it has no effect: the source is no table", "", "delete it")
    if isinstance(source, Mapping) or source == "phantom":
        if kind not in (None, "phantom"):
            raise UserError("data.kind", f"got {kind}, the source is the phantom", "", "delete it")
        return _named(source, place) if isinstance(source, Mapping) else PhantomSource(PhantomSpec())
    if kind == "phantom":
        raise UserError("data.kind", f"got phantom, the source is {source}", "", "delete it")
    path = user_path(source, place)
    if not path.exists():
        near = did_you_mean(source, ["phantom"]) if "/" not in source else ""
        hint = near if near.startswith("did") else "check the path"
        raise UserError(place, f"nothing at {source}", f"expected {LAYOUTS}", hint)
    if kind is not None and path.is_dir() == (kind in FILES):
        raise UserError(
            "data.kind", f"got {kind}, {path} is a {'folder' if path.is_dir() else 'file'}", "", "delete it"
        )
    try:
        opened = _opened(path, kind or _kind_of(path, place), columns)
    except OSError as error:
        raise UserError(place, f"{path} cannot be read ({error.strerror})", next_step="check the path") from error
    if not opened.items:
        raise UserError(place, f"no images in {source}", f"expected {LAYOUTS}")
    return opened


def _opened(path: Path, kind: str, columns: Mapping[str, str] | None) -> Source:
    if columns and kind not in WITH_COLUMNS:
        raise UserError("data.columns", f"it has no effect: {path} is no table", "", "delete it")
    return WITH_COLUMNS[kind](path, columns) if columns else READERS[kind](path)


def _named(source: Mapping[str, Any], place: str) -> Source:
    if source == {"name": ARRAYS}:
        raise UserError(
            place, "its images come from Python", "", "call doubleread.run(study, data=…) with them, or --data PATH"
        )
    if source.get("name") != "phantom":
        raise UserError(
            f"{place}.name", f"got {source.get('name')!r}", "expected phantom, or a path instead of a mapping"
        )
    knobs = {field.name for field in fields(PhantomSpec)}
    for key in source:
        if key != "name" and key not in knobs:
            raise UserError(f"{place}.{key}", f'unknown key "{key}"', did_you_mean(str(key), knobs))
    return PhantomSource(PhantomSpec(**{key: value for key, value in source.items() if key != "name"}))


def _kind_of(path: Path, place: str) -> str:
    if path.is_file():
        if path.suffix.lower() == ".npz":
            return "medmnist"
        if path.suffix.lower() in TABLES:
            return "table"
        raise UserError(place, f"{path} is a file", f"expected {LAYOUTS}", "check the path")
    # class folders first: a stray .npy beside them is no data set
    if looks_like_folder(path):
        return "dicom" if holds_dicom(path) else "folder"
    if looks_like_npy(path):
        return "npy"
    raise UserError(place, f"no images in {path}", f"expected {LAYOUTS}")
