"""The code in pictures: its layers with their real imports, and the way of a run from study file to verdict."""

from __future__ import annotations

import ast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from tests.test_layers import FILES, LAYERS, imports_of, package_of
from tools.pictures.style import BAND, BLUE, GREEN, GREY, INK, ORANGE, canvas

BOX = 0.5
"""Height of a box; a layer is 1 high."""
ACROSS = {
    "cli": 6.0,
    "api": 4.6,
    "server": 7.0,
    "model_file": 0.9,
    "report": 5.6,
    "tracking": 9.2,
    "runner": 3.4,
    "analysis": 7.8,
    "worker": 2.2,
    "engines": 3.8,
    "store": 5.6,
    "training": 1.6,
    "dataset": 5.2,
    "study": 8.4,
    "models": 1.0,
    "recipe": 3.8,
    "images": 6.2,
    "stats": 8.8,
    "files": 3.3,
    "metrics": 6.85,
    "disk": 0.5,
    "errors": 1.98,
    "late": 3.46,
    "markdown": 4.94,
    "nouns": 6.42,
    "processes": 7.9,
    "seeds": 9.38,
}
"""How far to the right each box stands, so that no line passes behind another box. Layers and lines are the code's."""


def imported() -> dict[str, set[str]]:
    """Return which packages and modules of the first level each of them imports, as the source says."""
    found: dict[str, set[str]] = {}
    for path in FILES:
        mine = package_of(path)
        names = [name.split(".") for _, name in imports_of(ast.parse(path.read_text(encoding="utf-8")))]
        others = {parts[1] for parts in names if parts[0] == "doubleread" and len(parts) > 1}
        found.setdefault(mine, set()).update(others - {mine})
    return {name: found[name] for layer in LAYERS for name in sorted(layer)}


def direct(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that do not follow from others: a name is left out where another import leads to it."""
    reached: dict[str, set[str]] = {}
    # from the lowest layer up: what is imported has been looked at before
    for name, mine in imports.items():
        reached[name] = mine.union(*(reached[other] for other in mine))
    return {
        name: {other for other in mine if not any(other in reached[between] for between in mine)}
        for name, mine in imports.items()
    }


def layers() -> Figure:
    """Return every package in its layer, with a line to each that it imports directly.

    Lines to the two lowest layers are left out: almost every package has some.
    """
    figure, (axes,) = canvas("Imports point down: a package uses only what stands below it", 6.6)
    common = LAYERS[0] | LAYERS[1]
    edges = {name: others - common for name, others in direct(imported()).items()}
    places = _places()
    for level in range(len(LAYERS)):
        axes.axhspan(level - 0.42, level + 0.42, color=BAND if level % 2 == 0 else "white", linewidth=0)
        axes.text(-0.35, level, str(level), color=GREY, ha="right", va="center")
    for name, others in edges.items():
        for other in sorted(others):
            _line(axes, places[name], places[other])
    for name, place in places.items():
        _box(axes, place, name, GREY if name in common else BLUE)
    axes.set_xlim(-0.8, 10.2)
    axes.set_ylim(-0.6, len(LAYERS) - 0.4)
    axes.axis("off")
    return figure


def _places() -> dict[str, tuple[float, float]]:
    """Return where each box stands; what has no place of its own stands where its layer has room."""
    places: dict[str, tuple[float, float]] = {}
    for level, names in enumerate(LAYERS):
        free = [x / 2 for x in range(1, 20) if all(abs(x / 2 - ACROSS.get(name, 99)) >= 1.5 for name in names)]
        for name in sorted(names):
            places[name] = (ACROSS[name] if name in ACROSS else free.pop(0), float(level))
    return places


def _box(axes: Axes, place: tuple[float, float], text: str, colour: str) -> None:
    _framed(axes, place, (1.36, BOX), text, colour, 9)


def _framed(
    axes: Axes, place: tuple[float, float], size: tuple[float, float], text: str, colour: str, font: float
) -> None:
    (x, y), (width, height) = place, size
    box = FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.1", facecolor="white",
        edgecolor=colour, linewidth=1.2, zorder=3,
    )  # fmt: skip
    axes.add_patch(box)
    axes.text(x, y, text, ha="center", va="center", zorder=4, fontsize=font)


def _line(axes: Axes, above: tuple[float, float], below: tuple[float, float]) -> None:
    arrow = FancyArrowPatch(
        (above[0], above[1] - BOX / 2), (below[0], below[1] + BOX / 2), arrowstyle="-|>", mutation_scale=7,
        color=GREY, linewidth=0.8, shrinkA=0, shrinkB=0, zorder=2, alpha=0.75,
    )  # fmt: skip
    axes.add_patch(arrow)


LANES = (
    (3.0, "driver\nholds the lock, writes\nthe database", BLUE),
    (2.0, "worker\none process for one\nrun (on the CPU)", ORANGE),
    (1.0, "disk\nthe store, ./runs", GREY),
    (0.0, "any reader\nany number of them,\nno lock", GREEN),
)
STEPS = {
    "read": (0.0, 3.0, "read study\nfile, images"),
    "plan": (1.0, 3.0, "plan: what\nis missing?"),
    "hand": (2.0, 3.0, "hand out runs\nto the engine"),
    "take": (4.0, 3.0, "rename folder,\nthen write rows"),
    "train": (2.45, 2.0, "train, leave\ncheckpoints"),
    "score": (3.45, 2.0, "score val, test\nin fp32"),
    "data": (0.0, 1.0, "data/<hash>/\nprepared set"),
    "planned": (1.0, 1.0, "store.sqlite\nplanned runs"),
    "attempt": (2.95, 1.0, "artifacts/\n<run>.attempt-1/"),
    "run": (4.15, 1.0, "artifacts/<run>/\nand its rows"),
    "metrics": (4.15, 0.0, "logits →\nmetrics"),
    "contrast": (3.0, 0.0, "contrast over\nseeds, images"),
    "decide": (1.85, 0.0, "Holm,\nverdict"),
    "report": (0.7, 0.0, "report, pages,\ntables"),
}
"""What happens on the way of a run: how far to the right, in which lane, in which words."""
WAY = (
    *(("read", "plan"), ("plan", "hand"), ("read", "data"), ("plan", "planned"), ("hand", "train"), ("train", "score")),
    *(("train", "attempt"), ("score", "attempt"), ("score", "take"), ("attempt", "run"), ("take", "run")),
    *(("data", "train"), ("run", "metrics"), ("metrics", "contrast"), ("contrast", "decide"), ("decide", "report")),
)


def way_of_a_run() -> Figure:
    """Return the way of a run from study file to verdict, and who writes what."""
    figure, (axes,) = canvas("The way of a run: three kinds of process, one folder, one writer of the database", 4.2)
    colours = {height: colour for height, _, colour in LANES}
    for height, name, colour in LANES:
        axes.axhspan(height - 0.46, height + 0.46, color=BAND if height % 2 == 1 else "white", linewidth=0)
        head, _, rest = name.partition("\n")
        axes.text(-1.62, height + 0.2, head, color=colour, fontweight="bold", va="center", fontsize=8.5)
        axes.text(-1.62, height - 0.12, rest, color=INK, va="center", fontsize=7.5)
    for start, end in WAY:
        _step(axes, start, end, colours)
    for x, height, words in STEPS.values():
        _framed(axes, (x, height), (0.92, 0.5), words, colours[height], 7.2)
    axes.set_xlim(-1.68, 4.72)
    axes.set_ylim(-0.5, 3.5)
    axes.axis("off")
    return figure


def _step(axes: Axes, start: str, end: str, colours: dict[float, str]) -> None:
    """Draw an arrow in the colour of who acts; what is read from the disk in that of the disk."""
    (x, y, _), (to_x, to_y, _) = STEPS[start], STEPS[end]
    if y == to_y:
        ends = (x + 0.46 * (1 if to_x > x else -1), y), (to_x + 0.46 * (1 if x > to_x else -1), to_y)
    else:
        down = 1 if y > to_y else -1
        ends = (x, y - 0.25 * down), (to_x, to_y + 0.25 * down)
    arrow = FancyArrowPatch(
        *ends, arrowstyle="-|>", mutation_scale=8, color=colours[y], linewidth=1.1, shrinkA=0, shrinkB=0, zorder=2
    )
    axes.add_patch(arrow)
