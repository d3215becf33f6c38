"""Text that Markdown shows as it is, by the parser that builds the documentation and by one of CommonMark."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown import markdown
from markdown_it import MarkdownIt

from doubleread.markdown import escaped, table

ODD = [
    "<script>alert(1)</script>",
    "a_b_c *bold* `code` [link](https://x.org)",
    "# no heading",
    "- no list",
    "1. no list either",
    "0.1 does better than 0.000001",
    "> no quotation",
    "p < .001 & more &amp; less | a bar ~~gone~~ \\ back",
    "two\nlines",
]


def shown(page: str) -> str:
    """Return the text of a page, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


@pytest.mark.parametrize("text", ODD)
def test_it_is_shown_as_it_is(text):
    wanted = " ".join(text.split())
    for page in (markdown(escaped(text)), MarkdownIt().render(escaped(text))):
        assert shown(page) == wanted
        assert set(re.findall(r"<(\w+)", page)) == {"p"}


def test_numbers_and_plain_words_stay_readable():
    for text in ("0.001", "1e-06", "−1.5 to +1.2 points (p .021)", "loss/bce, p < .001"):
        assert escaped(text) == text


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=30))
def test_no_text_makes_a_tag_or_a_cell(text):
    page = markdown("\n".join(table(["a", "b"], [[escaped(text), "end"]])), extensions=["tables"])
    assert set(re.findall(r"<(\w+)", page)) <= {"table", "thead", "tbody", "tr", "th", "td"}
    assert re.findall(r"<td>(.*?)</td>", page)[1:] == ["end"]
