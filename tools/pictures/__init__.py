"""The pictures of the explanation shelf, drawn from the product's own functions: `make pictures` writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from tools.pictures.chance import one_run_each, two_sources
from tools.pictures.code import layers, way_of_a_run
from tools.pictures.deciding import smallest_difference, verdicts
from tools.pictures.several import looking, several_claims
from tools.pictures.style import svg_of

FOLDER = Path(__file__).parent.parent.parent / "docs" / "images"
PICTURES: dict[str, Callable[[], Figure]] = {
    "one-run-each": one_run_each,
    "two-sources": two_sources,
    "verdicts": verdicts,
    "smallest-difference": smallest_difference,
    "several-claims": several_claims,
    "looking": looking,
    "layers": layers,
    "way-of-a-run": way_of_a_run,
}
"""What draws each picture, by the name of its file."""


def drawn(name: str) -> bytes:
    """Return the SVG of one picture; it is the same each time that it is drawn by the same versions."""
    return svg_of(PICTURES[name])
