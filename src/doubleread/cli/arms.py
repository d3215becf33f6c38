"""A study on the terminal: verdicts and tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from doubleread.analysis import ArmResult, StudyResult
from doubleread.cli.gap import notes_of, print_gaps
from doubleread.cli.verdicts import print_claims, print_registration
from doubleread.report import words
from doubleread.report.tables import reported_of

WIDE = 128
"""Columns of a terminal at which the tables show every test metric."""


def print_result(console: Console, result: StudyResult) -> None:
    """Print a study's verdicts, its arms, and why validation and test differ."""
    print_registration(console, result.registration)
    if (said := words.seal_text(result)) is not None:
        console.print(said)
    if result.claims:
        print_claims(console, result.claims, result.settings)
    print_arms(console, result)
    print_gaps(console, result.gaps, notes_of(result))


def _ensemble_cell(arm: ArmResult, metric: str) -> str:
    found = arm.ensemble.get(metric)
    return "–" if found is None else words.value_text(metric, found.value).removesuffix(f" {words.unit(metric)}")


def print_arms(console: Console, result: StudyResult) -> None:
    """Print a table for each experiment: the reported accuracy beside the measured metrics, as many as fit."""
    columns = words.scored_columns(result)
    if not result.sealed:
        columns = (*columns, "val_accuracy") if console.width >= WIDE else (*columns[:2], "val_accuracy")
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
            if any(metric in arm.ensemble for metric in columns):
                averaged = [_ensemble_cell(arm, metric) for metric in columns]
                table.add_row(Text("  averaged"), "", "", *averaged, Text("the seeds as one predictor"), style="dim")
        console.print(table)
        console.print()
