"""Where chance comes from: one run of each recipe, and the two sources, seeds and test images."""

# T recipes, R seeds, N images, D test sets

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from doubleread.seeds import stream
from doubleread.stats import Estimate, order_shown
from tools.pictures.simulated import CASES, accuracies_of, gain_of, logits_of, scored, strengths
from tools.pictures.style import BAND, BLUE, FAINT, GREEN, GREY, INK, ORANGE, PURPLE, canvas

BETTER, WORSE = 0.80, 0.79
SPREADS = ((0.02, GREEN, "-", "o"), (0.05, PURPLE, "--", "s"), (0.2, ORANGE, ":", "D"))
"""How much seeds differ, as noise of a run's strength, with a line and a marker for each."""
GAPS = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06)


def one_run_each() -> Figure:
    """Return how often one run each shows the worse recipe ahead."""
    figure, (left, right) = canvas("One run each: the worse recipe is often ahead", 3.3, 2)
    _two_recipes(left)
    for noise, colour, dash, marker in SPREADS:
        shares, spread = zip(*(_upset(noise, gap) for gap in GAPS), strict=True)
        label = f"{np.mean(spread):.1f} points"
        points = [100 * gap for gap in GAPS]
        right.plot(points, shares, dash, marker=marker, markersize=4.5, color=colour, label=label)
    right.axhline(0.5, color=FAINT, linewidth=0.8, zorder=0)
    right.text(6.0, 0.505, "a coin", color=GREY, fontsize=8, ha="right", va="bottom")
    right.set_xlabel("true difference between the recipes, points")
    right.set_ylabel("pairs of runs with the worse one ahead")
    right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    right.set_ylim(0, 0.55)
    right.set_xlim(0, 6.2)
    right.set_title("so often, by how far they truly differ\nand how much a recipe's seeds differ (SD)")
    right.legend(loc="upper right", bbox_to_anchor=(1.0, 0.9))
    return figure


def _two_recipes(axes: Axes) -> None:
    """Draw 30 runs of each of two recipes on one test set."""
    theta_TR = accuracies_of(logits_of(stream("one run each", 1), (BETTER, WORSE), 30))
    for row, (runs_R, colour, marker) in enumerate(zip(theta_TR, (BLUE, ORANGE), ("o", "s"), strict=True)):
        # runs of one accuracy stand beside each other
        beside = [int((runs_R[:i] == value).sum()) for i, value in enumerate(runs_R)]
        axes.plot(100 * runs_R, 1 - row + 0.1 * np.array(beside), marker, color=colour, markersize=4.5, alpha=0.9)
        axes.plot([100 * runs_R.mean()] * 2, [1 - row - 0.16, 1 - row - 0.05], color=INK, linewidth=1.6)
        axes.text(
            100 * runs_R.mean(), 1 - row - 0.18, f"mean {100 * runs_R.mean():.1f} %", ha="center", va="top", size=8
        )
    worse = order_shown(theta_TR[1], theta_TR[0])
    axes.set_title(f"30 runs each, one test set: {100 * worse:.0f} % of the\npairs have the worse recipe ahead")
    axes.set_yticks([1, 0], [f"better,\ntruly {100 * BETTER:.0f} %", f"worse,\ntruly {100 * WORSE:.0f} %"])
    axes.set_ylim(-0.45, 1.6)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"test accuracy of a run on {CASES} images, %")


def _upset(noise: float, gap: float) -> tuple[float, float]:
    """Return the share of pairs of runs with the worse recipe ahead, and the SD of a recipe's runs in points."""
    # the same draws for every gap: what is left between them is the gap
    rng = stream("worse one ahead", 0, str(noise))
    found = [accuracies_of(logits_of(rng, (BETTER, BETTER - gap), 4, noise=noise)) for _ in range(200)]
    shares = [order_shown(theta_TR[1], theta_TR[0]) for theta_TR in found]
    spread = [theta_TR.std(axis=1, ddof=1).mean() for theta_TR in found]
    return float(np.mean(shares)), 100 * float(np.mean(spread))


def two_sources() -> Figure:
    """Return what another seed does, what other test images do, and what pairing takes away."""
    title = "Seeds and test images both move a score; the same images for both recipes cancel"
    figure, (seeds, images, bars) = canvas(title, 3.3, 3, width_ratios=(1.05, 1.25, 1.0))
    rng = stream("two sources", 1)
    strength_TR = strengths(rng, (BETTER, BETTER - 0.03), 10, 0.05)
    logits_TRN = scored(rng, strength_TR)
    theta_TR = accuracies_of(logits_TRN)
    means_DT = np.array([accuracies_of(scored(rng, strength_TR)).mean(axis=1) for _ in range(12)])
    for axes, values_XT, what in ((seeds, theta_TR.T, "seed"), (images, means_DT, "set of 400 test images")):
        for column, (colour, marker) in enumerate(((BLUE, "o"), (ORANGE, "s"))):
            axes.plot(range(len(values_XT)), 100 * values_XT[:, column], "-", marker=marker, markersize=4, color=colour,
                      linewidth=1.1, label=("recipe A", "recipe B")[column])  # fmt: skip
        axes.set_xlabel(what)
        axes.set_xticks(range(0, len(values_XT), 3))
    low = 100 * min(theta_TR.min(), means_DT.min()) - 1
    high = 100 * max(theta_TR.max(), means_DT.max()) + 1
    for axes in (seeds, images):
        axes.set_ylim(low, high)
    seeds.set_ylabel("test accuracy, %")
    seeds.set_title("10 seeds on one test set:\neach run moves by itself")
    images.set_title("the same runs, 12 test sets:\nall runs move together")
    images.legend(loc="lower right", ncols=2, columnspacing=1.0, handlelength=1.4)
    _variances(bars)
    return figure


def _variances(axes: Axes) -> None:
    """Draw the variance of the difference with each recipe on images of its own, and with both on the same."""
    rng = stream("pairing", 0)
    together, first, second = [], [], []
    for _ in range(100):
        logits_TRN = logits_of(rng, (BETTER, BETTER - 0.03), 10)
        for found, weights in ((together, (1.0, -1.0)), (first, (1.0, 0.0)), (second, (0.0, 1.0))):
            found.append(gain_of(logits_TRN, weights))
    rows = {
        "each recipe\non images\nof its own": [x + y for x, y in zip(_parts(first), _parts(second), strict=True)],
        "both on the\nsame images": _parts(together),
    }
    for row, (seed_var, case_var) in enumerate(rows.values()):
        a, b = 1e4 * seed_var, 1e4 * case_var
        axes.bar(row, a, 0.55, color=PURPLE, label="seeds" if row == 0 else None)
        axes.bar(row, b, 0.55, bottom=a, color=BAND, edgecolor=GREY, hatch="///", label="images" if row == 0 else None)
        axes.text(row, a + b, f"SE {math.sqrt(a + b):.1f}\npoints", ha="center", va="bottom", fontsize=8.5)
    axes.set_xticks(range(2), list(rows))
    axes.set_ylabel("variance of A − B, points²")
    axes.set_ylim(0, 1.35 * sum(1e4 * part for part in next(iter(rows.values()))))
    axes.set_title("the same images for both:\nmost of their part cancels")
    axes.legend(loc="upper right", handlelength=1.4)


def _parts(found: list[Estimate]) -> tuple[float, float]:
    """Return the seeds' and the images' part of the variance, means over simulated studies."""
    return float(np.mean([e.seed_var for e in found])), float(np.mean([e.case_var for e in found]))
