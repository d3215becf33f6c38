"""How the pictures look, and how they become files: one width, one palette, equal bytes for equal figures."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito's colours, told apart by the colour-blind too; what has a colour has a marker, a dash or a word as well
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#00785a", "#7a5195", "#6b7280"
INK, FAINT, BAND = "#222222", "#c4c8ce", "#e8edf3"
WIDTH = 7.4
"""Inches: about the width of a page's text."""
LOOK: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "text.parse_math": False,
    "svg.hashsalt": "doubleread",
}


def canvas(title: str, height: float, columns: int = 1, **grid: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of `height` inches that says `title` above its panels, and its panels side by side."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.06, h_pad=0.06, wspace=0.04)
    figure.suptitle(title, x=0.012, ha="left", fontsize=10.5, fontweight="bold")
    panels: Any = figure.subplots(1, columns, squeeze=False, **grid)
    return figure, list(panels[0])


def svg_of(draw: Callable[[], Figure]) -> bytes:
    """Return what is drawn as an SVG file on white, its letters drawn too, so that it looks the same on every machine.

    Coordinates of paths have two decimals: the other four were a third of the file.
    """
    content = io.BytesIO()
    with rc_context(LOOK):
        draw().savefig(content, format="svg", metadata={"Date": None, "Creator": "doubleread: make pictures"})
    return re.sub(rb' d="[^"]*"', lambda path: re.sub(rb"-?\d+\.\d+", _short, path[0]), content.getvalue())


def _short(number: re.Match[bytes]) -> bytes:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".").encode()
