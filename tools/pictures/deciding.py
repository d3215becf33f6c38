"""What an interval decides: the verdicts beside 0 and the margin, and the smallest difference that a study detects."""

# R seeds, N images

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, ScalarFormatter

from doubleread.report.forest import COLOURS, MARKERS
from doubleread.seeds import stream
from doubleread.stats import Estimate, Question, decide, detectable, seeds_needed, widened
from tools.pictures.simulated import CASES, gain_of, logits_of
from tools.pictures.style import BAND, BLUE, GREEN, GREY, INK, ORANGE, PURPLE, canvas

MARGIN = 0.02
MIDDLE = 0.80
STUDIES = (
    (0.045, 10, 1600),
    (0.009, 40, 12000),
    (0.0, 20, 6400),
    (-0.008, 10, 1200),
    (0.02, 10, 400),
    (-0.045, 10, 1600),
)
"""The true gain, the seeds and the test images of simulated studies, one for each verdict."""
SIZES = ((100, ORANGE, ":", "D"), (400, PURPLE, "--", "s"), (1600, BLUE, "-", "o"), (6400, GREEN, "-.", "^"))
SEEDS = (6, 8, 10, 15, 20, 30, 50, 100, 200)


def verdicts() -> Figure:
    """Return simulated studies, one for each verdict: the intervals of the gain beside 0 and the margin."""
    figure, (axes,) = canvas("A verdict is where the interval lies: off 0, or short of the margin", 3.5)
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color=BAND, zorder=0, linewidth=0)
    axes.plot([0, 0], [len(STUDIES), -0.45], color=INK, linewidth=0.9, zorder=1)
    for row, (gain, seeds, cases) in enumerate(STUDIES):
        _study(axes, row, _simulated(gain, seeds, cases), seeds, cases)
    axes.set_ylim(len(STUDIES) - 0.4, -1.0)
    axes.set_xlim(-7.2, 7.2)
    for x, text in ((-4.6, "a loss that matters"), (0, "too small to matter"), (4.6, "a gain that matters")):
        axes.text(x, -0.72, text, ha="center", va="center", color=GREY, fontsize=8.5)
    axes.set_xlabel("gain in the claimed direction, points of accuracy; the margin is 2 points")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(handles=_legend(), loc="outside lower left", ncols=3)
    return figure


def _simulated(gain: float, seeds: int, cases: int) -> Estimate:
    rng = stream("verdicts", 0, str(gain), seeds, cases)
    return gain_of(logits_of(rng, (MIDDLE + gain / 2, MIDDLE - gain / 2), seeds, cases))


def _study(axes: Axes, row: int, found: Estimate, seeds: int, cases: int) -> None:
    decision = decide([Question(gains=(found,), margin=MARGIN, seeds=seeds)])[0]
    colour = COLOURS[decision.verdict]
    for level, width in ((0.05, 1.4), (0.10, 4.2)):
        part = widened(found, level)
        axes.plot([100 * part.lo, 100 * part.hi], [row, row], color=colour, linewidth=width, solid_capstyle="butt")
    axes.plot(
        [100 * found.value], [row], MARKERS[decision.verdict], color=colour, markersize=8, markeredgecolor="white"
    )
    qualifier = f",\n{decision.qualifier}" if decision.qualifier else ""
    axes.text(7.4, row, f"{decision.verdict}{qualifier}", color=colour, va="center", fontweight="bold")
    axes.text(-7.4, row, f"{seeds} seeds,\n{cases:,} images", color=GREY, va="center", ha="right", fontsize=8)
    axes.set_yticks([])


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=INK, linewidth=1.4, label="95 % interval: is it off 0?"),
        Line2D([], [], color=INK, linewidth=4.2, label="90 % interval: is it short of the margin?"),
    ]


def smallest_difference() -> Figure:
    """Return the smallest detectable difference against seeds, for several sizes of the test set, and their floors."""
    title = "More seeds help until the floor, and only more test images lower the floor"
    figure, (axes,) = canvas(title, 3.7)
    spread, images = _parts()
    for cases, colour, dash, marker in SIZES:
        part = images * CASES / cases
        mdd = [100 * detectable(spread, part, seeds) for seeds in SEEDS]
        floor = 100 * detectable(spread, part, 1_000_000)
        axes.plot(SEEDS, mdd, dash, marker=marker, markersize=4.5, color=colour)
        axes.plot([215, 330], [floor, floor], color=colour, linewidth=3, solid_capstyle="butt")
        needed = seeds_needed(spread, part, MARGIN)
        enough = f"2 points from {needed} seeds on" if needed is not None else "2 points with no number of seeds"
        # the two lowest floors are closer than two lines of text
        place = floor + {1600: 0.12, 6400: -0.22}.get(cases, 0.0)
        axes.text(345, place, f"{cases:,} test images:\n{enough}", color=colour, va="center", fontsize=8.5)
    axes.axhline(100 * MARGIN, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), xmax=0.78)
    axes.text(6, 100 * MARGIN - 0.12, "the margin, 2 points", va="top", fontsize=8.5)
    axes.text(266, 6.45, "floor", ha="center", color=GREY, fontsize=8.5)
    axes.set_xscale("log")
    axes.set_xlim(5.6, 900)
    axes.set_ylim(0, 7.6)
    axes.set_xticks(SEEDS)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    axes.spines["bottom"].set_bounds(5.6, 200)
    axes.set_xlabel("seeds an arm")
    axes.xaxis.set_label_coords(0.33, -0.1)
    axes.set_ylabel("smallest detectable difference, points")
    return figure


def _parts() -> tuple[float, float]:
    """Return the variance of the difference over seeds and the images' part, means over simulated studies."""
    rng = stream("smallest difference", 0)
    found = [gain_of(logits_of(rng, (MIDDLE + MARGIN / 2, MIDDLE - MARGIN / 2), 10)) for _ in range(100)]
    return 10 * sum(e.seed_var for e in found) / len(found), sum(e.case_var for e in found) / len(found)
