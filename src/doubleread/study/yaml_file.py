"""Reading YAML 1.2 that a stranger may have written: capped size, no duplicate keys, few aliases."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    NodeEvent,
)

from doubleread.errors import UserError
from doubleread.files import read_text

MAX_BYTES = 1 * 2**20
MAX_ALIASES = 100
MAX_DEPTH = 50
MAX_NODES = 100_000
MAX_WRITTEN = 50_000
"""Values as they stand in the text, which are read at some 20,000 a second."""


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        UserError: the file is missing, too large, not YAML 1.2, has a duplicate key, or is not a mapping.
    """
    return parse_mapping(read_text(path, MAX_BYTES), str(path))


def parse_mapping(text: str, place: str) -> dict[str, Any]:
    """Return the mapping in a YAML text; `place` names it in errors."""
    value = _parse(text, place)
    if not isinstance(value, dict):
        found = "the file is empty" if value is None else f"got {type(value).__name__}"
        raise UserError(place, found, "expected a mapping of keys to values")
    return value


def parse_value(text: str, place: str) -> Any:
    """Return the value of one YAML scalar or flow collection, as after `--set key=`."""
    return _parse(text, place)


def _parse(text: str, place: str) -> Any:
    try:
        _check_events(text, place)
        value = YAML(typ="safe", pure=True).load(io.StringIO(text))
        _check_tree(value, place)
        return value
    except DuplicateKeyError as error:
        raise UserError(_marked(place, error), _duplicate(error), "expected each key once") from error
    except MarkedYAMLError as error:
        raise UserError(_marked(place, error), *_said(error)) from error
    except (YAMLError, RecursionError, ValueError, LookupError, TypeError) as error:
        raise UserError(place, "not YAML 1.2", next_step="check the syntax") from error


def _check_events(text: str, place: str) -> None:
    """Refuse what would cost too much to build: looked at event by event, before anything is built."""
    depth = aliases = written = 0
    anchors: set[str] = set()
    for event in YAML(typ="safe", pure=True).parse(io.StringIO(text)):
        aliases += isinstance(event, AliasEvent)
        written += isinstance(event, NodeEvent)
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UserError(place, f"nested more than {MAX_DEPTH} deep", f"expected at most {MAX_DEPTH}")
        if written > MAX_WRITTEN:
            raise UserError(place, f"more than {MAX_WRITTEN:,} values", f"expected at most {MAX_WRITTEN:,}")
        if isinstance(event, NodeEvent) and event.anchor is not None and not isinstance(event, AliasEvent):
            if event.anchor in anchors:
                raise UserError(place, f'two anchors "&{event.anchor}"', "expected each name once", "rename one")
            anchors.add(event.anchor)
        if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
            raise UserError(place, "%YAML with another version", "expected YAML 1.2", "delete the line")
    if aliases > MAX_ALIASES:
        raise UserError(place, f"{aliases} aliases", f"expected at most {MAX_ALIASES}")


def _check_tree(value: Any, place: str) -> None:
    """Refuse values that JSON has no word for, and trees that aliases make huge or endless."""
    nodes = 0
    waiting: list[Any] = [value]
    while waiting:
        nodes += 1
        if nodes > MAX_NODES:
            raise UserError(place, f"more than {MAX_NODES:,} values", f"expected at most {MAX_NODES:,}")
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += [*node, *node.values()]
        elif isinstance(node, list):
            waiting += node
        elif isinstance(node, float) and not math.isfinite(node):
            raise UserError(place, f"the number {node}", "expected finite numbers", "quote it if it is a text")
        elif not isinstance(node, str | int | float | bool | None):
            found = f"a value of the type {type(node).__name__}"
            raise UserError(place, found, "expected texts, numbers, lists and mappings", "quote it")


def _marked(place: str, error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{place}, line {mark.line + 1}" if mark is not None else place


def _said(error: MarkedYAMLError) -> tuple[str, str, str]:
    """Return what is wrong, what is allowed and what to do, in plain words where the parser has none."""
    problem = error.problem or "not YAML"
    if "'\\t'" in problem:
        return "a tab", "expected spaces", "indent with spaces"
    if "mapping values are not allowed" in problem:
        return "a colon where none may be", "", "is a space missing after a colon, here or in the line above?"
    if problem.endswith(("']'", "'}'")):
        return "a bracket that closes nothing", "", "delete it, or quote the text"
    if "expected <block end>" in problem:
        return "indented otherwise than the lines above", "", "give the keys of one mapping the same indentation"
    return f"not YAML ({problem})", "", "mend the line"


def _duplicate(error: DuplicateKeyError) -> str:
    return (error.problem or "duplicate key").split(" with value")[0].replace("found ", "")
