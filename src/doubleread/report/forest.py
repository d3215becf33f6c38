"""The forest plot: every claim's gain with its interval, beside the margin that matters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from doubleread.analysis import ClaimResult
from doubleread.late import late
from doubleread.report.claims import claim_title
from doubleread.stats import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

matplotlib = late("matplotlib")
lines = late("matplotlib.lines")
patches = late("matplotlib.patches")
shown = late("doubleread.report.shown")

# Okabe & Ito's colours, told apart by the colour-blind too; each verdict has a marker of its own as well
COLOURS = {
    Verdict.SUPPORTED: "#0072b2",
    Verdict.CONTRADICTED: "#d55e00",
    Verdict.NOT_SUPPORTED: "#7a5195",
    Verdict.UNDECIDED: "#6b7280",
}
MARKERS = {
    Verdict.SUPPORTED: "o",
    Verdict.CONTRADICTED: "X",
    Verdict.NOT_SUPPORTED: "s",
    Verdict.UNDECIDED: "D",
}
FARTHEST = 8.0
"""Margins to either side that are shown; what reaches beyond ends in an arrow."""
LONGEST = 62
INK, BAND = "#222222", "#e8edf3"


def forest_figure(results: Sequence[ClaimResult]) -> Figure:
    """Return a line for each claim: the gain in the claimed direction in units of the margin, with its 95 % interval.

    Units of the margin put accuracies, losses and seconds on one axis: beyond 1 a gain matters, beyond −1 it is the
    other way round and matters. A claim without an interval has an empty line.
    """
    # a user's label may hold a dollar sign, which is no formula
    plain: Any = {"text.parse_math": False}
    with matplotlib.rc_context(plain):
        return _forest(results)


def _forest(results: Sequence[ClaimResult]) -> Figure:
    figure = shown.ShownFigure(figsize=(9.5, 0.36 * len(results) + 1.5), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-1, 1, color=BAND, zorder=0, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    reach = max((_reach(result) for result in results), default=2.0)
    limit = min(FARTHEST, max(2.0, 1.08 * reach))
    for row, result in enumerate(results):
        _claim(axes, row, result, limit)
    axes.set_xlim(-limit * 1.03, limit * 1.03)
    axes.set_ylim(len(results) - 0.4, -0.6)
    axes.set_yticks(range(len(results)), [_label(result) for result in results], fontsize=8.5)
    axes.set_xlabel("gain in the claimed direction, in margins (band: too small to matter)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(handles=_legend(), loc="outside upper left", ncols=5, frameon=False, fontsize=8.5)
    return figure


def _claim(axes: Axes, row: int, result: ClaimResult, limit: float) -> None:
    if math.isnan(result.estimate.value):
        return
    margin, colour = result.claim.margin, COLOURS[result.verdict]
    gain = result.gain / margin
    if not math.isnan(result.estimate.lo):
        ends = sorted(result.claim.sign * end / margin for end in (result.estimate.lo, result.estimate.hi))
        visible = [max(-limit, min(limit, end)) for end in ends]
        axes.plot(visible, [row, row], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=2)
        for end in (end for end in ends if abs(end) > limit):
            arrow = ">" if end > 0 else "<"
            axes.plot([math.copysign(limit, end)], [row], marker=arrow, color=colour, markersize=8, zorder=3)
    if abs(gain) <= limit:
        axes.plot([gain], [row], marker=MARKERS[result.verdict], color=colour, markersize=6.5, zorder=4)


def _reach(result: ClaimResult) -> float:
    ends = [abs(end) / result.claim.margin for end in (result.estimate.lo, result.estimate.hi)]
    return max((end for end in ends if not math.isnan(end)), default=0.0)


def _label(result: ClaimResult) -> str:
    text = claim_title(result)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _legend() -> list[Any]:
    marks = [
        lines.Line2D([], [], marker=MARKERS[verdict], color=COLOURS[verdict], linewidth=1.8, label=verdict.value)
        for verdict in Verdict
    ]
    return [*marks, patches.Patch(color=BAND, label="within the margin")]
