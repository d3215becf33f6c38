"""The gap and the audit on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from doubleread.analysis import Audited, Gaps, StudyResult
from doubleread.dataset.audit import Finding
from doubleread.report.gaps import beside_sentences, gap_sentence, leakage_note, suspects_text, tenths, verdict_text
from doubleread.stats import PARTS, Estimate, Gap

STYLES = {"error": "bold red", "warning": "bold magenta", "note": "bold"}
SHOWN = 3
"""Examples of a finding, and cases of an example, that are printed; `--json` has all."""


def print_gaps(console: Console, gaps: Gaps, notes: Sequence[str] = ()) -> None:
    """Print every arm's gap in its parts, what it is made of, and `notes` of what else is known, if there is one."""
    if not gaps.arms:
        return
    console.print(_gap_table(gaps))
    for text in [*_sentences(gaps), *notes]:
        console.print(Padding(Text(text), (0, 0, 0, 2)))
    console.print()


def notes_of(result: StudyResult) -> list[str]:
    """Return what is known of a study's gap beyond its runs: what was not measured, what the audits found."""
    found = [text for audit in result.audits for text in suspects_text(audit)]
    return [*filter(None, [leakage_note(result)]), *found]


def _gap_table(gaps: Gaps) -> Table:
    """Return a line for each arm: validation, test, the gap and its parts in points of accuracy."""
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
        ends = [f"{100 * end.value:.1f}" for end in (gap.val, gap.test)]
        table.add_row(Text(name), *ends, *cells, verdict_text(gap))
    return table


def _cell(estimate: Estimate | None) -> str:
    return "–" if estimate is None else "\n".join(filter(None, tenths(estimate)))


def _sentences(gaps: Gaps) -> list[str]:
    if gaps.overall is not None:
        return [f"Over the arms: {gap_sentence(gaps.overall)}"]
    if len(gaps.arms) == 1:
        only = gaps.arms[0]
        return [gap_sentence(only.gap), *beside_sentences(only)]
    return [f"{gap.arm}: {gap_sentence(gap.gap)}" for gap in gaps.arms]


def print_audit(console: Console, audit: Audited) -> None:
    """Print cases, sizes and medians of each split and class, and each finding with its first cases and what to do."""
    console.print(_summary_table(audit))
    if not audit.findings:
        sealed = "; of the sealed test images it says nothing but what is in two splits" if audit.sealed else ""
        console.print(f"audit: nothing was found{sealed}")
        return
    console.print("audit", style="bold")
    for finding in audit.findings:
        _print_finding(console, finding)


def _summary_table(audit: Audited) -> Table:
    table = Table(box=None, padding=(0, 2))
    shown = ("mean", "sd", "border", "sharpness")
    for name in ("split", "class", "cases", "subjects", "size", "mode", *shown):
        table.add_column(name, justify="left" if name in ("split", "class", "mode") else "right")
    for row in audit.summary:
        size = f"{row.medians['width']:.0f} × {row.medians['height']:.0f}"
        medians = [f"{row.medians[name]:.3g}" for name in shown]
        cells = [row.split, Text(row.class_name), f"{row.cases:,}", f"{row.subjects:,}", size, ", ".join(row.modes)]
        table.add_row(*cells, *medians)
    return table


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
