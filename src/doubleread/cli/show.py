"""What several commands print: consoles, JSON, the tables of a study."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from doubleread.analysis import StudyResult
from doubleread.files import user_path
from doubleread.report import words
from doubleread.report.tables import reported_of
from doubleread.study import parse_overrides

WIDE = 128
"""Columns of a terminal at which the tables show every test metric."""


def out() -> Console:
    """Return the console of standard output; a file or a pipe has room for the whole table."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 180)


def err() -> Console:
    """Return the console of standard error, where progress and remarks go."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    print(json.dumps(value, indent=1, allow_nan=False))


def overrides(settings: list[str], data: str | None, seeds: int | None) -> dict[str, Any]:
    """Return what `--set`, `--data` and `--seeds` change, as overrides of the study file."""
    changed = parse_overrides(settings)
    if data is not None:
        path = user_path(data, "--data")
        changed["data.source"] = str(path.resolve()) if path.exists() else data
    if seeds is not None:
        changed["seeds"] = seeds
    return changed


def print_arms(console: Console, result: StudyResult) -> None:
    """Print a table for each experiment: the reported accuracy beside the measured metrics, as many as fit."""
    wide = console.width >= WIDE
    columns = (*words.TEST_COLUMNS, "val_accuracy") if wide else ("accuracy", "auroc", "val_accuracy")
    for experiment in result.study.experiments:
        table = Table(title=experiment.title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
        for name in ("arm", "seeds", "reported", *(words.column_name(metric) for metric in columns), "runs"):
            table.add_column(name, justify="left" if name in ("arm", "runs") else "right", no_wrap=name != "runs")
        for arm in (result.of(arm.name) for arm in experiment.arms):
            reported = reported_of(result, arm).get("accuracy")
            cells = [words.spread_cell(metric, arm.spreads[metric]) if arm.done else "–" for metric in columns]
            flags = ", ".join(flag.text for flag in words.flags_of(arm))
            said = words.reported_text("accuracy", reported) if reported else "–"
            table.add_row(Text(arm.arm.label), str(len(arm.done)), said, *cells, Text(flags))
        console.print(table)
        console.print()
