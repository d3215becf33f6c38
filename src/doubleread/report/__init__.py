"""Tables, figures and the one-file report, from finished numbers."""

from doubleread.report.claims import claims_frame, claims_json
from doubleread.report.figures import arms_figure, curves_figure, save_figures
from doubleread.report.forest import forest_figure
from doubleread.report.page import page, write_page
from doubleread.report.tables import (
    arms_json,
    arms_table,
    claims_table,
    curves_table,
    logits_table,
    runs_table,
    write_tables,
)

__all__ = [
    "arms_figure",
    "arms_json",
    "arms_table",
    "claims_frame",
    "claims_json",
    "claims_table",
    "curves_figure",
    "curves_table",
    "forest_figure",
    "logits_table",
    "page",
    "runs_table",
    "save_figures",
    "write_page",
    "write_tables",
]
