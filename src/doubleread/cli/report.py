"""`report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from doubleread import model_file
from doubleread.analysis import StudyResult
from doubleread.api import find_study, open_results
from doubleread.cli.arms import print_result
from doubleread.cli.compare import print_comparison
from doubleread.cli.overrides import overrides
from doubleread.cli.show import err, out, print_json
from doubleread.errors import UserError
from doubleread.files import check_folder, check_target
from doubleread.report import (
    arms_json,
    audit_json,
    claims_json,
    comparison_json,
    comparison_section,
    gap_json,
    save_figures,
    words,
    write_markdown,
    write_page,
    write_tables,
)
from doubleread.store import open_store

if TYPE_CHECKING:
    from doubleread.model_file import CaseMap


def _maps(result: StudyResult, store: Path, method: str) -> tuple[CaseMap, ...]:
    with open_store(store) as opened:
        return model_file.maps_of_worst(result, opened, method)


def report_command(
    name: str,
    seeds: int | None,
    store: Path,
    html: Path | None,
    figures: Path | None,
    tables: Path | None,
    markdown: Path | None,
    unseal: bool,
    other: str | None,
    explain: str | None,
    as_json: bool,
) -> None:
    """Print the verdicts and tables of a study, with `other` beside it; write what is asked for."""
    if html is not None:
        check_target(html, "--html")
    elif explain is not None:
        raise UserError("--explain", "it has no effect without --html", "", "add --html FILE")
    for option, folder in (("--figures", figures), ("--tables", tables), ("--markdown", markdown)):
        if folder is not None:
            check_folder(folder, option)
    result = open_results(find_study(name, store, overrides([], None, seeds)), store=store, unseal=unseal).result
    beside = open_results(find_study(other, store), store=store).result if other is not None else None
    if beside is not None and beside.study.name == result.study.name:
        raise UserError("--compare", f"{other} is the study itself", "expected another study")
    written = []
    if html is not None:
        maps = _maps(result, store, explain) if explain is not None else ()
        write_page([result] if beside is None else [result, beside], html, compare=beside is not None, maps=maps)
        written.append(html)
    if figures is not None:
        written += save_figures(result, figures)
    if tables is not None:
        written += write_tables(result, tables)
    if markdown is not None:
        written += write_markdown(result, markdown)
    if as_json:
        claims = claims_json(result.claims, result.settings)
        print_json(
            {
                "study": result.study.name,
                "sealed": result.sealed,
                "unsealings": list(result.unsealings),
                "arms": arms_json(result),
                "claims": claims,
                "gap": gap_json(result.gaps),
                "audit": [audit_json(audit) for audit in result.audits],
                "compare": comparison_json(result, beside) if beside is not None else None,
            }
        )
        return
    print_result(out(), result)
    if beside is not None:
        print_comparison(out(), comparison_section(result, beside))
    out().print(words.INTENDED_USE)
    for path in written:
        err().print(f"wrote {path}", soft_wrap=True)
