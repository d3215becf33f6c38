"""What commands print with --json, and the columns of tables: read from json.yaml, written as tables of the page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from doubleread.markdown import table
from doubleread.study.yaml_file import read_mapping
from tools.reference.fields import cell

SOURCE = Path(__file__).with_name("json.yaml")
NAMED = re.compile(r"(\w+)( or null)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What is said of one path: what it is, and what it means."""

    kind: str
    meaning: str


Paths = Mapping[str, Said]
"""What is said, by the dotted path: `[]` is each entry of a list, `{x}` a key that is free."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """All that is said: of objects that stand in several places, of what commands print, of the columns of tables."""

    objects: Mapping[str, Paths]
    commands: Mapping[str, Paths]
    tables: Mapping[str, Paths]


@cache
def known() -> Known:
    """Return what json.yaml says."""
    raw = read_mapping(SOURCE)
    objects = {name: _paths(found) for name, found in raw["objects"].items()}
    columns = {
        name: _keys(objects[found]) if isinstance(found, str) else _paths(found)
        for name, found in raw["tables"].items()
    }
    commands = {name: _paths(found) for name, found in raw["commands"].items()}
    return Known(objects=objects, commands=commands, tables=columns)


def object_of(kind: str) -> str | None:
    """Return the object that a kind names, if it names one."""
    match = NAMED.fullmatch(kind)
    return match[1] if match is not None and match[1] in known().objects else None


def printed(name: str) -> list[str]:
    """Return the table of what a command prints."""
    return _table("key", known().commands[name])


def shared(name: str) -> list[str]:
    """Return the table of an object that stands in several places."""
    return _table("key", known().objects[name])


def tables(_name: str) -> list[str]:
    """Return a section for each table that `report --tables` writes."""
    lines = []
    for name, columns in known().tables.items():
        raw = read_mapping(SOURCE)["tables"][name]
        same = isinstance(raw, str)
        text = [f"The keys of [{_an(raw)}](#{_place(raw)}); lists and objects are texts."] if same else []
        lines += [f"### {name}", "", *(text or _table("column", columns)), ""]
    return lines


def _paths(raw: Mapping[str, str]) -> dict[str, Said]:
    found = {}
    for path, text in raw.items():
        kind, _, meaning = text.partition("; ")
        found[path] = Said(kind=kind, meaning=meaning)
    return found


def _keys(paths: Paths) -> dict[str, Said]:
    """Return the keys of an object, each with what is said first of it."""
    found: dict[str, Said] = {}
    for path, said in paths.items():
        found.setdefault(re.split(r"[.\[]", path)[0], said)
    return found


def _table(head: str, paths: Paths) -> list[str]:
    rows = [[f"`{path}`", cell(_kind(said.kind)), cell(said.meaning)] for path, said in paths.items()]
    return table((head, "type", "meaning"), rows)


def _kind(kind: str) -> str:
    name = object_of(kind)
    return kind if name is None else kind.replace(name, f"[{_an(name)}](#{_place(name)})")


def _an(name: str) -> str:
    return f"{'an' if name[0] in 'aeo' else 'a'} {name}"


def _place(name: str) -> str:
    return _an(name).replace(" ", "-")
