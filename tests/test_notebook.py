"""A notebook, executed: progress and results show themselves as a notebook shows things."""

import json

import nbformat
import pytest
from nbclient import NotebookClient

from doubleread import report
from tests.conftest import small_study
from tests.hostile import HOSTILE, hostile_folder, result

__all__ = ["hostile_folder", "result"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_study_in_a_notebook(image_folder, tmp_path):
    raw = small_study(image_folder, seeds=6)
    raw["experiments"]["batch"]["claims"] = [{"id": "b", "metric": "accuracy", "better": 4, "than": 16}]
    (tmp_path / "study.yaml").write_text(json.dumps(raw))
    book = nbformat.v4.new_notebook()
    book.cells = [
        nbformat.v4.new_code_cell("import doubleread as dr\nresults = dr.run('study.yaml', store='runs', workers=2)"),
        nbformat.v4.new_code_cell("results"),
        nbformat.v4.new_code_cell("results.claims()[['id', 'verdict']]"),
        nbformat.v4.new_code_cell("results.plot_curves('batch')"),
    ]
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    progress, shown, claims, figure = (cell.outputs for cell in book.cells)
    assert not any(output.output_type == "error" for cell in book.cells for output in cell.outputs)
    said = "".join(str(output.get("text", "")) + str(output.get("data", "")) for output in progress)
    assert "\x1b" not in said
    assert "small: " in said
    assert "UserWarning" not in said
    html = shown[-1].data["text/html"]
    assert "24 of 24 runs done" in html
    assert "higher with batch size 4 than with batch size 16" in html
    assert "For research and teaching only." in html
    assert "<table" in claims[-1].data["text/html"]
    assert "image/png" in figure[-1].data


def test_names_are_escaped(result):
    html = report.notebook_html(result)
    assert HOSTILE not in html
    assert "3 diverged" in html
    assert "loss/bce" in html
