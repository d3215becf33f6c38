"""The handout for a course runs from the first cell to the last, and the teacher's page answers what it asks."""

import ast
import re
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

import doubleread as dr
from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "tutorial"
TEACHER = (FOLDER / "course.md").read_text()
TINY = {"IMAGE_SIZE": 16, "EPOCHS": 2, "TRAIN_IMAGES": 40, "TEST_IMAGES": 20}
ARMS = ("loss/bce", "loss/ce", "batch/8", "batch/32", "batch/128", "rate/0.1", "rate/0.001", "rate/1e-06")
VERDICTS = ("supported", "contradicted", "not supported", "undecided")
FIGURES = {"several": 1, "curves": 3, "forest": 1, "gap-figure": 1}
"""How many figures each of these cells shows."""
READING = ("settings", "setup", "several", "means", "gap", "leak-worth")
"""A way through the notebook that looks at all that is trained."""


def stored():
    return nbformat.read(FOLDER / "homework.ipynb", as_version=4)


def by_id(book):
    return {cell.id: cell for cell in book.cells}


def parameters(book):
    """Return the settings of the cell that is tagged as such, and the cell."""
    (cell,) = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    return {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(cell.source).body}, cell


def executed(folder, settings, only=None):
    """Run the notebook, or `only` some of its cells, in a folder and with other settings; return its cells by id."""
    book = stored()
    known, cell = parameters(book)
    assert settings.keys() <= known.keys()
    cell.source = "\n".join(f"{name} = {value!r}" for name, value in (known | settings).items())
    if only is not None:
        book.cells = [cell for cell in book.cells if cell.id in only]
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return by_id(book)


def texts(cell, kind):
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("homework")


@pytest.fixture(scope="module")
def cells(folder):
    return executed(folder, TINY)


def test_it_is_stored_as_it_was_written():
    book = stored()
    nbformat.validate(book)
    settings, _ = parameters(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    rest = "\n".join(cell.source for cell in code[1:])
    assert (book.nbformat, book.nbformat_minor) == (4, 5)
    assert book.metadata.kernelspec.name == "python3"
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert settings["SOURCE"] is None
    assert all(re.search(rf"\b{name}\b", rest) for name in settings), "a setting without effect"


def test_it_takes_what_is_public_alone():
    code = "\n".join(cell.source for cell in stored().cells if cell.cell_type == "code")
    assert re.findall(r"^.*\bdoubleread\b.*$", code, re.M) == [
        "import doubleread as dr",
        '!"{sys.executable}" -m doubleread single {small} {large}',
    ]
    assert set(re.findall(r"\bdr\.(\w+)", code)) <= {*dr.__all__}


def test_every_question_has_an_answer_and_every_answer_a_question():
    asked = [q for cell in stored().cells for q in re.findall(r"^\*\*Q(\d+)\.\*\*", cell.source, re.M)]
    answered = re.findall(r"^\*\*Q(\d+)\.\*\*", TEACHER, re.M)
    named = {int(number) for number in re.findall(r"\bQ(\d+)\b", TEACHER)}
    assert asked == answered == [str(number) for number in range(1, len(asked) + 1)]
    assert named <= {int(number) for number in asked}
    assert f"its {len(asked)} questions" in TEACHER


def test_every_setting_that_the_teacher_names_is_one():
    settings, _ = parameters(stored())
    named = set(re.findall(r"\b([A-Z][A-Z_]{4,}) = ", TEACHER))
    assert named == {"SOURCE", "IMAGE_SIZE", "EPOCHS", "SEEDS", "TRAIN", "REPORT", "MY_SEEDS"}
    assert named <= settings.keys()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_runs_from_the_first_cell_to_the_last(cells, folder):
    outputs = [output for cell in cells.values() if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.output_type == "error" for output in outputs)
    assert not any("Warning" in output.get("text", "") for output in outputs)
    for at in ("one-run", "another-seed", "means", "health", "reported"):
        (table,) = texts(cells[at], "text/html")[-1:]
        assert all(f"<th>{arm}</th>" in table for arm in ARMS), at
    assert {at: len(texts(cells[at], "image/png")) for at in FIGURES} == FIGURES
    assert "295/400 against 317/400" in "".join(output.text for output in cells["single"].outputs)
    assert "<h2>Methods</h2>" in texts(cells["report"], "text/html")[0]
    assert "leakage, points" in texts(cells["leak-worth"], "text/html")[-1]
    assert (folder / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_claim_has_a_verdict(cells):
    claims = dr.load_study("report-a").claims
    primary = [claim.says for claim in claims if claim.role == "primary"]
    sentences = texts(cells["sentences"], "text/markdown")
    assert len(primary) == len(sentences)
    for says, sentence in zip(primary, sentences, strict=True):
        assert re.match(rf"\*\*{re.escape(says)}\*\*: \*({'|'.join(VERDICTS)})[,*]", sentence)
    (table,) = texts(cells["secondary"], "text/html")
    found = re.findall(rf"<td>({'|'.join(VERDICTS)})</td>", table)
    assert len(found) == len(claims) - len(primary)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_was_trained_is_shown_without_training(cells, folder, tmp_path):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    again = executed(tmp_path, TINY | {"TRAIN": False}, READING)
    for at in ("means", "leak-worth"):
        assert texts(again[at], "text/html") == texts(cells[at], "text/html")[-1:]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_files_of_a_class_are_one_study(cells, folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "hand-ins").mkdir()
    mine = pd.read_csv(folder / "hand-in.csv")
    for student in range(3):
        one = mine.assign(seed=mine["seed"] + 2 * student)
        one.to_csv(tmp_path / "hand-ins" / f"student-{student}.csv", index=False)
    (block,) = re.findall(r"<!-- not run: [^>]*test_homework.py runs it -->\n```python\n(.*?)```", TEACHER, re.S)
    monkeypatch.chdir(tmp_path)
    exec(block, {})
    printed = capsys.readouterr().out
    assert "6 seeds from 3 students" in printed
    assert "BCE suits a binary task better" in printed
    assert Path("class.csv").is_file()
