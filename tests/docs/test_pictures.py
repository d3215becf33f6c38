"""The pictures of the documentation are those that the code draws today."""

import re
import sys

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT))
from tools.pictures import FOLDER, PICTURES, drawn
from tools.pictures.code import ACROSS, imported

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
NAMED = re.compile(r"\b[a-z][0-9a-f]{10}\b")
"""Names that matplotlib makes of what they stand for: another last bit, another name."""
NEAR = 0.05
"""Points of 1/72 inch: far below what can be seen, far above what another processor's last bits move."""


def parts_of(svg: bytes) -> tuple[list[str], list[float]]:
    """Return the text of a picture without its numbers, and its numbers."""
    text = NAMED.sub("", svg.decode())
    return NUMBER.split(text), [float(number) for number in NUMBER.findall(text)]


@pytest.mark.parametrize("name", PICTURES)
def test_drawn_again_it_is_the_file(name):
    words, numbers = parts_of(drawn(name))
    there_words, there_numbers = parts_of((FOLDER / f"{name}.svg").read_bytes())
    assert words == there_words, f"docs/images/{name}.svg is not what the code draws; make pictures"
    assert numbers == pytest.approx(there_numbers, abs=NEAR), f"docs/images/{name}.svg: make pictures"


def test_drawn_twice_it_is_the_same_to_the_byte():
    assert drawn("several-claims") == drawn("several-claims")


def test_pictures_hold_no_date_and_nothing_of_the_machine():
    for name in PICTURES:
        content = (FOLDER / f"{name}.svg").read_text()
        assert "<dc:date>" not in content
        assert str(ROOT) not in content


def test_every_place_in_the_picture_of_the_layers_is_that_of_a_package():
    assert set(ACROSS) <= set(imported())
