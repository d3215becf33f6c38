"""The commands as the program itself declares them: what each does, its arguments and options, its exit codes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from doubleread.cli import app
from doubleread.markdown import escaped, table
from tools.reference.fields import NOTHING, cell, code

HEADS = ("argument or option", "meaning", "default")
SEE = {
    "reproduce": "[both reports, judged](../reports/index.md)",
    "run": "[more than one machine](../how-to/clusters.md), [runs in a tracker](../how-to/tracking.md)",
    "check": "[the audit](../explanation/gap.md#the-audit)",
    "lr": "[a rate to start from](recipes.md#a-rate-to-start-from)",
    "status": "[nothing is lost](../explanation/reliability.md)",
    "report": "[report and pages](../how-to/pages.md), [the statistics](../explanation/statistics.md),"
    " [the gap](../explanation/gap.md), [maps of the worst cases](../how-to/models.md#explain),"
    " [sealed test images](recipes.md#sealed-test-images)",
    "track": "[runs in a tracker](../how-to/tracking.md)",
    "judge": "[a file of claims](study-file.md#a-file-of-claims-alone)",
    "new": "[the study file](study-file.md), [images](../how-to/images.md)",
    "export": "[a model to take away](../how-to/models.md)",
    "predict": "[a model to take away](../how-to/models.md)",
    "explain": "[what its pictures mean](../how-to/models.md#explain)",
    "serve": "[web pages](../how-to/pages.md), [a model over HTTP](../how-to/models.md#over-http)",
    "data phantom": "[its knobs](study-file.md#the-phantom)",
    "data describe": "[images](../how-to/images.md)",
    "data fetch": "[public sets](../how-to/fetching.md)",
}
"""Where more is said of a command."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """An argument or an option: how it is written, what it means, what it is where it is left out."""

    written: str
    argument: bool
    required: bool
    meaning: str
    default: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command: the words that call it, the paragraphs of its help, its exit codes, its parameters."""

    name: str
    says: tuple[str, ...]
    exits: str
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        """How it is called: what it must be told, then that there are options."""
        told = [one.written for one in self.parameters if one.argument]
        needed = [one.written for one in self.parameters if one.required and not one.argument]
        return " ".join(["doubleread", self.name, *told, *needed, "[OPTIONS]"])


def commands() -> list[Command]:
    """Return every command in the order of the help, those below `data` too."""
    return list(_below(app, ""))


def list_of_commands(_name: str) -> list[str]:
    """Return a table of every command and the first sentence of its help."""
    rows = [[f"[`{one.name}`](#{one.name.replace(' ', '-')})", cell(escaped(one.says[0]))] for one in commands()]
    return table(("command", "does"), rows)


def all_commands(_name: str) -> list[str]:
    """Return a section for each command."""
    return [line for command in commands() for line in _section(command)]


def _below(group: typer.Typer, above: str) -> Iterator[Command]:
    for found in group.registered_commands:
        assert found.callback is not None, "a command has a function"
        yield _command(above + (found.name or found.callback.__name__), found.callback, found.epilog or "")
    for inner in group.registered_groups:
        assert inner.typer_instance is not None, "a group has commands"
        yield from _below(inner.typer_instance, f"{above}{inner.name} ")


def _command(name: str, function: Any, exits: str) -> Command:
    hints = get_type_hints(function, include_extras=True)
    given = inspect.signature(function).parameters
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return Command(
        name=name,
        says=tuple(" ".join(text.split()) for text in paragraphs),
        exits=exits,
        parameters=tuple(_parameter(one, hints[one.name]) for one in given.values()),
    )


def _parameter(one: inspect.Parameter, hint: Any) -> Parameter:
    assert get_origin(hint) is Annotated, f"{one.name} says what it is"
    kind, info = get_args(hint)
    assert isinstance(info, ArgumentInfo | OptionInfo), f"{one.name} is an argument or an option"
    required = one.default is inspect.Parameter.empty
    flag = kind is bool
    value = "" if flag else info.metavar or ("PATH" if kind is Path else "VALUE")
    several = " (may be given several times)" if get_origin(kind) is list and isinstance(info, OptionInfo) else ""
    return Parameter(
        written=" ".join(filter(None, [_flag(info), value])),
        argument=isinstance(info, ArgumentInfo),
        required=required,
        meaning=f"{(info.help or '').removesuffix('.')}{several}.{_bounds(info)}",
        default="required" if required else _default(one.default),
    )


def _flag(info: ArgumentInfo | OptionInfo) -> str:
    """Return what an option begins with; Typer takes the first text for a default until it builds the command."""
    names = [info.default, *(info.param_decls or ())]
    return next((name for name in names if isinstance(name, str) and name.startswith("--")), "")


def _bounds(info: ArgumentInfo | OptionInfo) -> str:
    if info.max is not None:
        return f" From {info.min} to {info.max}."
    return f" At least {info.min}." if info.min else ""


def _default(value: Any) -> str:
    if value is None or value is False or value == []:
        return NOTHING
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _section(command: Command) -> list[str]:
    rows = [[code(one.written), cell(escaped(one.meaning)), one.default] for one in command.parameters]
    more = [
        f"{escaped(command.exits)} See also {SEE[command.name]}." if command.name in SEE else escaped(command.exits)
    ]
    return [
        f"## {command.name}",
        "",
        *[line for text in command.says for line in (escaped(text), "")],
        *["```text", command.usage, "```", ""],
        *table(HEADS, rows),
        *["", *more, ""],
    ]
