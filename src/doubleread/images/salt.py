"""Names that tell nobody who somebody is: a hash with a salt that stays on this machine."""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from doubleread import disk
from doubleread.errors import UserError
from doubleread.files import config_folder, make_folders, read_text, write_into

VARIABLE = "DOUBLEREAD_SALT"
LEAST = 16
"""Letters of a salt."""
DIGITS = 12
"""Hexadecimal digits of a name: among 100,000 of them two are alike once in 56,000 times."""


def salted(text: str) -> str:
    """Return a name for `text`, 12 hexadecimal digits of its HMAC-SHA-256: the same wherever the salt is the same.

    Raises:
        UserError: the salt cannot be read or written, or is too short.
    """
    return hmac.new(_salt(os.environ.get(VARIABLE)), text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[
        :DIGITS
    ]


@lru_cache(maxsize=4)
def _salt(given: str | None) -> bytes:
    if given is not None:
        if len(given) < LEAST:
            raise UserError(VARIABLE, f"{len(given)} letters", f"expected {LEAST} at least")
        return given.encode()
    try:
        path = config_folder() / "salt"
        if not path.is_file():
            _make(path)
        text = read_text(path).strip()
    except OSError as error:
        why = error.strerror or error
        raise UserError("the salt", f"cannot be kept ({why})", "", f"set {VARIABLE} to a secret of your own") from error
    if len(text) < LEAST:
        raise UserError(str(path), "too short for a salt", "", "remove it; subjects get other names then")
    return text.encode()


def _make(path: Path) -> None:
    """Write a salt that only its owner can read; where another process has written one in the meantime, that stays."""
    make_folders(path.parent)
    path.parent.chmod(0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    write_into(draft, f"{secrets.token_hex(32)}\n".encode())
    draft.chmod(0o600)
    with suppress(FileExistsError):
        disk.DISK.link(draft, path)
    disk.DISK.remove(draft)
