"""Text that Markdown and HTML show as it is, and tables of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SIGNS = re.compile(r"[\\`*_\[\]|~]|<(?=[A-Za-z/!?])|&(?=#|\w+;)")
# what not every parser lets a backslash stand before
_ENTITIES = {"<": "&lt;", "&": "&amp;", "|": "&#124;", "~": "&#126;"}
_FIRST = re.compile(r"^(?=[#>+=-]|\d+[.)]\s)(\d*)(.)")


def escaped(text: str) -> str:
    """Return a text on one line that Markdown shows as it is: no emphasis, link, tag, entity, heading or list."""
    one_line = " ".join(text.split())
    return _FIRST.sub(r"\1\\\2", _SIGNS.sub(lambda sign: _ENTITIES.get(sign[0], f"\\{sign[0]}"), one_line))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; cells are Markdown, so that text from outside is to be escaped."""
    return [f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *rows)]
