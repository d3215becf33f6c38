"""Turns what pydantic finds wrong into the product's own errors: place, found, allowed, next step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from doubleread.errors import UserError, closest, did_you_mean
from doubleread.recipe import PARTS, Recipe, Spec

Path = tuple[str | int, ...]
NOT_A_MAPPING = ("union_tag_not_found", "model_attributes_type", "model_type", "dict_type", "mapping_type")


def user_error(error: ValidationError, raw: Any, place_of: Callable[[Path], str], top: type[Spec]) -> UserError:
    """Return the first problem of `error` as a `UserError`.

    `raw` is what was validated, `place_of` gives the place of a path inside it, `top` is the specification that it
    was validated against.
    """
    details = _worst(error.errors(include_url=False))
    path, tag = _path_in(raw, details["loc"])
    if details["type"] == "missing" and path[-1:] != details["loc"][-1:]:
        path = (*path, details["loc"][-1])
    return UserError(place_of(path), *_found_and_allowed(details, path, tag, top))


def _worst(found: Sequence[ErrorDetails]) -> ErrorDetails:
    """Return the first problem; where a key is missing beside one that is much like it, that one."""
    first = found[0]
    if first["type"] != "missing":
        return first
    holder, missing = first["loc"][:-1], str(first["loc"][-1])
    for other in found:
        unknown = other["type"] == "extra_forbidden" and other["loc"][:-1] == holder
        if unknown and closest(str(other["loc"][-1]), [missing]) is not None:
            return other
    return first


def show(value: Any) -> str:
    """Return a value as a user would have written it, cut to 60 characters."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _path_in(raw: Any, loc: Sequence[str | int]) -> tuple[Path, str | None]:
    """Drop the parts of a location that pydantic adds for the members of a union, and return the last of them."""
    path: list[str | int] = []
    value: Any = raw
    tag: str | None = None
    for part in loc:
        if _has(value, part):
            value = value[part]
            path.append(part)
        else:
            tag = str(part)
    return tuple(path), tag


def _has(value: Any, part: str | int) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)


def _found_and_allowed(details: ErrorDetails, path: Path, tag: str | None, top: type[Spec]) -> tuple[str, str, str]:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        names = sorted(PARTS.get(str(path[-1]), ()))
        return "missing", f"expected one of {', '.join(names)}" if names else "", "add it"
    if kind == "extra_forbidden":
        return _unknown_key(path, tag, top)
    if kind == "union_tag_invalid":
        return _not_a_name(details["input"]["name"], context["expected_tags"].split(","))
    if kind == "literal_error" and isinstance(details["input"], str):
        return _not_a_name(details["input"], context["expected"].split(" or "))
    return f"got {show(details['input'])}", _expected(kind, path, details), ""


def _expected(kind: str, path: Path, details: ErrorDetails) -> str:
    if kind == "expected":
        return f"expected {details.get('ctx', {})['expected']}"
    if kind in NOT_A_MAPPING:
        named = kind == "union_tag_not_found" or path[-1:] in [(part,) for part in PARTS]
        example = ", such as {accuracy: 0.02}" if path == ("margin",) else ""
        return "expected a name, or {name: …} with its options" if named else f"expected a mapping{example}"
    if kind in ("tuple_type", "list_type"):
        return "expected a list"
    if kind == "too_short":
        return "expected one entry or more"
    message = details["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _not_a_name(got: Any, allowed: Sequence[str]) -> tuple[str, str, str]:
    return f"got {show(got)}", did_you_mean(str(got), [name.strip(" '") for name in allowed]), ""


def _unknown_key(path: Path, tag: str | None, top: type[Spec]) -> tuple[str, str, str]:
    key, part = str(path[-1]), "".join(map(str, path[-2:-1]))
    found = f'unknown key "{key}"'
    if part in PARTS and tag in PARTS[part]:
        if any(key in spec.model_fields for spec in PARTS[part].values()):
            return f"{key} has no effect with {tag}", "", "delete it"
        return found, did_you_mean(key, PARTS[part][tag].model_fields), ""
    known = _fields_at(top, path[:-1])
    if "base" in known and key in Recipe.model_fields:
        return found, f'did you mean "base.{key}"?', ""
    return found, did_you_mean(key, known), ""


def _fields_at(top: type[Spec], path: Path) -> list[str]:
    """Return the keys that are allowed at `path` below the specification `top`."""
    spec: type[Spec] = top
    for part in path:
        # a key of a mapping or an index of a list, such as an experiment's name, stays in the same specification
        if part in spec.model_fields:
            spec = _spec_inside(spec.model_fields[str(part)].annotation) or spec
    return list(spec.model_fields)


def _spec_inside(annotation: Any) -> type[Spec] | None:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _spec_inside(inner)) is not None:
            return found
    return None
