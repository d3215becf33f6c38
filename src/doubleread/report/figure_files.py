"""Every figure of a study as files."""

from __future__ import annotations

from pathlib import Path

from doubleread.analysis import StudyResult
from doubleread.files import write_bytes
from doubleread.report.figures import arms_figure, curves_figure, rendered
from doubleread.report.forest import forest_figure
from doubleread.report.gap_figures import reliability_figure, roc_figure, waterfall_figure
from doubleread.study import Experiment

FORMATS = ("png", "svg", "pdf")


def _has_runs(result: StudyResult, experiment: Experiment) -> bool:
    return any(result.of(arm.name).done for arm in experiment.arms)


def save_figures(result: StudyResult, folder: Path) -> list[Path]:
    """Write the figures of a study as PNG, SVG and PDF; return the files."""
    figures = {f"curves-{e.name}": curves_figure(result, e) for e in result.study.experiments}
    figures |= {f"roc-{e.name}": roc_figure(result, e) for e in result.study.experiments if _has_runs(result, e)}
    figures["arms-accuracy"] = arms_figure(result)
    if result.claims:
        figures["claims"] = forest_figure(result.claims)
    if result.gaps.arms:
        figures["gap"] = waterfall_figure(result.gaps)
        figures["reliability"] = reliability_figure(result.gaps)
    written = []
    for name, figure in figures.items():
        for kind in FORMATS:
            path = folder / f"{name}.{kind}"
            write_bytes(path, rendered(figure, kind))
            written.append(path)
    return written
