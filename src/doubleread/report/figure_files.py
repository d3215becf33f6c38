"""Every figure of a study as files."""

from __future__ import annotations

from pathlib import Path

from doubleread.analysis import StudyResult
from doubleread.files import write_bytes
from doubleread.report.figures import arms_figure, curves_figure, lay_out, rendered
from doubleread.report.forest import forest_figure
from doubleread.report.gap_figures import reliability_figure, roc_figure, waterfall_figure
from doubleread.report.words import has_roc, scored_columns
from doubleread.study import Experiment

FORMATS = ("png", "svg", "pdf")


def _has_runs(result: StudyResult, experiment: Experiment) -> bool:
    return any(result.of(arm.name).done for arm in experiment.arms)


def _shown_of_arms(result: StudyResult) -> list[str]:
    """Return the metrics that arms are shown by: the first of the study's classes, and those that primary claims are
    about."""
    claimed = (judged.claim.metric for judged in result.claims if judged.claim.role == "primary")
    done = [arm for arm in result.arms if arm.done]
    return [
        metric
        for metric in dict.fromkeys([scored_columns(result)[0], *claimed])
        if all(metric in arm.spreads for arm in done)
    ]


def save_figures(result: StudyResult, folder: Path) -> list[Path]:
    """Write the figures of a study as PNG, SVG and PDF; return the files."""
    experiments = result.study.experiments
    figures = {f"curves-{e.name}": curves_figure(result, e) for e in experiments}
    if has_roc(result):
        figures |= {f"roc-{e.name}": roc_figure(result, e) for e in experiments if _has_runs(result, e)}
    for metric in _shown_of_arms(result):
        figures[f"arms-{metric.replace('_', '-')}"] = arms_figure(result, metric)
    if result.claims:
        figures["claims"] = forest_figure(result.claims)
    if result.gaps.arms:
        figures["gap"] = waterfall_figure(result.gaps)
        figures["reliability"] = reliability_figure(result.gaps)
    written = []
    for name, figure in figures.items():
        lay_out(figure)
        for kind in FORMATS:
            path = folder / f"{name}.{kind}"
            write_bytes(path, rendered(figure, kind))
            written.append(path)
    return written
