"""The curve of a learning-rate range test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doubleread.late import late
from doubleread.report.figures import FAINT, INK, PLAIN, TRAINING, VALIDATION
from doubleread.training.range_test import RangeTest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

matplotlib = late("matplotlib")
shown = late("doubleread.report.shown")


def range_figure(found: RangeTest, arm: str) -> Figure:
    """Return loss by rate: each step a dot, the smoothed loss a line, the suggestion marked."""
    with matplotlib.rc_context(PLAIN):
        figure = shown.ShownFigure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        axes.scatter(found.rates_S, found.losses_S, s=10, color=FAINT, linewidths=0, label="each step")
        axes.plot(found.rates_S, found.smoothed_S, color=TRAINING, linewidth=1.8, label="smoothed")
        if found.suggestion is not None:
            axes.axvline(found.suggestion, color=VALIDATION, linewidth=1.2)
            axes.annotate(
                f"suggested {found.suggestion:.1e}",
                (found.suggestion, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(4, -4),
                textcoords="offset points",
                va="top",
                color=INK,
            )
        axes.set_xscale("log")
        axes.set_ylim(0, 1.6 * max(found.smoothed_S[0], found.smoothed_S.min()))
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss")
        axes.set_title(arm, loc="left", fontsize=11, fontweight="bold")
        axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower left")
        return figure
