"""Figures of the gap and of what stands beside it: waterfall, reliability, ROC and precision–recall."""

# R seeds, G points of the grid

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from doubleread.analysis import ArmResult, Gaps, StudyResult
from doubleread.late import late
from doubleread.report.figures import FAINT, INK, PLAIN, VALIDATION
from doubleread.stats import GRID, Gap, curves_of
from doubleread.study import Experiment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

matplotlib = late("matplotlib")
lines = late("matplotlib.lines")
ticker = late("matplotlib.ticker")
shown = late("doubleread.report.shown")

TEST = "#0072b2"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a5195", "#222222")
"""Okabe and Ito's, told apart by the colour-blind too."""
PART_COLOURS = {"leakage": "#009e73", "prevalence": "#56b4e9", "threshold": "#e69f00", "ranking": "#7a5195"}
SHORT = {"leakage": "leak.", "prevalence": "prev.", "threshold": "thresh.", "ranking": "rank."}
DASHES = ("-", "--", "-.", ":")
ACROSS = 3


def waterfall_figure(gaps: Gaps) -> Figure:
    """Return a panel for each arm, and one for their mean: from validation down to test, a step for each part.

    A step's whisker is the 95 % interval of its part.
    """
    panels = [
        *((gap.arm, gap.gap) for gap in gaps.arms),
        *([("mean of the arms", gaps.overall)] if gaps.overall else []),
    ]
    down = -(-len(panels) // ACROSS)
    with matplotlib.rc_context(PLAIN):
        figure = shown.ShownFigure(figsize=(9.5, 2.9 * down), layout="constrained")
        grid: Any = figure.subplots(down, ACROSS, squeeze=False, sharey=True)
        for axes, (name, gap) in zip(grid.flat, panels, strict=False):
            _waterfall(axes, name, gap)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for row in grid:
            row[0].yaxis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))
            row[0].set_ylabel("accuracy")
    return figure


def _waterfall(axes: Axes, name: str, gap: Gap) -> None:
    steps = gap.parts()
    level, place = gap.val.value, 0
    axes.plot([-0.4, 0.4], [level, level], color=VALIDATION, linewidth=3)
    for place, (part, estimate) in enumerate(steps.items(), start=1):
        below = level - estimate.value
        axes.plot([place - 1 + 0.4, place + 0.4], [level, level], color=FAINT, linewidth=0.8, zorder=1)
        axes.bar(place, level - below, bottom=below, width=0.8, color=PART_COLOURS[part], zorder=2)
        if not math.isnan(estimate.lo):
            axes.plot([place, place], [level - estimate.lo, level - estimate.hi], color=INK, linewidth=1, zorder=3)
        label = f"{100 * estimate.value:.1f}".replace("-", "−").replace("−0.0", "0.0")
        top = max(level, below, level - (0 if math.isnan(estimate.lo) else estimate.lo))
        axes.annotate(label, (place, top), (0, 3), textcoords="offset points", ha="center", fontsize=8)
        level = below
    end = place + 1
    axes.plot([place + 0.4, end + 0.4], [level, level], color=FAINT, linewidth=0.8, zorder=1)
    axes.plot([end - 0.4, end + 0.4], [gap.test.value, gap.test.value], color=TEST, linewidth=3)
    labels = [f"val.\n{100 * gap.val.value:.1f}", *(SHORT[part] for part in steps), f"test\n{100 * gap.test.value:.1f}"]
    axes.set_xticks(range(len(labels)), labels, fontsize=7.5)
    axes.tick_params(axis="x", length=0, rotation=0)
    axes.set_title(name, loc="left", fontsize=9)
    axes.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    axes.margins(y=0.14)
    axes.spines[["top", "right"]].set_visible(False)


def reliability_figure(gaps: Gaps) -> Figure:
    """Return the reliability curve of each arm, validation orange and test blue, in ten bins of equal width.

    All seeds of an arm are taken together; the size of a point is the share of the cases in its bin.
    """
    down = -(-len(gaps.arms) // ACROSS)
    with matplotlib.rc_context(PLAIN):
        figure = shown.ShownFigure(figsize=(9.5, 3.0 * down + 0.3), layout="constrained")
        grid: Any = figure.subplots(down, ACROSS, squeeze=False, sharex=True, sharey=True)
        for axes, gap in zip(grid.flat, gaps.arms, strict=False):
            axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, zorder=1)
            for figures, colour, marker in ((gap.val, VALIDATION, "s"), (gap.test, TEST, "o")):
                curve = figures.reliability
                share = curve.cases / curve.cases.sum()
                axes.plot(curve.predicted, curve.observed, color=colour, linewidth=1.2, zorder=2)
                axes.scatter(
                    curve.predicted,
                    curve.observed,
                    s=10 + 160 * share,
                    color=colour,
                    marker=marker,
                    alpha=0.75,
                    zorder=3,
                )
            axes.set_title(gap.arm, loc="left", fontsize=9)
            axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
            axes.spines[["top", "right"]].set_visible(False)
        for axes in grid.flat[len(gaps.arms) :]:
            axes.set_visible(False)
        figure.supxlabel("mean probability", fontsize=9)
        figure.supylabel("share of positive cases", fontsize=9)
        figure.legend(handles=_splits(), loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    return figure


def _splits() -> list[Any]:
    return [
        lines.Line2D([], [], color=VALIDATION, marker="s", label="validation"),
        lines.Line2D([], [], color=TEST, marker="o", label="test"),
    ]


def roc_figure(result: StudyResult, experiment: Experiment) -> Figure:
    """Return ROC and precision–recall curves of an experiment's arms on test, with their validation curves thin.

    A line is the mean over the seeds, its band reaches from the lowest to the highest seed.
    """
    arms = [result.of(arm.name) for arm in experiment.arms]
    with matplotlib.rc_context(PLAIN):
        figure = shown.ShownFigure(figsize=(9.5, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        shares = [float(arm.scores[0].test[0].labels_N.mean()) for arm in arms if arm.done]
        left.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
        for share in set(shares):
            right.axhline(share, color=FAINT, linewidth=1)
        for place, arm in enumerate(arms):
            _curves(left, right, arm, COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)])
        for axes, x, y in ((left, "1 − specificity", "sensitivity"), (right, "sensitivity", "precision")):
            axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
            axes.grid(color=FAINT, linewidth=0.5, alpha=0.5)
            axes.spines[["top", "right"]].set_visible(False)
        left.set_title("ROC", loc="left", fontsize=10)
        right.set_title("precision–recall", loc="left", fontsize=10)
        if shares:
            figure.legend(loc="outside lower center", ncols=min(4, len(arms)), frameon=False, fontsize=9)
        figure.suptitle(experiment.title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure


def _curves(left: Axes, right: Axes, arm: ArmResult, colour: str, dashes: str) -> None:
    if not arm.done:
        return
    n = arm.counts["collapsed"]
    collapsed = f" ({n} of {len(arm.done)} collapsed)" if n else ""
    on_test = curves_of(arm.scores[0].test[0].labels_N, np.stack([run.test[1] for run in arm.scores]))
    for axes, curves_RG in ((left, on_test.roc_RG), (right, on_test.pr_RG)):
        axes.fill_between(GRID, curves_RG.min(axis=0), curves_RG.max(axis=0), color=colour, alpha=0.12, linewidth=0)
        label = f"{arm.arm.label}{collapsed}" if axes is left else None
        axes.plot(GRID, curves_RG.mean(axis=0), color=colour, linestyle=dashes, linewidth=1.8, label=label)
    of_val = [curves_of(cases.labels_N, logits_N[None]) for cases, logits_N in _validation(arm)]
    for axes, curves in ((left, [c.roc_RG for c in of_val]), (right, [c.pr_RG for c in of_val])):
        axes.plot(GRID, np.concatenate(curves).mean(axis=0), color=colour, linestyle=dashes, linewidth=0.7, alpha=0.8)


def _validation(arm: ArmResult) -> Sequence[tuple[Any, np.ndarray]]:
    return [run.val for run in arm.scores if run.val is not None]
