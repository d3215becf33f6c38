"""Checks command lines without running them: commands, options, targets, extras and files that they name."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import PurePath
from typing import Any

from typer.main import get_command

from doubleread.cli import app
from tests.conftest import ROOT

ONLY_CHECKED = (r"make\b", r"(\S*/)?pip3? ", r"git clone ", r"(\S*/)?python3?(\.\d+)? -m venv ", r"source \S*activate")
"""Lines that would install or build something."""
BEFORE = ("time", "nohup", "taskset", "srun")
ENDS = set("|&;()<>")


def is_only_checked(line: str) -> bool:
    """Return whether a line is one of those that no test runs."""
    words = re.sub(r"^(\s*\w+=\S+)+\s+", "", line).strip()
    return any(re.match(pattern, words) for pattern in ONLY_CHECKED)


def wrong_in_shell(text: str) -> list[str]:
    """Return what is wrong with the commands in a block of shell."""
    return [problem for words in commands_in(text) for problem in _wrong(words)]


def commands_in(text: str) -> Iterator[list[str]]:
    """Yield the words of each simple command, without variables that are set before it."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*_words(line), ";"]:
            if not set(word) <= ENDS:
                words.append(word)
                continue
            if words := _without_variables(words):
                yield words
            words = []


def wrong_options(words: list[str]) -> list[str]:
    """Return what is wrong with the words after `doubleread`: a command or an option that there is not."""
    known, name = tree(), "doubleread"
    while isinstance(known, dict):
        if not words or words[0].startswith("-"):
            return [f"{name} has no option {one}" for one in words if one not in ("--help", "--version")]
        if re.fullmatch(r"[A-Z]+", words[0]):  # any of them
            return []
        if words[0] not in known:
            return [f"{name} has no command {words[0]}; it has {', '.join(known)}"]
        name, known, words = f"{name} {words[0]}", known[words[0]], words[1:]
    given = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return [f"{name} has no option {one}; it has {', '.join(sorted(known))}" for one in given if one not in known]


def options_of(command: str) -> set[str]:
    """Return the options of a command, such as `data phantom`."""
    known = tree()
    for word in command.split():
        known = known[word]
    return known


def commands() -> Iterator[str]:
    """Yield every command by the words that call it."""
    for word, below in tree().items():
        yield from (f"{word} {inner}" for inner in below) if isinstance(below, dict) else [word]


@cache
def tree() -> Any:
    """Return the commands, `{word: {word: …, or the options}}`, as the program has them."""
    return _below(get_command(app))


def _below(command: Any) -> Any:
    if hasattr(command, "commands"):
        return {name: _below(inner) for name, inner in command.commands.items()}
    options = (name for one in command.params for name in (*one.opts, *one.secondary_opts))
    return {"--help", *(name for name in options if name.startswith("-"))}


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError as error:
        raise ValueError(f"{error}: {line}") from error


def _without_variables(words: list[str]) -> list[str]:
    while words and (re.match(r"\w+=", words[0]) or words[0] == "export"):
        words = words[1:]
    return words


def _wrong(words: list[str]) -> list[str]:
    program = PurePath(words[0]).name
    if program in BEFORE:
        at = next((i for i, word in enumerate(words) if PurePath(word).name == "doubleread"), None)
        return [] if at is None else _wrong(words[at:])
    if program == "doubleread":
        return wrong_options(words[1:])
    if program == "make":
        return [f"there is no make {one}" for one in words[1:] if "=" not in one and one not in targets()]
    if program in ("pip", "pip3"):
        return _wrong_extras(words)
    if program == "pytest":
        return [f"there is no {one}" for one in words[1:] if "/" in one and not (ROOT / one).exists()]
    # a command in quotes, for another machine
    return [problem for word in words[1:] if "doubleread " in word for problem in wrong_in_shell(word)]


def _wrong_extras(words: list[str]) -> list[str]:
    asked = (found[1] for word in words if (found := re.search(r"\[([\w,-]+)\]$", word)))
    return [f"there is no extra {one}" for group in asked for one in group.split(",") if one not in extras()]


@cache
def targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def extras() -> set[str]:
    """Return the extras of the package."""
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
