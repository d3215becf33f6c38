"""Verdicts on the terminal: claims first, with what each verdict means."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from doubleread.analysis import ClaimResult, Registration, Setting
from doubleread.report.claims import claim_statement, claim_title, estimate_text, registration_lines, settings_text
from doubleread.report.sentences import notes, sentence
from doubleread.report.words import p_text

STYLES = {"supported": "bold blue", "contradicted": "bold red", "not supported": "bold magenta", "undecided": "bold"}


def print_claims(console: Console, results: Sequence[ClaimResult], settings: Sequence[Setting] = ()) -> None:
    """Print the primary claims with their sentences, then the secondary ones as a table."""
    for result in results:
        if result.claim.role == "primary":
            _print_claim(console, result, settings)
    secondary = [result for result in results if result.claim.role == "secondary"]
    if secondary:
        console.print(_table(secondary))
        console.print()


def print_registration(console: Console, kept: Registration | None) -> None:
    """Say it where the claims are not those that were made before the runs."""
    for line in registration_lines(kept) if kept is not None else []:
        console.print(line)


def _print_claim(console: Console, result: ClaimResult, settings: Sequence[Setting]) -> None:
    verdict = result.verdict.value
    qualifier = f" ({result.decision.qualifier})" if result.decision.qualifier else ""
    head = Text.assemble((verdict.upper(), STYLES[verdict]), (qualifier, "dim"), f"  {claim_title(result)}")
    console.print(head)
    tried = settings_text(result, settings)
    for line in [sentence(result), *notes(result), *([tried] if tried else [])]:
        console.print(Padding(Text(line), (0, 0, 0, 2)))
    console.print()


def _table(results: Sequence[ClaimResult]) -> Table:
    table = Table(title="Secondary claims", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in ("claim", "verdict", "difference (95 % interval)", "Holm p", "seeds"):
        table.add_column(name, no_wrap=name in ("Holm p", "seeds"))
    for result in results:
        qualifier = f", {result.decision.qualifier}" if result.decision.qualifier else ""
        table.add_row(
            Text(claim_statement(result)),
            Text(result.verdict.value + qualifier, style=STYLES[result.verdict.value]),
            estimate_text(result),
            p_text(result.decision.p_holm),
            str(len(result.seeds)),
        )
    return table
