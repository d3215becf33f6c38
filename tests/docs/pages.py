"""Reads a page of the documentation into its blocks, each with what the comments before it ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

LANGUAGES = ("sh", "python", "yaml", "json", "text")
ALLOWED = {
    "file": ("yaml", "python", "text", "json"),
    "quicker": ("sh",),
    "where": ("sh", "python"),
    "ends with": ("sh",),
    "not run": ("sh", "python", "yaml"),
    "printed": ("text",),
    "part of": ("yaml",),
    "edit": ("yaml",),
    "site file": ("yaml",),
    "claims file": ("yaml",),
}
"""What may stand in a comment before a block, and before blocks of which languages.

- `file: NAME`: the block is written to that file.
- `quicker: OPTIONS WORD=OTHER …`: options that are added to the commands that have them, and words that become others,
  so that a test takes seconds.
- `where: NAME=VALUE …`: what a word of it stands for.
- `ends with: CODE`: the exit code, if it is not 0.
- `not run: REASON`: only checked.
- `printed`, `printed: shape`: what was run just before has printed this; with `shape` whatever the numbers are.
- `printed: trained`: the same, what a training gave; another processor rounds otherwise, and gives other numbers and
  perhaps other verdicts, so it is compared only with `DOUBLEREAD_PAGES=full`.
- `part of: KEY`: valid below that key of a study file; `part of: study`: its keys are those of a study file.
- `edit: NAME`: the same, and it is merged into that study file before the next commands.
- `site file`, `claims file`: a whole file of that kind.
"""
WITHOUT_VALUE = ("site file", "claims file")
CHOICES = {"printed": ("", "shape", "trained")}
COMMENT = re.compile(r"<!--\s*([^:]*?)\s*(?::\s*(.*?))?\s*-->", re.DOTALL)


class PageError(Exception):
    """A page does not keep to the rules; says the page, the line and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced block: its language, its text, the line of its fence, the comments before it."""

    line: int
    language: str
    text: str
    asked: dict[str, str]
    generated: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page: what its folder holds at the start, its blocks, the commands that are named between them."""

    name: str
    given: tuple[str, ...]
    blocks: tuple[Block, ...]
    named: tuple[tuple[int, str], ...]


def read_page(path: Path, name: str | None = None) -> Page:
    """Return the page in a file.

    Raises:
        PageError: a fence without a language, a comment that is not known or belongs to no block.
    """
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    reader = _Reader(name or path.name)
    for token in tokens:
        reader.take(token)
    reader.end()
    return Page(name=reader.name, given=tuple(reader.given), blocks=tuple(reader.blocks), named=tuple(reader.named))


class _Reader:
    """Goes through the tokens of a page, and keeps the comments until their block comes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.given: list[str] = []
        self.blocks: list[Block] = []
        self.named: list[tuple[int, str]] = []
        self.asked: dict[str, str] = {}
        self.line = 0
        self.generated = False

    def take(self, token: Token) -> None:
        self.line = token.map[0] + 1 if token.map else self.line
        if token.type == "html_block":
            for line, what, value in _comments(token.content, self.line):
                self._comment(line, what, value)
        elif token.type == "fence":
            self._fence(token)
        elif token.type == "code_block":
            raise self._error(self.line, "a block without a fence; fence it and name its language")
        elif token.type == "inline":
            self._no_block(self.line)
            self.named += [(self.line, text) for text in _commands(token)]

    def end(self) -> None:
        self._no_block(self.line)
        if self.generated:
            raise self._error(self.line, "a generated part without <!-- end -->")

    def _comment(self, line: int, what: str, value: str) -> None:
        if what == "given":
            self.given += re.split(r"[,\s]+", value)
        elif what == "generated":
            self.generated = True
        elif what == "end":
            self.generated = False
        elif what not in ALLOWED:
            raise self._error(line, f'unknown comment "{what}"; known are given, {", ".join(ALLOWED)}')
        elif what in CHOICES and value not in CHOICES[what]:
            raise self._error(line, f'{what}: got "{value}"; expected {" or ".join(filter(None, CHOICES[what]))}')
        elif what not in CHOICES and bool(value) == (what in WITHOUT_VALUE):
            raise self._error(line, f"{what} takes no value" if value else f"{what} without a value; write it after :")
        else:
            self.asked[what] = value

    def _fence(self, token: Token) -> None:
        language = token.info.strip()
        if language not in LANGUAGES:
            found = f'the language "{language}"' if language else "a fence without a language"
            raise self._error(self.line, f"{found}; expected {', '.join(LANGUAGES)}")
        for what in self.asked:
            if language not in ALLOWED[what]:
                raise self._error(self.line, f"{what} has no effect on {language}; delete it")
        self.blocks.append(
            Block(line=self.line, language=language, text=token.content, asked=self.asked, generated=self.generated)
        )
        self.asked = {}

    def _no_block(self, line: int) -> None:
        if self.asked:
            raise self._error(line, f"no block follows the comment {', '.join(self.asked)}")

    def _error(self, line: int, text: str) -> PageError:
        return PageError(f"{self.name}:{line}: {text}")


def _comments(html: str, line: int) -> Iterator[tuple[int, str, str]]:
    for found in COMMENT.finditer(html):
        yield line + html.count("\n", 0, found.start()), found[1], found[2] or ""


def _commands(token: Token) -> Iterator[str]:
    for inner in token.children or ():
        if inner.type == "code_inline" and re.match(r"doubleread [a-zA-Z-]", inner.content):
            yield inner.content
