"""Unpacking a .zip that came from elsewhere: everything it says is checked before anything is written.

It is unpacked beside its place and gets its name when it is whole and durable, so that a cut-off leaves no half set.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from doubleread import disk, files
from doubleread.errors import UserError, WorkFailed, printable

Reading = Callable[[str, int, int], None]
"""Takes progress: what is done, how much of it, of how much."""

PIECE = 2**20
RECORD = ".unpacked.json"
MAX_RECORD = 2**28
BLOCK = 4096
"""Bytes that a file may take beyond its content."""


@dataclass(frozen=True, kw_only=True)
class Caps:
    """The most that an archive may hold: members, bytes, and bytes unpacked for each of its own."""

    members: int = 100_000
    bytes: int = 64 * 2**30
    ratio: int = 100


@dataclass(frozen=True, kw_only=True)
class _Member:
    info: zipfile.ZipInfo
    path: PurePosixPath


def unpack(
    archive: Path, target: Path, *, origin: str, inside: str | None, reading: Reading, caps: Caps | None = None
) -> None:
    """Unpack a .zip into the folder `target`, which is not there or empty; `origin` is kept, for `is_unpacked`.

    With `inside`, the content of that folder of the archive becomes `target`, and nothing may lie beside it. Hidden
    files, those of `__MACOSX` and empty folders are left out.

    Raises:
        UserError: not a .zip file, damaged, or something in it is not allowed; nothing is left.
        WorkFailed: there is no room for it.
    """
    draft = target.with_name(f".{target.name}.draft")
    disk.DISK.remove_folder(draft)
    try:
        with _opened(archive) as opened:
            members = _checked(opened.infolist(), archive, inside, caps or Caps())
            check_room(target.parent, sum(one.info.file_size + BLOCK for one in members))
            written = _write_all(opened, archive, members, draft, reading)
        files.write_json(draft / RECORD, {"origin": origin, "files": written})
        files.move_folder(draft, target)
    except BaseException as error:
        # if this fails too, the next unpacking removes it
        with suppress(OSError):
            disk.DISK.remove_folder(draft)
        if isinstance(error, files.DAMAGED_ZIP):
            raise _damaged(archive) from error
        raise


def is_unpacked(target: Path, origin: str) -> bool:
    """Tell whether `target` holds what was unpacked from `origin`, every byte; False if nothing is there.

    Raises:
        UserError: something else is there, or files of the set are gone or changed.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    record = _record(target)
    if record.get("origin") != origin:
        raise UserError(
            str(target), "it is there and is not this set", "expected nothing there", "move it away, or add --to DIR"
        )
    wrong = files.damage(target, record["files"], read=True)
    if wrong:
        more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        raise UserError(
            str(target),
            f"the set is damaged: {wrong[0]}{more}",
            "expected it as it was fetched",
            "move it away, then the same command fetches it again",
        )
    return True


def check_room(folder: Path, needed: int) -> None:
    """Check that a disk has room.

    Raises:
        WorkFailed: it has not.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise WorkFailed(
            f"{folder}: {needed:,} bytes are needed, {free:,} are free; free some space, then the same command goes on"
            " from here, or add --to DIR"
        )


def _record(target: Path) -> dict[str, Any]:
    try:
        record = json.loads(files.read_bytes(target / RECORD, MAX_RECORD))
    except (OSError, ValueError, UserError):
        return {}
    return record if isinstance(record, dict) else {}


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except OSError as error:
        # a damaged file can ask for a place before its beginning
        raise _damaged(archive) from error


def _member(opened: zipfile.ZipFile, archive: Path, info: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return opened.open(info)
    except OSError as error:
        # so can one of its members
        raise _damaged(archive) from error


def _damaged(archive: Path) -> UserError:
    return UserError(str(archive), "not a .zip file, or damaged", next_step="remove it, then fetch it again")


def _checked(infos: list[zipfile.ZipInfo], archive: Path, inside: str | None, caps: Caps) -> list[_Member]:
    """Return what is to be unpacked, after every member was looked at."""
    if len(infos) > caps.members:
        raise _refused(archive, f"{len(infos):,} members", f"expected at most {caps.members:,}")
    total, size = sum(info.file_size for info in infos), archive.stat().st_size
    most = min(caps.bytes, caps.ratio * size)
    if total > most:
        raise _refused(archive, f"{total:,} bytes unpacked, from {size:,}", f"expected at most {most:,}")
    paths: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in infos:
        path = _path_of(info, archive)
        if path in paths:
            raise _refused(archive, f"{path} twice", "expected every name once")
        paths[path] = info
    for path in paths:
        below = next((one for one in path.parents if one in paths and not paths[one].is_dir()), None)
        if below is not None:
            raise _refused(archive, f"{below} as a file and as a folder", "expected every name once")
    members = [
        _Member(info=info, path=_below(path, inside, archive))
        for path, info in paths.items()
        if not info.is_dir() and not _is_hidden(path)
    ]
    if not members:
        raise _refused(archive, "no files", f"expected files in {inside or 'it'}")
    return members


def _path_of(info: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """Return where a member belongs, if its name and its kind are harmless."""
    # as it stands in the archive: `filename` is cut at a zero byte
    name = info.orig_filename
    parts = name.removesuffix("/").split("/")
    if re.match("[A-Za-z]:", name) or re.search(r"[\\\0]", name) or not {"", ".", ".."}.isdisjoint(parts):
        raise _refused(archive, f'the name "{name}"', "expected names below the archive's own folder")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(archive, f"{name}, a link or a device", "expected files and folders")
    if info.flag_bits & 1:
        raise _refused(archive, f"{name}, which is encrypted", "expected files without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused(archive, f"{name}, with compression {info.compress_type}", "expected stored or deflated files")
    return PurePosixPath(*parts)


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _below(path: PurePosixPath, inside: str | None, archive: Path) -> PurePosixPath:
    if inside is None:
        return path
    if path.parts[0] != inside or len(path.parts) == 1:
        raise _refused(archive, f"{path}, outside {inside}", f"expected everything in {inside}")
    return path.relative_to(inside)


def _refused(archive: Path, found: str, allowed: str) -> UserError:
    return UserError(str(archive), f"it has {printable(found)}", allowed, "do not trust this file")


def _write_all(
    opened: zipfile.ZipFile, archive: Path, members: list[_Member], draft: Path, reading: Reading
) -> dict[str, dict[str, Any]]:
    """Write every member, durably; return what `files.damage` compares."""
    written = {}
    for number, member in enumerate(members, 1):
        written[str(member.path)] = _write(opened, archive, member.info, draft / member.path)
        reading("unpacking files", number, len(members))
    for folder in {(draft / member.path).parent for member in members}:
        disk.DISK.fsync_folder(folder)
    return written


def _write(opened: zipfile.ZipFile, archive: Path, info: zipfile.ZipInfo, path: Path) -> dict[str, Any]:
    files.make_folders(path.parent)
    digest, count = hashlib.sha256(), 0
    with _member(opened, archive, info) as source, disk.DISK.create(path) as handle:
        while piece := source.read(PIECE):
            count += len(piece)
            if count > info.file_size:
                break
            digest.update(piece)
            disk.DISK.write(handle, piece)
        disk.DISK.fsync(handle)
    if count != info.file_size:
        raise _refused(archive, f"{info.filename} in another size than it says", f"expected {info.file_size:,} bytes")
    return {"sha256": digest.hexdigest(), "bytes": count}
