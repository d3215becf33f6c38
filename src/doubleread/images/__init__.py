"""Readers of images, one a file, and finding out which of them a path needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from doubleread.errors import UserError, did_you_mean
from doubleread.files import user_path
from doubleread.images.arrays import read_npz
from doubleread.images.folder import FolderSource, looks_like_folder
from doubleread.images.medmnist import MedmnistSource
from doubleread.images.npy import NpySource, looks_like_npy
from doubleread.images.phantom import PhantomSource, PhantomSpec, write_png
from doubleread.images.pixels import GREY, grey_of, resize
from doubleread.nouns import Source

__all__ = [
    "GREY",
    "READERS",
    "PhantomSource",
    "PhantomSpec",
    "grey_of",
    "open_source",
    "read_npz",
    "resize",
    "write_png",
]

READERS: dict[str, Callable[[Path], Source]] = {
    "folder": FolderSource,
    "npy": NpySource,
    "medmnist": MedmnistSource,
}
"""Readers of a path, by kind; the phantom has none."""

LAYOUTS = "a folder of class folders, a folder with one .npy per class, a MedMNIST .npz, or phantom"


def open_source(source: str | Mapping[str, Any], *, kind: str | None = None, place: str = "data.source") -> Source:
    """Return the source at a path, or the named one; `kind` overrides what the path looks like.

    `source` may be `{name: phantom, …}` with the phantom's knobs.

    Raises:
        UserError: there is nothing there, it is empty, or its layout is not known.
    """
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
    if kind is not None and path.is_dir() == (kind == "medmnist"):
        raise UserError(
            "data.kind", f"got {kind}, {path} is a {'folder' if path.is_dir() else 'file'}", "", "delete it"
        )
    try:
        opened = READERS[kind or _kind_of(path, place)](path)
    except OSError as error:
        raise UserError(place, f"{path} cannot be read ({error.strerror})", next_step="check the path") from error
    if not opened.items:
        raise UserError(place, f"no images in {source}", f"expected {LAYOUTS}")
    return opened


def _named(source: Mapping[str, Any], place: str) -> Source:
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
        raise UserError(place, f"{path} is a file", f"expected {LAYOUTS}", "check the path")
    # class folders first: a stray .npy beside them is no data set
    if looks_like_folder(path):
        return "folder"
    if looks_like_npy(path):
        return "npy"
    raise UserError(place, f"no images in {path}", f"expected {LAYOUTS}")
