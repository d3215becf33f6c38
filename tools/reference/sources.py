"""What the source says of fields: the text below each, or below the type that several share."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from functools import cache
from types import ModuleType

import doubleread.recipe
import doubleread.study

PACKAGES = (doubleread.recipe, doubleread.study)
"""Where the types are that several fields share."""


def meaning_of(spec: type, field: str) -> str:
    """Return what stands below a field in its class, or below the type that its annotation names.

    Raises:
        LookupError: neither says anything.
    """
    for holder in spec.__mro__:
        written = _annotations(holder).get(field) if "doubleread" in holder.__module__ else None
        if written is None:
            continue
        annotation, text = written
        if text or annotation in _shared():
            return text or _shared()[annotation]
    raise LookupError(f"{spec.__module__}.{spec.__name__}.{field} has no meaning; write one below it, as a string")


def summary_of(documented: object) -> str:
    """Return the docstring of a class or function up to what it raises, without line breaks in a paragraph."""
    text = inspect.getdoc(documented) or ""
    return "\n\n".join(" ".join(part.split()) for part in text.partition("Raises:")[0].strip().split("\n\n"))


@cache
def _annotations(spec: type) -> dict[str, tuple[str, str]]:
    """Return of each field that a class itself has its annotation and what stands below it."""
    (tree,) = ast.parse(inspect.getsource(spec)).body
    assert isinstance(tree, ast.ClassDef)
    return {name: (annotation, text) for name, annotation, text in _assigned(tree.body)}


@cache
def _shared() -> dict[str, str]:
    """Return what stands below each type of the packages, by its name."""
    found = {}
    for package in PACKAGES:
        modules = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        for module in (package, *(importlib.import_module(info.name) for info in modules)):
            found |= {name: text for name, _, text in _assigned(_tree(module).body) if text and name[0].isupper()}
    return found


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _assigned(body: list[ast.stmt]) -> list[tuple[str, str, str]]:
    """Return the name, the annotation and the string below it of each assignment, empty where there is none."""
    found = []
    for node, below in zip(body, [*body[1:], None], strict=True):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name):
            annotation = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
            found.append((target.id, annotation, _string(below)))
    return found


def _string(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""
