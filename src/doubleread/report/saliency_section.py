"""Saliency maps as the report and a picture show them: never without those of weights that learned nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from doubleread.images import to_depth
from doubleread.late import late
from doubleread.report.figures import PLAIN
from doubleread.report.thumbnails import thumbnail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

matplotlib = late("matplotlib")
shown = late("doubleread.report.shown")

NO_EVIDENCE = (
    "A map shows where the model's output is sensitive, and is no evidence of what an image shows or why. "
    "Beside it stands the same of weights that never learned anything: where the two agree, the map shows the image or "
    "the architecture."
)
"""Said beside every map."""
HIGH = 0.5
"""From this correlation on a map is said to be mostly not about what was learned."""


class Maps(Protocol):
    """A map and that of untrained weights, (height, width), 0 to 1, with their rank correlation."""

    @property
    def method(self) -> str: ...
    @property
    def trained(self) -> np.ndarray: ...
    @property
    def untrained(self) -> np.ndarray: ...
    @property
    def agreement(self) -> float: ...


class CaseMaps(Protocol):
    """A test case with its maps, the class that they are towards, and the arm that they are of."""

    @property
    def case(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def towards(self) -> str: ...
    @property
    def arm(self) -> str: ...
    @property
    def seeds(self) -> int: ...
    @property
    def pixels(self) -> np.ndarray: ...
    @property
    def saliency(self) -> Maps: ...


def saliency_section(maps: Sequence[CaseMaps]) -> list[dict[str, Any]]:
    """Return what the report shows of maps."""
    return [
        {
            "case": one.case,
            "label": one.label,
            "towards": one.towards,
            "arm": one.arm,
            "seeds": f"{one.seeds} seed" + ("s" if one.seeds > 1 else ""),
            "method": one.saliency.method,
            "image": thumbnail(one.pixels),
            "trained": thumbnail(_grey(one.saliency.trained)),
            "untrained": thumbnail(_grey(one.saliency.untrained)),
            "check": check_text(one.saliency.agreement),
        }
        for one in maps
    ]


def check_text(agreement: float) -> str:
    """Return the sentence of the randomisation check."""
    if math.isnan(agreement):
        return "The check says nothing: one of the maps has one value only."
    text = f"Rank correlation with untrained weights {agreement:.2f}"
    if agreement >= HIGH:
        return f"{text}: this map is mostly about the image or the architecture, and little about what was learned."
    return f"{text}: the map changes where the weights do."


def saliency_figure(pixels: np.ndarray, maps: Maps, title: str, note: str) -> Figure:
    """Return an image, its map and that of untrained weights side by side, with the check's sentence and `note`."""
    panels = (
        ("image", to_depth(pixels, np.dtype(np.uint8))),
        (f"{maps.method}, trained", maps.trained),
        ("the same, untrained", maps.untrained),
    )
    with matplotlib.rc_context(PLAIN):
        figure = shown.ShownFigure(figsize=(8, 3.6), layout="constrained")
        for axes, (name, values) in zip(figure.subplots(1, 3), panels, strict=True):
            low, high = (0, 255) if name == "image" else (0, 1)
            axes.imshow(values, cmap="gray" if name == "image" else "magma", vmin=low, vmax=high)
            axes.set_title(name, fontsize=9)
            axes.set_axis_off()
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        figure.supxlabel(f"{check_text(maps.agreement)}\n{note}", fontsize=7.5, wrap=True)
        return figure


def _grey(values: np.ndarray) -> np.ndarray:
    return np.rint(255 * values).astype(np.uint8)
