"""Libraries that are loaded when something of them is first used, so that the answer to a typo waits for none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


class Late:
    """A module by its name; any attribute is the module's, which is loaded for the first of them, and kept."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found


def late(name: str) -> Any:
    """Return the module of that name, not loaded yet."""
    return Late(name)


def names_of(package: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that loads the module of a name when it is asked for (PEP 562).

    `home` maps each such name to its module.
    """

    def asked_for(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home[name]), name)

    return asked_for
