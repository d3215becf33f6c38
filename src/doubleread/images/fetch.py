"""Fetching public sets: what has arrived is kept, and what was not announced, or has another hash, is not.

This is the one place that reaches for the network, and only when it is asked to.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pooch
import requests

from doubleread import __version__, disk, files
from doubleread.errors import UserError, WorkFailed, printable
from doubleread.images.public_sets import PublicFile, PublicSet
from doubleread.images.unpack import Reading, check_room, is_unpacked, unpack

PIECE = 2**16
MAX_BYTES = 32 * 2**30
MAX_HOPS = 5
MAX_STATE = 2**16
LOCAL = frozenset({"localhost", "127.0.0.1"})
BUSY = frozenset({408, 429, 500, 502, 503, 504})
"""Answers after which another try may help."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a transfer is tried, the pause after the first try (it doubles) and the longest silence, in seconds."""

    tries: int = 5
    pause: float = 2.0
    silence: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """Where a set lies; `bytes` is the size of the file that it came as; `fetched` tells whether it came just now."""

    path: Path
    bytes: int | None
    fetched: bool


@dataclass(frozen=True, kw_only=True)
class _Arrived:
    """What lies in the part: `validator` is what the server said of the file, to ask whether it is still the same."""

    bytes: int
    total: int
    validator: str | None


class _Broken(Exception):
    """The transfer broke off; the text says why."""


def fetch_set(
    chosen: PublicSet, file: PublicFile, folder: Path, reading: Reading, patience: Patience | None = None
) -> Fetched:
    """Fetch one file of a set into `folder`, which is there; unpack it if it is an archive, and remove the archive.

    Raises:
        UserError: something else lies there.
        WorkFailed: it could not be fetched; what has arrived is kept.
        OSError: the disk is full or fails; what has arrived is kept.
    """
    with _alone(folder):
        if chosen.inside is None:
            target = folder / file.name
            fetched = fetch_file(file, target, reading, patience)
            return Fetched(path=target, bytes=target.stat().st_size, fetched=fetched)
        target, archive = folder / chosen.name, folder / file.name
        if is_unpacked(target, file.hash):
            return Fetched(path=target, bytes=file.bytes, fetched=False)
        fetched = fetch_file(file, archive, reading, patience)
        unpack(archive, target, origin=file.hash, inside=chosen.inside, reading=reading)
        disk.DISK.remove(archive)
        return Fetched(path=target, bytes=file.bytes, fetched=fetched)


def fetch_file(file: PublicFile, target: Path, reading: Reading, patience: Patience | None = None) -> bool:
    """Fetch a file to `target`, durably; return False if it was there. Raises as `fetch_set`."""
    downloader = _Resuming(file, target, reading, patience or Patience())
    # pooch works in a folder of its own: what a killed process leaves there is gone next time
    draft = target.with_name(f".{target.name}.draft")
    disk.DISK.remove_folder(draft)
    if target.exists():
        _check_present(file, target)
        downloader.forget()
        return False
    try:
        with _quiet_pooch():
            pooch.retrieve(file.url, known_hash=file.hash, fname=target.name, path=draft, downloader=downloader)
        disk.DISK.rename(draft / target.name, target)
    except ValueError as error:
        found = downloader.hash_in_words()
        downloader.forget()
        raise WorkFailed(
            f"{downloader.place}: what was fetched has {found}; expected {file.hash}; it is removed: try again,"
            " and if that does not help, the file or the way to it is not to be trusted"
        ) from error
    finally:
        with suppress(OSError):
            disk.DISK.remove_folder(draft)
    disk.DISK.fsync_folder(target.parent)
    downloader.forget()
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second fetch away from the same folder."""
    held = disk.lock(folder)
    if held is None:
        raise WorkFailed(f"{folder}: another fetch writes there; wait for it, or add --to DIR")
    try:
        yield
    finally:
        os.close(held)


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_present(file: PublicFile, target: Path) -> None:
    if not target.is_file():
        found = "it is there and is no file"
    elif file.bytes not in (None, target.stat().st_size):
        found = f"it is there with {target.stat().st_size:,} bytes"
    else:
        hashed = _hash_like(file, target)
        if hashed == file.hash:
            return
        found = f"it is there with the hash {hashed}"
    allowed = f"expected {file.hash}" + (f", {file.bytes:,} bytes" if file.bytes else "")
    raise UserError(str(target), found, allowed, "move it away, or add --to DIR")


def _hash_like(file: PublicFile, path: Path) -> str:
    algorithm = file.hash.partition(":")[0]
    return f"{algorithm}:{pooch.file_hash(str(path), alg=algorithm)}"


class _Resuming:
    """A downloader for pooch that goes on where an earlier one stopped.

    What has arrived lies in `NAME.part` beside the target, and what the server said of it in `NAME.part.json`.
    """

    def __init__(self, file: PublicFile, target: Path, reading: Reading, patience: Patience) -> None:
        self._file, self._reading, self._patience = file, reading, patience
        self._part = target.with_name(f"{target.name}.part")
        self._state = target.with_name(f"{target.name}.part.json")
        self.place = f"{urlsplit(file.url).hostname}, {file.name}"

    def __call__(
        self, fname: str, action: str | os.PathLike[str] | None, pooch: Any, *, check_only: bool | None = None
    ) -> None:
        """Fetch the file; the names are those of pooch's protocol: `fname` is the URL, `action` the file to make."""
        with _Session() as session:
            self._try(session)
        given = Path(str(action))
        disk.DISK.remove(given)
        try:
            # a second name: the part stays until the hash is known to be right
            disk.DISK.link(self._part, given)
        except OSError:
            # a file system without second names
            disk.DISK.rename(self._part, given)

    def hash_in_words(self) -> str:
        """Return the hash of what has arrived, if it is still there."""
        return f"the hash {_hash_like(self._file, self._part)}" if self._part.exists() else "another hash"

    def forget(self) -> None:
        """Remove what has arrived."""
        disk.DISK.remove(self._part)
        disk.DISK.remove(self._state)

    def _try(self, session: requests.Session) -> None:
        for left in reversed(range(self._patience.tries)):
            try:
                self._transfer(session)
                return
            except requests.exceptions.SSLError as error:
                raise WorkFailed(
                    f"{self.place}: no safe connection; expected a certificate that this machine trusts; see whether"
                    " its clock is right, and ask whoever runs the network"
                ) from error
            except (_Broken, requests.RequestException) as error:
                if not left:
                    tries = f"tried {self._patience.tries} times" if self._patience.tries > 1 else "tried once"
                    raise WorkFailed(f"{self.place}: {self._why(error)} ({tries}); {self._kept()}") from error
                time.sleep(self._patience.pause * 2 ** (self._patience.tries - 1 - left))

    def _why(self, error: Exception) -> str:
        if isinstance(error, _Broken):
            return str(error)
        if isinstance(error, requests.Timeout):
            return f"no answer within {self._patience.silence:g} s"
        return "no connection"

    def _kept(self) -> str:
        have = self._arrived()
        if have is None:
            return "nothing is kept; check the network, then the same command begins again"
        return f"{have.bytes:,} of {have.total:,} bytes have arrived and are kept; the same command goes on from there"

    def _arrived(self) -> _Arrived | None:
        """Return what there is to go on from, if the server can be asked whether its file is still the same."""
        try:
            state = json.loads(files.read_bytes(self._state, MAX_STATE))
            size = self._part.stat().st_size
            same = (state["url"], state["hash"]) == (self._file.url, self._file.hash)
            have = _Arrived(bytes=size, total=int(state["total"]), validator=state["validator"])
        except (OSError, UserError, ValueError, TypeError, KeyError):
            return None
        usable = have.validator is not None or have.bytes == have.total
        return have if same and usable and 0 < have.bytes <= have.total else None

    def _transfer(self, session: requests.Session) -> None:
        have = self._arrived()
        if have is not None and have.bytes == have.total:
            return
        response = self._ask(session, have)
        if response.status_code == 416 or (response.status_code == 206 and not _goes_on(response, have)):
            response.close()
            response, have = self._ask(session, None), None
        with response:
            goes_on = have is not None and response.status_code == 206
            self._take(response, have if goes_on else None)

    def _ask(self, session: requests.Session, have: _Arrived | None) -> requests.Response:
        """Ask for the file, or for the rest of it, and follow redirects that may be followed."""
        headers = {} if have is None else {"Range": f"bytes={have.bytes}-", "If-Range": str(have.validator)}
        url = self._onward(self._file.url, "")
        for _ in range(MAX_HOPS):
            try:
                response = session.get(
                    url, headers=headers, stream=True, timeout=self._patience.silence, allow_redirects=False
                )
            except ValueError as error:
                raise self._wrong_address(url) from error
            if not response.is_redirect:
                return response
            response.close()
            url = self._onward(url, response.headers["Location"])
        raise WorkFailed(f"{self.place}: more than {MAX_HOPS} redirects; expected the file; try again later")

    def _onward(self, url: str, location: str) -> str:
        """Return the address that a redirect leads to, if it is one with https, or on the very same local server."""
        try:
            onward = urljoin(url, location)
            there = urlsplit(onward)
            safe = there.scheme == "https" and bool(there.hostname)
            same = there.netloc == urlsplit(self._file.url).netloc
            local = there.scheme == "http" and there.hostname in LOCAL and same
        except ValueError:
            onward, safe, local = location, False, False
        if not safe and not local:
            raise self._wrong_address(onward)
        return onward

    def _wrong_address(self, url: str) -> WorkFailed:
        return WorkFailed(
            f"{self.place}: it is said to lie at {printable(url)}; expected an address with https; nothing was fetched"
            " from there"
        )

    def _take(self, response: requests.Response, have: _Arrived | None) -> None:
        """Write the body of an answer to the end of the part, or to a new one."""
        total = have.total if have else self._announced(response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise WorkFailed(f"{self.place}: the server packs the file; expected it as it is; try another network")
        done = have.bytes if have else 0
        if have is None:
            self._begin(response, total)
        check_room(self._part.parent, total - done)
        with self._part.open("ab", buffering=0) as handle:
            for piece in self._pieces(response):
                done += len(piece)
                if done > total:
                    self.forget()
                    raise WorkFailed(
                        f"{self.place}: more than the {total:,} bytes that were announced; nothing is kept; try"
                        " another network"
                    )
                disk.DISK.write(handle, piece)
                self._reading("downloading bytes", done, total)
            disk.DISK.fsync(handle)
        if done < total:
            raise _Broken("the connection was cut")

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_content(PIECE)
        except requests.RequestException as error:
            raise _Broken("the connection was cut, or was silent for too long") from error

    def _begin(self, response: requests.Response, total: int) -> None:
        disk.DISK.remove(self._part)
        state = {"url": self._file.url, "hash": self._file.hash, "total": total, "validator": _validator(response)}
        files.write_json(self._state, state)

    def _announced(self, response: requests.Response) -> int:
        """Return how many bytes an answer will have, if it is the whole file."""
        if response.status_code in BUSY:
            raise _Broken(f"the server answered {response.status_code}")
        if response.status_code != 200:
            raise WorkFailed(
                f"{self.place}: the server answered {response.status_code}; expected 200; look with a browser whether"
                f" {self._file.url} is there"
            )
        length = response.headers.get("Content-Length", "")
        announced = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
        expected = self._file.bytes
        if expected is not None and announced not in (None, expected):
            raise WorkFailed(
                f"{self.place}: the server announces {announced:,} bytes; expected {expected:,}; look with a browser"
                f" whether {self._file.url} has changed"
            )
        total = announced if expected is None else expected
        if total is None or total > MAX_BYTES:
            said = "no size" if total is None else f"{total:,} bytes"
            raise WorkFailed(
                f"{self.place}: the server announces {said}; expected at most {MAX_BYTES:,} bytes; try again later"
            )
        return total


def _goes_on(response: requests.Response, have: _Arrived | None) -> bool:
    """Tell whether an answer is the rest of what has arrived, and of the same file."""
    if have is None or _validator(response) not in (None, have.validator):
        return False
    return response.headers.get("Content-Range") == f"bytes {have.bytes}-{have.total - 1}/{have.total}"


def _validator(response: requests.Response) -> str | None:
    """Return what tells one version of the file from another: a strong ETag, or else the date of its last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _Session(requests.Session):
    """Asks for files as they are, sends no password that the user keeps for a host, and follows nothing by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.headers.update({"User-Agent": f"doubleread/{__version__}", "Accept-Encoding": "identity"})
        self.auth = _as_it_is

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no target: requests would read the whole body of a redirect before anyone can look at it."""
