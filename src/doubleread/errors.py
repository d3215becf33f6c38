"""Errors that a user can mend: each says where, what was found, what is allowed, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from unicodedata import category

LEAST_LETTERS = 3
"""So many letters may stand for a word that begins with them."""


class UserError(Exception):
    """Bad input; the command line prints it without a traceback and exits with 2.

    `place` is a file, a path in the study file or an option; `found` what is there; `allowed` what may be;
    `next_step` what to do; the last two are empty where there is nothing to say. `str()` gives the whole message on one
    line, or more where `found` lists things.
    """

    exit_code = 2

    def __init__(self, place: str, found: str, allowed: str = "", next_step: str = "") -> None:
        self.place = place
        self.found = found
        self.allowed = allowed
        self.next_step = next_step
        super().__init__(self.message())

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str, str]]:
        """Say how another process makes the same error."""
        return type(self), (self.place, self.found, self.allowed, self.next_step)

    def message(self) -> str:
        tail = "; ".join(part for part in (self.allowed, self.next_step) if part)
        return printable(f"{self.place}: {self.found}" + (f"; {tail}" if tail else ""), keep="\n")


class WorkFailed(Exception):
    """The input was good but the work could not be finished; the command line exits with 1."""

    exit_code = 1


class UnreadableImage(Exception):
    """One image cannot be used; the text is the reason. Collected by the dataset, never raised to the user."""


def printable(text: str, keep: str = "") -> str:
    """Return `text` with control characters and broken Unicode written as escapes, so that none reaches a terminal."""
    if text.isprintable():
        return text
    return "".join(
        char if _is_plain(char) or char in keep else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def _is_plain(char: str) -> bool:
    # a space of another width, as word processors write it, is a space
    return char.isprintable() or category(char) == "Zs"


def closest(got: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed word that was probably meant, None where none is much like it.

    It is one that begins so, if it is the only one: `acc` means `accuracy`.
    """
    small = {word.casefold(): word for word in sorted(allowed, reverse=True)}
    short = got.casefold()
    longer = [word for word in small if word.startswith(short)] if len(short) >= LEAST_LETTERS else []
    close = longer if len(longer) == 1 else difflib.get_close_matches(short, small, n=1, cutoff=0.6)
    return small[close[0]] if close else None


def did_you_mean(got: str, allowed: Iterable[str]) -> str:
    """Return `did you mean "x"?` for the closest allowed word, or the list of allowed words."""
    words = sorted(allowed)
    near = closest(got, words)
    return "expected one of " + ", ".join(words) if near is None else f'did you mean "{near}"?'
