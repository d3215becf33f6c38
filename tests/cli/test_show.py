"""What is printed stands as it was given: paths and names that look like markup, and paths longer than a line."""

import json

import pytest

from doubleread.cli.show import counted, err, out
from doubleread.report.words import SYNTHETIC
from tests.conftest import small_study, write_folder

ODD = "runs[old] [/b] :cat: a:x:b"
LONG = "deep" * 50


@pytest.mark.parametrize("console", [out, err])
def test_what_looks_like_markup_is_printed_as_it_is(capsys, console):
    console().print(ODD)
    assert "".join(capsys.readouterr()) == f"{ODD}\n"


def test_where_the_phantom_was_written_stands_on_one_line(call, tmp_path):
    small = ["--set", "size=32", "--set", "train_per_class=2", "--set", "test_per_class=1"]
    folder = tmp_path / LONG / ODD
    assert call("data", "phantom", folder, *small)[:2] == (0, f"wrote 6 images to {folder}\n{SYNTHETIC}\n")


def test_files_that_cannot_be_used_stand_on_one_line(call, tmp_path):
    folder = write_folder(tmp_path / LONG / ODD, train=1, test=1)
    bad = folder / "test" / "NORMAL" / "normal-000.png"
    bad.write_text("no image")
    lines = call("data", "describe", folder)[1].splitlines()
    assert lines[0] == f"{folder}: 3 images and 1 file that cannot be used (folder)"
    assert lines[-1] == f"  {bad.relative_to(folder)}: not a JPEG, PNG or TIFF file"


def test_titles_and_paths_of_a_study_are_printed_as_they_are(call, tmp_path):
    raw = small_study(write_folder(tmp_path / LONG / ODD, train=6, test=4), seeds=1, question=f"What of {ODD}?")
    raw["experiments"] = {"loss": {"title": f"Losses {ODD}", "factors": {"loss": ["bce", "ce"]}}}
    (tmp_path / "study.yaml").write_text(json.dumps(raw))
    code, said, _ = call("check", tmp_path / "study.yaml", "--store", tmp_path / "runs")
    lines = said.splitlines()
    assert (code, lines[0]) == (0, f"small: What of {ODD}?")
    assert f"data: {raw['data']['source']} (folder), 20 cases" in lines
    assert f"Losses {ODD}" in lines
    said = call("run", tmp_path / "study.yaml", "--store", tmp_path / "runs")[1]
    assert f"Losses {ODD}" in [line.rstrip() for line in said.splitlines()]


def test_one_of_a_kind_has_no_plural():
    assert [counted(n, "run") for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
