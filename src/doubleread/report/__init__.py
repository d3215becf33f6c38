"""Tables, figures and the one-file report, from finished numbers."""

from doubleread.report.claims import claims_frame, claims_json
from doubleread.report.compare import comparison_json, comparison_section
from doubleread.report.figure_files import save_figures
from doubleread.report.figures import arms_figure, curves_figure
from doubleread.report.forest import forest_figure
from doubleread.report.gap_figures import reliability_figure, roc_figure, waterfall_figure
from doubleread.report.gaps import audit_json, gap_frame, gap_json, gap_sentence, thresholds_frame
from doubleread.report.markdown_page import markdown_page, write_markdown
from doubleread.report.notebook import notebook_html
from doubleread.report.page import page, write_page
from doubleread.report.saliency_section import NO_EVIDENCE, saliency_figure
from doubleread.report.tables import (
    arms_json,
    arms_table,
    claims_table,
    curves_table,
    ensembles_table,
    findings_table,
    logits_table,
    runs_table,
    write_tables,
)

__all__ = [
    "NO_EVIDENCE",
    "arms_figure",
    "arms_json",
    "arms_table",
    "audit_json",
    "claims_frame",
    "claims_json",
    "claims_table",
    "comparison_json",
    "comparison_section",
    "curves_figure",
    "curves_table",
    "ensembles_table",
    "findings_table",
    "forest_figure",
    "gap_frame",
    "gap_json",
    "gap_sentence",
    "logits_table",
    "markdown_page",
    "notebook_html",
    "page",
    "reliability_figure",
    "roc_figure",
    "runs_table",
    "saliency_figure",
    "save_figures",
    "thresholds_frame",
    "waterfall_figure",
    "write_markdown",
    "write_page",
    "write_tables",
]
