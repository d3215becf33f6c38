"""What it costs to ask more than once: several claims in a study, several looks at a study that grows."""

# M claims, K looks, S studies

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator, PercentFormatter

from doubleread.seeds import stream
from doubleread.stats import ALPHA, Looks, Question, decide, estimate, holm, look_seeds, widened
from tools.pictures.simulated import CASES, gain_of, logits_of
from tools.pictures.style import BLUE, FAINT, INK, ORANGE, canvas

FAMILIES, STUDIES = 2000, 6000
"""How many studies are simulated: each of twenty claims without a difference, each of up to 30 seeds without one."""
GAINS = (0.06, 0.05, 0.04, 0.02, 0.0)
"""The true gains of five recipes over one that all are compared with."""
GROWING = Looks(look_seeds(6, 30))


def several_claims() -> Figure:
    """Return how often nothing is called something among several claims, and Holm's correction of five."""
    title = "Who asks often finds something by chance; Holm's correction takes that back"
    figure, (left, right) = canvas(title, 3.4, 2, width_ratios=(1.0, 1.25))
    _families(left)
    _five(right)
    return figure


def _families(axes: Axes) -> None:
    """Draw the share of studies with a false verdict, against the number of claims in which there is nothing."""
    p_SM = stream("several claims", 0).uniform(size=(FAMILIES, 20))
    sizes = (1, 2, 4, 7, 10, 15, 20)
    alone = [(p_SM[:, :m] < ALPHA).any(axis=1).mean() for m in sizes]
    corrected = [np.mean([min(holm(p_M)) < ALPHA for p_M in p_SM[:, :m]]) for m in sizes]
    axes.plot(sizes, alone, "--s", color=ORANGE, markersize=4.5)
    axes.plot(sizes, corrected, "-o", color=BLUE, markersize=4.5)
    axes.text(11, alone[4] + 0.05, "each by itself", color=ORANGE, ha="right")
    axes.text(20, corrected[-1] + 0.03, "after Holm's correction", color=BLUE, ha="right")
    axes.set_title(f"{FAMILIES:,} studies in which\nnothing differs")
    axes.set_xlabel("claims in the study")
    axes.set_ylabel("studies with a false verdict")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xticks((1, 5, 10, 15, 20))
    axes.set_ylim(0, 0.72)


def _five(axes: Axes) -> None:
    """Draw the p of five claims of one simulated study, alone and corrected."""
    logits_TRN = logits_of(stream("five claims", 0), [0.76, *(0.76 + gain for gain in GAINS)], 10)
    weights = [[-1.0, *(float(k == claim) for k in range(len(GAINS)))] for claim in range(len(GAINS))]
    p_M = [gain_of(logits_TRN, row).p for row in weights]
    order = np.argsort(p_M)
    corrected_M = holm(p_M)
    axes.axvline(ALPHA, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    for row, claim in enumerate(order):
        p, after = p_M[claim], corrected_M[claim]
        axes.plot([p, after], [row, row], color=FAINT, linewidth=2, zorder=1)
        axes.plot([p], [row], "s", color=ORANGE, markersize=6)
        axes.plot([after], [row], "o", color=BLUE, markersize=6.5)
        times = f"× {len(order) - row}" if math.isclose(after, p * (len(order) - row)) else "as above"
        times = "1 at most" if after == 1 and times == "as above" else times
        axes.text(1.6, row, f"{_p(p)} → {_p(after)}  ({times})", va="center", fontsize=8.5)
    axes.set_yticks(range(len(order)), [f"gain {100 * GAINS[claim]:g}" for claim in order])
    axes.set_ylim(len(order) - 0.5, -0.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([0.001, 0.01, 0.05, 1.0]))
    axes.xaxis.set_major_formatter(FixedFormatter([".001", ".01", ".05", "1"]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.spines["bottom"].set_bounds(axes.get_xlim()[0], 1.0)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title("five recipes against one, by their true gain in points:\np of each, and what is left of it")
    axes.set_xlabel("p: square, alone; dot, corrected")


def _p(value: float) -> str:
    return "1" if value == 1 else f"{value:.4f}".lstrip("0") if value < 0.01 else f"{value:.3f}".lstrip("0")


def looking() -> Figure:
    """Return a study that is looked at as it grows, and how often looking finds what is not there."""
    title = "Looking at a growing study is paid for by wider intervals"
    figure, (left, right) = canvas(title, 3.4, 2, width_ratios=(1.25, 1.0))
    _growing(left)
    _false(right)
    return figure


def _growing(axes: Axes) -> None:
    """Draw the intervals of one simulated study at each look, until it is decided."""
    seeds = GROWING.seeds
    logits_TRN = logits_of(stream("looking", 1), (0.80, 0.77), seeds[-1], 2 * CASES)
    axes.axhline(0, color=INK, linewidth=0.9)
    for look, n in enumerate(seeds):
        found = gain_of(logits_TRN[:, :n])
        wide = widened(found, GROWING.level)
        verdict = decide([Question(gains=(wide,), margin=0.02, seeds=n)], GROWING)[0].verdict
        for part, width, colour in ((wide, 2.0, BLUE), (found, 5.0, ORANGE)):
            axes.plot(
                [look, look], [100 * part.lo, 100 * part.hi], color=colour, linewidth=width, solid_capstyle="butt"
            )
        axes.plot([look], [100 * found.value], "o", color="white", markeredgecolor=INK, markersize=5.5)
        axes.text(look, 100 * wide.hi + 0.15, verdict.value, ha="center", va="bottom", fontsize=8.5)
        if verdict.value != "undecided":
            break
    axes.set_xlim(-0.6, look + 0.6)
    axes.margins(y=0.12)
    axes.set_xticks(range(look + 1), [str(n) for n in seeds[: look + 1]])
    axes.set_xlabel("seeds an arm at the look")
    axes.set_ylabel("gain, points")
    axes.set_title(
        "one study, its true gain 3 points (thick: the 95 %\ninterval of this look alone; thin: for all looks together)"
    )


def _false(axes: Axes) -> None:
    """Draw the share of simulated studies without any difference that some look has called one."""
    seeds = GROWING.seeds
    psi_SR = stream("nothing there", 0).normal(size=(STUDIES, seeds[-1]))
    p_SK = np.array([[estimate(psi_R[:n], None).p for n in seeds] for psi_R in psi_SR])
    plain = [(p_SK[:, : k + 1] < ALPHA).any(axis=1).mean() for k in range(len(seeds))]
    paid = [(p_SK[:, : k + 1] < GROWING.level).any(axis=1).mean() for k in range(len(seeds))]
    looks = range(1, len(seeds) + 1)
    axes.plot(looks, plain, "--s", color=ORANGE, markersize=4.5)
    axes.plot(looks, paid, "-o", color=BLUE, markersize=4.5)
    axes.axhline(ALPHA, color=FAINT, linewidth=0.8, zorder=0)
    level = f"{GROWING.level:.4f}".removeprefix("0")
    axes.text(4.9, plain[-1] + 0.004, f"p < .05 at any look: {100 * plain[-1]:.1f} %", color=ORANGE, ha="right")
    axes.text(5.15, 0.021, f"p < {level} at any look: {100 * paid[-1]:.1f} %", color=BLUE, ha="right")
    axes.set_xticks(list(looks), [f"{k}\n({n})" for k, n in zip(looks, seeds, strict=True)])
    axes.set_ylim(0, 0.18)
    axes.set_yticks([0, 0.05, 0.1, 0.15])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlabel("looks so far (seeds)")
    axes.set_ylabel("studies with a false verdict")
    axes.set_title(f"{STUDIES:,} studies in which\nnothing differs")
