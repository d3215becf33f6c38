"""Links lead somewhere: those of the pages beside docs, and every address elsewhere is one of https.

Links between the pages of docs are checked when the documentation is built.
"""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.conftest import ROOT

BESIDE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
EVERY = (*BESIDE, *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))))
OF_THIS_MACHINE = re.compile(r"http://(127\.0\.0\.1|localhost)\b")


def links(text: str) -> list[str]:
    """Return where the links and pictures of a page lead."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    inner = (child for token in tokens for child in token.children or ())
    found = (child.attrGet("href") or child.attrGet("src") for child in inner if child.type in ("link_open", "image"))
    return [str(target) for target in found if target]


@cache
def anchors(path: Path) -> set[str]:
    """Return what the headings of a page are called in links, as GitHub does it."""
    found: dict[str, int] = {}
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    for opened, token in pairwise(tokens):
        if opened.type == "heading_open":
            words = "".join(child.content for child in token.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{i}" if i else slug for slug, n in found.items() for i in range(n + 1)}


def broken(text: str, page: Path) -> list[str]:
    """Return the links of a page that lead to no file, or to no heading of it."""
    found = []
    for link in links(text):
        place, _, anchor = link.partition("#")
        path = (page.parent / place).resolve() if place else page
        if re.match(r"\w+:", link):
            continue
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            found.append(link)
    return found


@pytest.mark.parametrize("name", BESIDE)
def test_every_link_of_a_page_beside_the_documentation_leads_somewhere(name):
    assert broken((ROOT / name).read_text(encoding="utf-8"), ROOT / name) == []


@pytest.mark.parametrize("name", EVERY)
def test_every_address_is_one_of_https(name):
    elsewhere = [link for link in links((ROOT / name).read_text(encoding="utf-8")) if re.match(r"\w+:", link)]
    assert [link for link in elsewhere if not (link.startswith("https://") or OF_THIS_MACHINE.match(link))] == []


def test_a_link_that_leads_nowhere_is_found():
    page = ROOT / "CONTRIBUTING.md"
    text = "[a](README.md#try-it) [b](#set-up) [c](gone.md) [d](README.md#gone) [e](https://example.org/x) ![f](f.png)"
    assert broken(text, page) == ["gone.md", "README.md#gone", "f.png"]


def test_headings_are_called_as_github_calls_them(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("# What `judge` says, and why\n\n## A\n\n## A\n\n## 5 × 5: `a_b`\n")
    assert anchors(path) == {"what-judge-says-and-why", "a", "a-1", "5--5-a_b"}
