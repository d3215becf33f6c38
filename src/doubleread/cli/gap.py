"""The gap and the audit on the terminal."""

from __future__ import annotations

import math

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from doubleread.analysis import Audited, Gaps, StudyResult
from doubleread.dataset.audit import Finding
from doubleread.report.gaps import beside_sentences, gap_sentence, leakage_note, points, suspects_text
from doubleread.stats import PARTS, Estimate, Gap

STYLES = {"error": "bold red", "warning": "bold magenta", "note": "bold"}
SHOWN = 3
"""Examples of a finding, and cases of an example, that are printed; `--json` has all."""


def print_gaps(console: Console, result: StudyResult) -> None:
    """Print every arm's gap in its parts, then what it is made of and what stands beside it."""
    gaps = result.gaps
    if not gaps.arms:
        return
    print_gap_table(console, gaps)
    for text in _sentences(gaps):
        console.print(Padding(Text(text), (0, 0, 0, 2)))
    notes = [note for note in [leakage_note(result)] if note]
    for audit in result.audits:
        notes += suspects_text(audit)
    for note in notes:
        console.print(Padding(Text(note), (0, 0, 0, 2)))
    console.print()


def print_gap_table(console: Console, gaps: Gaps) -> None:
    """Print a line for each arm: validation, test, the gap and its parts in points of accuracy."""
    named: list[tuple[str, Gap]] = [(gap.arm, gap.gap) for gap in gaps.arms]
    if gaps.overall is not None:
        named.append(("mean of the arms", gaps.overall))
    parts = [part for part in PARTS if any(getattr(gap, part) is not None for _, gap in named)]
    table = Table(title="Why test differs from validation (points of accuracy, 95 % intervals)",
                  title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))  # fmt: skip
    for name in ("arm", "val. %", "test %", "gap", *parts, "verdict"):
        table.add_column(name, justify="left" if name in ("arm", "verdict") else "right", no_wrap=name == "arm")
    for name, gap in named:
        cells = [_cell(gap.gap), *(_cell(getattr(gap, part)) for part in parts)]
        verdict = gap.verdict.kind if gap.verdict.kind != "mostly" else f"mostly {gap.verdict.parts[0]}"
        table.add_row(Text(name), f"{100 * gap.val.value:.1f}", f"{100 * gap.test.value:.1f}", *cells, verdict)
    console.print(table)


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    value, _, interval = points(estimate).partition(" points")
    plain = math.isnan(estimate.lo) or estimate.lo == estimate.hi
    return value if plain else f"{value}\n{interval.strip(' ()')}"


def _sentences(gaps: Gaps) -> list[str]:
    if gaps.overall is not None:
        return [f"Over the arms: {gap_sentence(gaps.overall)}"]
    if len(gaps.arms) == 1:
        only = gaps.arms[0]
        return [gap_sentence(only.gap), *beside_sentences(only)]
    return [f"{gap.arm}: {gap_sentence(gap.gap)}" for gap in gaps.arms]


def print_audit(console: Console, audit: Audited) -> None:
    """Print what the audit of a prepared set found, each with its first cases and what to do."""
    if not audit.findings:
        console.print("audit: nothing was found")
        return
    console.print("audit", style="bold")
    for finding in audit.findings:
        _print_finding(console, finding)


def _print_finding(console: Console, finding: Finding) -> None:
    head = Text.assemble((finding.level, STYLES[finding.level]), f"  {finding.kind}: {finding.text}")
    console.print(Padding(head, (0, 0, 0, 2)))
    for example in finding.examples[:SHOWN]:
        cases = ", ".join(example.cases[:SHOWN])
        more = f" and {len(example.cases) - SHOWN} more" if len(example.cases) > SHOWN else ""
        text = f"{cases}{more} ({example.note})" if cases else example.note
        console.print(Padding(Text(text, style="dim"), (0, 0, 0, 6)))
    if len(finding.examples) > SHOWN:
        more = Text(f"and {len(finding.examples) - SHOWN:,} more; --json lists all", style="dim")
        console.print(Padding(more, (0, 0, 0, 6)))
    console.print(Padding(Text(f"to do: {finding.advice}"), (0, 0, 0, 4)))
