"""Readers of images, one a file, and finding out which of them a path needs."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import fields
from pathlib import Path
from typing import Any

from doubleread.errors import UserError, closest, did_you_mean
from doubleread.files import user_path
from doubleread.images import dicom_folder, folder, medmnist, npy, table
from doubleread.images.arrays import read_npz
from doubleread.images.image_file import decode_file
from doubleread.images.memory import ARRAYS, ArraySource, from_datasets
from doubleread.images.phantom import PhantomSource, PhantomSpec, write_png
from doubleread.images.pixels import GREY, SUFFIXES, grey_of, is_deep, resize, to_depth
from doubleread.images.reader import Reader
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

# the first that fits is taken: class folders before a stray .npy beside them, DICOM before files of another kind
ALL = (dicom_folder.READER, folder.READER, npy.READER, medmnist.READER, table.READER)
READERS: dict[str, Reader] = {reader.kind: reader for reader in ALL}
"""Readers of a path, by kind; the phantom has none."""
LAYOUTS = f"{', '.join(reader.layout for reader in ALL if reader.layout)}, or phantom"


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
        if closest(path.name, ["phantom"]):
            raise UserError(place, f"nothing at {source}", f'expected {LAYOUTS}; did you mean "phantom"?')
        raise UserError(place, f"nothing at {source}", f"expected {LAYOUTS}", "check the path")
    if kind is not None and kind not in READERS:
        raise UserError("data.kind", f'got "{kind}"', did_you_mean(kind, [*READERS, "phantom"]))
    if kind is not None and path.is_dir() == READERS[kind].is_file:
        raise UserError(
            "data.kind", f"got {kind}, {path} is a {'folder' if path.is_dir() else 'file'}", "", "delete it"
        )
    try:
        opened = _opened(path, READERS[kind] if kind is not None else _reader_of(path, place), columns)
    except OSError as error:
        raise UserError(place, f"{path} cannot be read ({error.strerror})", next_step="check the path") from error
    if not opened.items:
        raise UserError(place, f"no images in {source}", f"expected {LAYOUTS}")
    _refuse_two_spellings({item.class_name for item in opened.items}, place)
    return opened


def _refuse_two_spellings(classes: Set[str], place: str) -> None:
    spellings: dict[str, list[str]] = {}
    for name in sorted(classes):
        spellings.setdefault(name.casefold(), []).append(name)
    if same := next((names for names in spellings.values() if len(names) > 1), None):
        raise UserError(place, f"classes {' and '.join(same)}", "expected one spelling of each class", "rename one")


def _opened(path: Path, reader: Reader, columns: Mapping[str, str] | None) -> Source:
    if columns and not reader.has_columns:
        raise UserError("data.columns", f"it has no effect: {path} is no table", "", "delete it")
    return reader.open(path, columns) if columns else reader.open(path)


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


def _reader_of(path: Path, place: str) -> Reader:
    for reader in ALL:
        if reader.is_file == path.is_file() and reader.fits(path):
            return reader
    if path.is_file():
        raise UserError(place, f"{path} is a file", f"expected {LAYOUTS}", "check the path")
    if any(file.suffix.lower() in SUFFIXES for file in path.iterdir()):
        raise UserError(place, f"the images in {path} are in no class folder", f"expected {LAYOUTS}")
    raise UserError(place, f"no images in {path}", f"expected {LAYOUTS}")
