"""A figure that shows itself in a notebook; in a module of its own, for it cannot be made without matplotlib."""

from __future__ import annotations

from matplotlib.figure import Figure

from doubleread.report.figures import rendered


class ShownFigure(Figure):
    """A figure that a notebook shows by itself, whether or not it has been told how to draw matplotlib's."""

    def _repr_png_(self) -> bytes:
        return rendered(self, "png")
