"""Figures from finished numbers: curves in the reports' layout, and the arms beside what was reported."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from doubleread.analysis import ArmResult, StudyResult
from doubleread.late import late
from doubleread.report import words
from doubleread.report.tables import reported_of
from doubleread.study import Experiment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

matplotlib = late("matplotlib")
lines = late("matplotlib.lines")
ticker = late("matplotlib.ticker")
shown = late("doubleread.report.shown")

TRAINING, VALIDATION = "#1f77b4", "#e8710a"
INK, FAINT = "#222222", "#bbbbbb"
# a user's label may hold a dollar sign, which is no formula
PLAIN: Any = {"text.parse_math": False}
MOST_LINES = 100
PANELS = (("accuracy", "train_accuracy", "val_accuracy"), ("loss", "train_loss", "val_loss"))


def curves_figure(result: StudyResult, experiment: Experiment, most_lines: int = MOST_LINES) -> Figure:
    """Return one row for each arm, (a) accuracy and (b) loss; training blue, validation orange.

    The line is the mean over the seeds, the band reaches from the lowest to the highest seed, each seed is a thin
    line, up to `most_lines` of them. Rows share their axes, so arms compare at a glance.
    """
    with matplotlib.rc_context(PLAIN):
        return _curves(result, experiment, most_lines)


def _curves(result: StudyResult, experiment: Experiment, most_lines: int) -> Figure:
    arms = [result.of(arm.name) for arm in experiment.arms]
    figure = shown.ShownFigure(figsize=(9, 2.6 * len(arms) + 0.6), layout="constrained")
    grid: Any = figure.subplots(len(arms), 2, squeeze=False, sharex=True, sharey="col")
    for row, arm in enumerate(arms):
        for column, (what, train, val) in enumerate(PANELS):
            axes = grid[row, column]
            _curve(axes, arm, train, TRAINING, most_lines)
            _curve(axes, arm, val, VALIDATION, most_lines)
            _dress(axes, what, _letter(2 * row + column), arm)
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    figure.legend(handles=_curve_legend(), loc="outside upper right", ncols=2, frameon=False)
    figure.suptitle(experiment.title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    _limit_loss(grid[:, 1], arms)
    return figure


def arms_figure(result: StudyResult, metric: str = "accuracy") -> Figure:
    """Return a metric of every arm, the highest mean first: each seed a dot, the mean with its interval, the reported
    number a diamond.
    """
    with matplotlib.rc_context(PLAIN):
        return _arms(result, metric)


def _arms(result: StudyResult, metric: str) -> Figure:
    # arms without a finished run come last
    arms = sorted(result.arms, key=lambda arm: -arm.spreads[metric].mean if arm.done else math.inf)
    figure = shown.ShownFigure(figsize=(9, 0.42 * len(arms) + 1.3), layout="constrained")
    axes = figure.subplots()
    for row, arm in enumerate(arms):
        if arm.done:
            values = arm.spreads[metric].values
            broken = [run.health["collapsed"] for run in arm.done]
            axes.scatter(values, [row] * len(values), s=26, color=TRAINING, alpha=0.55, linewidths=0, zorder=2)
            collapsed = [v for v, b in zip(values, broken, strict=True) if b]
            axes.scatter(collapsed, [row] * len(collapsed), s=40, color=INK, marker="x", linewidths=1.2, zorder=3)
            spread = arm.spreads[metric]
            axes.plot([spread.mean] * 2, [row - 0.3, row + 0.3], color=INK, linewidth=1.6, zorder=4)
            if not math.isnan(spread.lo):
                axes.plot([spread.lo, spread.hi], [row, row], color=INK, linewidth=1.2, zorder=4)
        reported = reported_of(result, arm).get(metric)
        if reported is not None and reported.value is not None:
            axes.scatter([reported.value], [row], s=52, marker="D", facecolors="none", edgecolors=VALIDATION, zorder=5)
    axes.set_yticks(range(len(arms)), [arm.arm.name for arm in arms])
    axes.invert_yaxis()
    if metric in words.PERCENT:
        axes.xaxis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))
    axes.set_xlabel(words.LABELS[metric])
    axes.grid(axis="x", color=FAINT, linewidth=0.5, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(handles=_arm_legend(), loc="outside upper right", ncols=4, frameon=False, fontsize=9)
    return figure


def lay_out(figure: Figure) -> None:
    """Give every axis of a figure its place for good; each of several files would work it out again, twice as long."""
    # with an engine, even that of no layout, every file is drawn twice; and a user's settings may ask for one
    with matplotlib.rc_context(PLAIN | {"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.draw_without_rendering()
        figure.set_layout_engine(None)


def rendered(figure: Figure, kind: str, *, transparent: bool = False) -> bytes:
    """Return a figure as the bytes of a png, svg or pdf file; equal figures give equal bytes."""
    content = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    # without a salt of its own, every SVG would get random names inside
    with matplotlib.rc_context({"svg.hashsalt": "doubleread"}):
        figure.savefig(content, format=kind, dpi=150, metadata=metadata, transparent=transparent)
    return content.getvalue()


def embedded(figure: Figure) -> str:
    """Return a figure as an SVG file in base64, to stand inside a page.

    Letters are left to the reader's fonts and coordinates have two decimals: drawn letters and the other four were
    half of the file.
    """
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        drawn = rendered(figure, "svg", transparent=True)
    # inside tags alone: what stands between them is text, a rate of 0.001 too
    short = re.sub(rb"<[^>]*>", lambda tag: re.sub(rb"(\.\d\d)\d+", rb"\1", tag[0]), drawn)
    return base64.b64encode(short).decode()


def _curve(axes: Axes, arm: ArmResult, key: str, colour: str, most_lines: int) -> None:
    if not arm.done:
        return
    curves = [np.array([epoch[key] for epoch in run.epochs]) for run in arm.done]
    # runs that stop early end on their own; a mean of those that are left would be of another sort of run
    shortest = min(len(curve) for curve in curves)
    values_RE = np.array([curve[:shortest] for curve in curves])
    epochs = np.arange(1, shortest + 1)
    # more lines than these are one colour, and megabytes
    for values in curves if len(curves) <= most_lines else []:
        axes.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=0.5, alpha=0.35)
    axes.fill_between(epochs, values_RE.min(axis=0), values_RE.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    axes.plot(epochs, values_RE.mean(axis=0), color=colour, linewidth=1.8)


def _dress(axes: Axes, what: str, letter: str, arm: ArmResult) -> None:
    axes.set_ylabel(what)
    axes.set_title(f"({letter}) {arm.arm.label}", loc="left", fontsize=10)
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    if what == "accuracy":
        axes.yaxis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))
    states = ("collapsed", "diverged", "failed", "interrupted")
    notes = [f"{arm.counts[state]} {state}" for state in states if arm.counts[state]]
    if notes and what == "accuracy":
        axes.text(0.98, 0.04, ", ".join(notes), transform=axes.transAxes, ha="right", fontsize=8, color=INK)


def _limit_loss(column: Sequence[Axes], arms: Sequence[ArmResult]) -> None:
    """Cut the loss axis where one wild epoch would flatten every other curve, and say so."""
    losses = [e[key] for arm in arms for run in arm.done for e in run.epochs for key in ("train_loss", "val_loss")]
    if not losses:
        return
    usual, highest = float(np.quantile(losses, 0.98)), max(losses)
    for axes in column:
        axes.set_ylim(0, 1.15 * (usual if highest > 3 * usual else highest))
    if highest > 3 * usual:
        column[0].set_title(f"axis cut, highest {highest:.3g}", loc="right", fontsize=8, color=INK)


def _letter(number: int) -> str:
    """Return a, b, … z, aa, ab, …"""
    first, last = divmod(number, 26)
    return (chr(ord("a") + first - 1) if first else "") + chr(ord("a") + last)


def _curve_legend() -> list[Any]:
    return [
        lines.Line2D([], [], color=TRAINING, label="training"),
        lines.Line2D([], [], color=VALIDATION, label="validation"),
    ]


def _arm_legend() -> list[Any]:
    return [
        lines.Line2D([], [], marker="o", linestyle="", color=TRAINING, alpha=0.55, label="one seed"),
        lines.Line2D([], [], marker="x", linestyle="", color=INK, label="collapsed seed"),
        lines.Line2D(
            [], [], marker="|", linestyle="-", color=INK, markersize=12, linewidth=1.2, label="mean, 95 % interval"
        ),
        lines.Line2D([], [], marker="D", linestyle="", markerfacecolor="none", color=VALIDATION, label="reported"),
    ]
