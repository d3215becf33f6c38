"""The report as one HTML file that works offline: figures, numbers and scripts inside, nothing loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from doubleread.analysis import StudyResult
from doubleread.files import write_text
from doubleread.metrics import CURVE_METRICS, GAP_METRICS, RUN_METRICS
from doubleread.report import script, words
from doubleread.report.arm_section import experiment_section
from doubleread.report.charts import charts_of
from doubleread.report.checklist import NOT_REPORTED, checklist
from doubleread.report.compare import comparison_section
from doubleread.report.data_section import data_section
from doubleread.report.figures import arms_figure, embedded
from doubleread.report.gap_section import gap_section, worst_section
from doubleread.report.methods import bibtex, citation, methods
from doubleread.report.saliency_section import NO_EVIDENCE, CaseMaps, saliency_section
from doubleread.report.templating import templates_of
from doubleread.report.verdict_section import verdict_section


def write_page(
    results: Sequence[StudyResult], path: Path, *, compare: bool = False, maps: Sequence[CaseMaps] = ()
) -> None:
    """Write the report of one study or several to one HTML file; with `compare`, the two side by side first.

    `maps` are saliency maps of the first study's worst cases.
    """
    write_text(path, page(results, compare=compare, maps=maps))


def page(results: Sequence[StudyResult], *, compare: bool = False, maps: Sequence[CaseMaps] = ()) -> str:
    """Return the HTML of a report."""
    sets = {data.data_hash: data for result in results for data in result.data}
    return (
        templates_of("doubleread.report")
        .get_template("report.html")
        .render(
            title=" and ".join(result.study.name for result in results),
            intended_use=words.INTENDED_USE,
            synthetic=words.SYNTHETIC if any(data.meta["kind"] == "phantom" for data in sets.values()) else None,
            comparison=comparison_section(*results) if compare else None,
            studies=[_study(result, maps if place == 0 else ()) for place, result in enumerate(results)],
            no_evidence=NO_EVIDENCE,
            data=[data_section(audit) for audit in {a.data.data_hash: a for r in results for a in r.audits}.values()],
            environments=_environments(results),
            definitions={
                **RUN_METRICS,
                **GAP_METRICS,
                **{name: metric.definition for name, metric in CURVE_METRICS.items()},
            },
            labels=words.LABELS,
            not_reported=NOT_REPORTED,
            citation=citation(),
            bibtex=bibtex(),
            policy=script.policy(),
            style=script.template_text("style.css"),
            own_script=script.own_script(),
            library=script.packed_library(),
            numbers=script.packed_numbers({result.study.name: charts_of(result) for result in results}),
        )
    )


def _study(result: StudyResult, maps: Sequence[CaseMaps]) -> dict[str, Any]:
    study, scored = result.study, words.scored_columns(result)[0]
    two = len(result.classes) == 2
    return {
        "name": study.name,
        "question": study.question,
        "source_note": study.source_note,
        "classes": result.classes,
        "counts": result.counts(),
        "seeds": words.seeds_of(study),
        "claims": verdict_section(result),
        "overview": embedded(arms_figure(result, scored)),
        "overview_of": words.LABELS[scored],
        "seal": words.seal_text(result),
        "gap": gap_section(result),
        "slider": two and not result.sealed and any(arm.done for arm in result.arms),
        "worst": worst_section(result),
        "maps": saliency_section(maps),
        "experiments": [experiment_section(result, experiment) for experiment in study.experiments],
        "methods": methods(result),
        "checklist": checklist(result),
        "assumptions": [
            {
                "path": assumption.path,
                "assumed": words.plain(assumption.assumed),
                "alternatives": "; ".join(words.plain(value) for value in assumption.alternatives),
                "because": assumption.because,
            }
            for assumption in study.assumptions.values()
        ],
        "overrides": {key: words.override_text(key, value) for key, value in study.overrides.items()},
        "contradictions": study.contradictions,
        "lost": [run for arm in result.arms for run in arm.runs if run.reason],
    }


def _environments(results: Sequence[StudyResult]) -> list[dict[str, Any]]:
    distinct = {json.dumps(e, sort_keys=True): e for r in results for e in r.environments}
    return list(distinct.values())
