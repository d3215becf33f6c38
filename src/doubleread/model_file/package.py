"""A saved model on a disk: one folder, or one .zip of the same files, which are data: JSON, safetensors, a card."""

from __future__ import annotations

import io
import secrets
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from doubleread import disk
from doubleread.errors import UserError
from doubleread.files import (
    DAMAGED_ZIP,
    MAX_TEXT,
    make_folders,
    move_folder,
    read_bytes,
    sha256,
    user_path,
    write_bytes,
    write_into,
)
from doubleread.model_file.card import card_of
from doubleread.model_file.document import Document, document_of
from doubleread.model_file.members import MOST_WEIGHTS, model_of
from doubleread.model_file.predictor import Predictor
from doubleread.models import BUILDERS, NotBuilt, source_of

DOCUMENT, CARD = "model.json", "README.md"
FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a .zip, so that the same model is the same bytes."""

ARCHIVES = frozenset({".7z", ".bz2", ".gz", ".rar", ".tar", ".tbz", ".tbz2", ".tgz", ".txz", ".xz", ".zst"})
"""Suffixes of archives that a model is not written to."""
DAMAGE = (*DAMAGED_ZIP, OSError)
DAMAGED = "not a model's .zip file, or damaged"

Read = Callable[[str, int], bytes]
"""From a file's name and the most bytes that it may have, to its content."""


def write_model(path: Path, document: Document, weights: Mapping[str, bytes]) -> list[str]:
    """Write a model to a new folder, or where `path` ends in `.zip`, to that file, whole or not at all.

    `weights` are the members' files by name. Returns the names of all files.

    Raises:
        UserError: there is something at `path`, or it is called like another archive.
        OSError: the disk is full or fails.
    """
    if path.exists():
        raise UserError(str(path), "it exists", "expected a new folder or .zip file", "give another path")
    check_suffix(path, str(path))
    files = {
        DOCUMENT: (document.model_dump_json(indent=1) + "\n").encode(),
        CARD: card_of(document).encode(),
        **weights,
    }
    if path.suffix.lower() == ".zip":
        write_bytes(path, _zipped(files))
        return list(files)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    make_folders(draft)
    try:
        for name, content in files.items():
            write_into(draft / name, content)
        move_folder(draft, path)
    finally:
        disk.DISK.remove_folder(draft)
    return list(files)


def check_suffix(path: Path, place: str) -> None:
    """Check that a model can be written to a path of this name: a folder, or a .zip file.

    Raises:
        UserError: it ends as another archive does, and would be a folder.
    """
    plain = path
    while plain.suffix.lower() in ARCHIVES:
        plain = plain.with_suffix("")
    if plain != path:
        found = f"{path.name} ends in {path.suffix}"
        raise UserError(place, found, "expected a folder or a .zip file", f"try {plain.with_name(plain.name + '.zip')}")


def load_model(path: str | Path, *, own_code: bool = False) -> Predictor:
    """Return the model in a folder or a .zip file.

    A network of the user's own is built only with `own_code`, and only where its file is the one that it was trained
    with: a model file must not decide what runs.

    Raises:
        UserError: there is no model, it is damaged, or its network cannot be built.
    """
    path = user_path(path, "MODEL")
    if not path.exists():
        raise UserError(str(path), "nothing there", "expected a model: a folder or a .zip file", "check the path")
    if path.is_dir():
        return _loaded(str(path), lambda name, most: _of_folder(path, name, most), own_code)
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        if path.suffix.lower() == ".onnx":
            next_step = "give that, or run the graph with onnxruntime"
            raise UserError(
                str(path), "an ONNX graph", "expected the folder or .zip that export wrote", next_step
            ) from error
        raise UserError(str(path), DAMAGED, "", "export it again") from error
    with archive:
        return _loaded(str(path), lambda name, most: _of_zip(archive, path, name, most), own_code)


def _loaded(place: str, read: Read, own_code: bool) -> Predictor:
    try:
        text = read(DOCUMENT, MAX_TEXT).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{place}, {DOCUMENT}", "not a text file") from error
    document = document_of(text, f"{place}, {DOCUMENT}")
    recipe = document.plan
    _check_code(document, recipe.model.name, place, own_code)
    models = []
    for member in document.members:
        content = read(member.weights, MOST_WEIGHTS)
        if sha256(content) != member.sha256:
            raise UserError(f"{place}, {member.weights}", "other content than was written", "", "export it again")
        models.append(model_of(document, recipe, member, content))
    return Predictor(document=document, recipe=recipe, models=tuple(models))


def _check_code(document: Document, name: str, place: str, own_code: bool) -> None:
    """Refuse to run what a model file names, unless it was asked for and is the same code.

    Raises:
        UserError: it is not.
    """
    if name in BUILDERS:
        return
    if not own_code:
        raise UserError(
            place, f"its network is code of your own, {name}", "", "allow it to run with --own-code, if you know it"
        )
    try:
        source = source_of(name)
    except NotBuilt as error:
        raise UserError(f"model {name}", str(error)) from error
    if source is None or sha256(read_bytes(source, limit=2**26)) != document.source:
        raise UserError(f"model {name}", "its file is not the one that it was trained with", "", "go back to that")


def _of_folder(folder: Path, name: str, most: int) -> bytes:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise UserError(str(folder), f"no {name}", "expected a model that doubleread export wrote", "check the path")
    return read_bytes(path, most)


def _of_zip(archive: zipfile.ZipFile, path: Path, name: str, most: int) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise UserError(
            str(path), f"no {name}", "expected a model that doubleread export wrote", "check the path"
        ) from error
    if info.file_size > most or info.compress_type != zipfile.ZIP_STORED:
        raise UserError(f"{path}, {name}", f"{info.file_size:,} bytes, or packed", f"expected at most {most:,}, stored")
    try:
        with archive.open(info) as handle:
            content = handle.read(most + 1)
    except DAMAGE as error:
        raise UserError(f"{path}, {name}", DAMAGED, "", "export it again") from error
    if len(content) != info.file_size:
        raise UserError(f"{path}, {name}", "another size than the archive says", "", "export it again")
    return content


def _zipped(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, part in files.items():
            archive.writestr(zipfile.ZipInfo(name, FIRST_DAY), part)
    return content.getvalue()
