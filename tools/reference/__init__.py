"""The pages of the reference shelf, their tables written from the program itself: `make reference`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from tools.reference import commands, json_output, store, study_file
from tools.reference.study_schema import study_schema

FOLDER = Path(__file__).parent.parent.parent / "docs" / "reference"
PAGES = ("commands.md", "json.md", "store.md", "study-file.md")
"""The pages with generated parts; around these their text is written by hand."""
SCHEMA = "study.schema.json"
PARTS: dict[str, Callable[[str], list[str]]] = {
    "list of commands": commands.list_of_commands,
    "commands": commands.all_commands,
    "json": json_output.printed,
    "object": json_output.shared,
    "csv": json_output.tables,
    "sqlite": store.tables,
    "files": store.files,
    "keys": study_file.keys,
    "choices": study_file.choices,
    "phantom": study_file.phantom,
    "metrics": study_file.metrics,
}
"""What writes a part, which a page calls by its name, a colon, and what of it there shall be."""
MARKED = re.compile(r"<!-- generated: ([a-z ]+)(?:: ([\w .-]+))? -->\n.*?<!-- end -->", re.DOTALL)


def filled(text: str) -> str:
    """Return a page with each marked part as the program is now."""

    def part(match: re.Match[str]) -> str:
        name, which = match[1], match[2] or ""
        begin = f"<!-- generated: {name}{f': {which}' if which else ''} -->"
        return "\n".join([begin, "", *_trimmed(PARTS[name](which)), "", "<!-- end -->"])

    return MARKED.sub(part, text)


def written() -> dict[str, str]:
    """Return what each file of the shelf that is written here shall hold, by its name."""
    pages = {name: filled((FOLDER / name).read_text(encoding="utf-8")) for name in PAGES}
    return {**pages, SCHEMA: json.dumps(study_schema(), indent=1, ensure_ascii=False) + "\n"}


def _trimmed(lines: list[str]) -> list[str]:
    """Return lines with no two empty ones in a row, and none at either end."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n").split("\n")
