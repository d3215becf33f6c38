"""The keys of a specification as rows of a table: what may stand there, the default, the meaning."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, WrapValidator
from pydantic.fields import FieldInfo

from doubleread.markdown import escaped, table
from doubleread.recipe import Spec
from doubleread.recipe.spec import ByName, Expected, OrNone
from tools.reference.sources import meaning_of

HEADS = ("key", "what may stand there", "default", "meaning")
NOTHING = "–"
PLAIN = {str: "a text", int: "a whole number", float: "a number", bool: "`true` or `false`", Any: "any value"}
COUNTS = {2: "two", 3: "three"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One key of a table; every text is Markdown, with the signs of a table still in it."""

    key: str
    allowed: str
    default: str
    meaning: str


def rows_of(spec: type[BaseModel], places: Mapping[str, str] | None = None) -> list[Row]:
    """Return a row for each key of a specification, but the name that it is chosen by.

    `places` says where the keys of a specification within it are explained: the name of its class → an address.
    """
    return [
        Row(
            key=key,
            allowed=allowed(field, places or {}),
            default="required" if field.is_required() else shown(_default(field)),
            meaning=meaning_of(spec, key),
        )
        for key, field in spec.model_fields.items()
        if not (key == "name" and get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1)
    ]


def row_table(rows: Iterable[Row]) -> list[str]:
    """Return the lines of a table of keys."""
    return table(HEADS, [[f"`{row.key}`", *map(cell, (row.allowed, row.default, row.meaning))] for row in rows])


def cell(text: str) -> str:
    """Return Markdown that may stand in a cell of a table: on one line, each bar as an entity."""
    return " ".join(text.split()).replace("|", "&#124;")


def code(text: str) -> str:
    """Return a text as code that may stand in a cell; every parser splits a cell at a bar unless it is an entity."""
    return f"<code>{html.escape(text, quote=False).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def allowed(field: FieldInfo, places: Mapping[str, str]) -> str:
    """Return what may stand at a field, in the words of the error that refuses everything else."""
    found = _described(field.annotation, field.metadata, places)
    return f"{found}, or `none`" if OrNone in field.metadata else found


def shown(value: Any) -> str:
    """Return a default as a study file would say it; a dash where it is nothing."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_defaults=True)
    if value is None or value == {} or value == () or value == []:
        return NOTHING
    return f"`{_yaml(value)}`"


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def _yaml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, float):
        return re.sub(r"e([+-])0", r"e\1", f"{value:g}").replace("e+", "e")
    return value if isinstance(value, str) else json.dumps(value)


def _described(kind: Any, metadata: Iterable[Any], places: Mapping[str, str]) -> str:
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        return _described(inner, [*more, *metadata], places)
    if ByName in metadata:
        return f"a name, or `{{name: …}}` with [its options]({_place(kind, places)})"
    if get_origin(kind) is Literal:
        return listed([f"`{value}`" for value in get_args(kind)])
    expected = next((one.func.text for one in metadata if _expects(one)), None)
    if expected is not None:
        return escaped(expected)
    if get_origin(kind) in (Union, UnionType):
        return listed([_described(one, (), places) for one in get_args(kind) if one is not NoneType])
    if isinstance(kind, type) and issubclass(kind, Spec):
        return f"[a mapping]({_place(kind, places)})"
    return _several(kind, places) or PLAIN[kind]


def _several(kind: Any, places: Mapping[str, str]) -> str | None:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        number = "a list" if inner[-1] is Ellipsis else f"a list of {COUNTS[len(inner)]}"
        each = _described(inner[0], (), places)
        return number if inner[0] is Any else f"{number}, each {each}"
    if origin is list:
        return "a list"
    if origin is dict:
        each = _described(inner[1], (), places)
        return "a mapping" if inner[1] is Any or each.startswith("a mapping") else f"a mapping, each value {each}"
    return None


def _expects(one: Any) -> bool:
    return isinstance(one, WrapValidator) and isinstance(one.func, Expected)


def _place(kind: Any, places: Mapping[str, str]) -> str:
    """Return where a specification is explained, the first of a union of several."""
    for spec in specs_in(kind):
        if spec.__name__ in places:
            return places[spec.__name__]
    raise LookupError(f"{kind} is explained nowhere; give it a place")


def specs_in(kind: Any) -> list[type[Spec]]:
    """Return the specifications that a type is made of, in order."""
    if isinstance(kind, type) and issubclass(kind, Spec):
        return [kind]
    return [spec for inner in get_args(kind) for spec in specs_in(inner)]


def listed(texts: Sequence[str]) -> str:
    """Return `a, b or c`."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
