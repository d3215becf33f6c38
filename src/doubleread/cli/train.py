"""`run` and `reproduce`."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doubleread.analysis import StudyResult
from doubleread.api import find_study, open_results, train
from doubleread.cli.arms import print_result
from doubleread.cli.overrides import overrides
from doubleread.cli.show import err, out, print_json
from doubleread.errors import UserError, WorkFailed
from doubleread.files import check_target
from doubleread.nouns import State
from doubleread.report import save_figures, words, write_page, write_tables
from doubleread.runner import Counts, How, Progress
from doubleread.store import open_store
from doubleread.study import Study, load_study

if TYPE_CHECKING:
    # loaded by those alone that ask for it
    from doubleread.tracking import Following

MOST_NAMED = 10
REPORTS = {"a": ("report-a",), "b": ("report-b",), "all": ("report-a", "report-b")}


def run_command(
    name: str,
    data: str | None,
    seeds: int | None,
    how: How,
    store: Path,
    settings: list[str],
    as_json: bool,
    tracking: Following | None = None,
) -> None:
    """Train a study, print its verdicts and tables; with `tracking`, its runs are sent on as they finish."""
    study = find_study(name, store, overrides(settings, data, seeds))
    counts = _train(study, store, how, tracking)
    if as_json:
        print_json(_summary(study, store, None, counts))
    elif counts.done or counts.diverged:
        print_result(out(), open_results(study, store=store).result)
        then = f"doubleread report {study.name} --store {shlex.quote(str(store))} --html report.html"
        out().print(f"{_counted(counts)}\nnext: {then}", soft_wrap=True)
    for line in tracking.lines(study.name, store) if tracking is not None else ():
        err().print(f"{study.name}: {line}", soft_wrap=True)
    _end(counts, study, store)


def reproduce_command(
    which: str,
    data: str | None,
    seeds: int | None,
    how: How,
    store: Path,
    html: Path | None,
    settings: list[str],
    as_json: bool,
) -> None:
    """Train the studies of the reports, write tables, figures and one report of them."""
    if which not in REPORTS:
        raise UserError("reproduce", f'got "{which}"', "expected a, b or all")
    changed = overrides(settings, data, seeds)
    # all of them are read before anything trains: a mistake in the second must not wait for the first
    studies = [load_study(name, overrides=changed) for name in REPORTS[which]]
    page = html or store / "reports" / ("report-a-and-b.html" if which == "all" else f"report-{which}.html")
    if html is not None:
        check_target(html, "--html")
    results: list[StudyResult] = []
    summaries: list[dict[str, Any]] = []
    every: list[Counts] = []
    for study in studies:
        source = study.data.source
        if (source.get("name") if isinstance(source, dict) else source) == "phantom":
            err().print(f"{study.name}: {words.SYNTHETIC}")
        counts = _train(study, store, how)
        every.append(counts)
        summaries.append(_summary(study, store, page, counts))
        if not counts.finished:
            if as_json:
                print_json(summaries if which == "all" else summaries[0])
            _end(counts, study, store)
        results.append(open_results(study, store=store).result)
    _write(results, store, page)
    if as_json:
        print_json(summaries if which == "all" else summaries[0])
    else:
        for result, counts in zip(results, every, strict=True):
            out().print(f"{result.study.name}: {_counted(counts)}\n")
            print_result(out(), result)
        out().print(f"{words.INTENDED_USE}\nreport: {page}", soft_wrap=True)
    for study, counts in zip(studies, every, strict=True):
        _end(counts, study, store)


def _train(study: Study, store: Path, how: How, tracking: Following | None = None) -> Counts:
    with (
        Progress(err(), study.name) as show,
        tracking.during(store, study, show.remark) if tracking is not None else nullcontext(),
    ):
        return train(study, store, how, show=show)


def _write(results: list[StudyResult], store: Path, page: Path) -> None:
    for result in results:
        folder = store / "reports" / result.study.name
        write_tables(result, folder / "tables")
        save_figures(result, folder / "figures")
    write_page(results, page)


def _summary(study: Study, store: Path, page: Path | None, counts: Counts) -> dict[str, Any]:
    report = str(page) if page is not None else None
    return {"study": study.name, "store": str(store), "report": report, "runs": counts.as_dict()}


def _counted(counts: Counts) -> str:
    parts = [f"{counts.done} of {counts.planned} runs done", f"{counts.reused} of them were there before"]
    parts += [f"{n} {what}" for what, n in (("diverged", counts.diverged), ("failed", counts.failed)) if n]
    return ", ".join(parts)


def _end(counts: Counts, study: Study, store: Path) -> None:
    """Leave with 1 where work is missing; a diverged run is a result."""
    if not counts.finished:
        raise WorkFailed(counts.in_words())
    if counts.failed:
        with open_store(store) as opened:
            rows = {row["run_id"]: row for row in reversed(opened.runs_of(study.name)) if row["state"] == State.FAILED}
        named = [f"  {row['arm']}, seed {row['seed']}: {row['reason']}" for row in reversed(rows.values())]
        if (more := len(named) - MOST_NAMED) > 0:
            named[MOST_NAMED:] = [f"  and {more} more, which doubleread status lists"]
        raise WorkFailed(
            "\n".join(
                [
                    f"{counts.failed} of {counts.planned} runs failed; the others are done and kept, the same command"
                    " tries these again:",
                    *named,
                ]
            )
        )
