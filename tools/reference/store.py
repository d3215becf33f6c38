"""The tables of the page on the store: every column of the real schema, and what stands in the files of a run."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path

from doubleread.markdown import table
from doubleread.store.schema import migrate
from doubleread.study.yaml_file import read_mapping
from tools.reference.fields import cell

SOURCE = Path(__file__).with_name("store.yaml")


@cache
def meanings() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return what store.yaml says: of `tables`, then of `files`, by column or key."""
    return read_mapping(SOURCE)


def columns() -> dict[str, list[tuple[str, str, str]]]:
    """Return the name, the type and the role of every column of every table of a new store."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: _columns(connection, name) for name in names}


def tables(_name: str) -> list[str]:
    """Return a section for each table of the database."""
    found, lines = columns(), []
    for name, said in meanings()["tables"].items():
        rows = [[f"`{one}`", kind, role, cell(said[one])] for one, kind, role in found[name]]
        lines += [f"### {name}", "", *table(("column", "type", "role", "meaning"), rows), ""]
    return lines


def files(name: str) -> list[str]:
    """Return the table of what stands in one file."""
    rows = [[f"`{key}`", cell(meaning)] for key, meaning in meanings()["files"][name].items()]
    return table(("key" if name.endswith(".json") else "column" if name.endswith(".csv") else "array", "meaning"), rows)


def _columns(connection: sqlite3.Connection, name: str) -> list[tuple[str, str, str]]:
    points = {row[3]: f"→ `{row[2]}`" for row in connection.execute(f"PRAGMA foreign_key_list({name})")}
    found = []
    for _, column, kind, filled, _, key in connection.execute(f"PRAGMA table_info({name})"):
        role = [*(["key"] if key else []), *([points[column]] if column in points else [])]
        null = [] if filled or key else ["may be null"]
        found.append((column, kind, ", ".join([*role, *null])))
    return found
