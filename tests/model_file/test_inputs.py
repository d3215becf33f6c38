"""What `predict` and `explain` say of files that they leave out, cannot read, or would write over."""

import json

import pytest

from doubleread.model_file import export_model, image_files, unreadable, write_model
from doubleread.store import open_store
from tests.conftest import needed

LEFT_OUT = "4 other files left out: a.bmp, b.gif, c.webp, notes.txt; of a folder JPEG, PNG, TIFF and DICOM are read"


@pytest.fixture
def model(model_store, model_result, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_store(model_store) as store:
        found = export_model(model_result, store, "model/mlp", seed=0)
    write_model(tmp_path / "m.zip", found.predictor.document, found.weights)
    return "m.zip"


@pytest.fixture
def films(image_folder, tmp_path):
    """A folder of two images, four other files and a hidden one."""
    (tmp_path / "films").mkdir()
    for path in sorted((image_folder / "test" / "NORMAL").glob("*.png"))[:2]:
        (tmp_path / "films" / path.name).write_bytes(path.read_bytes())
    for name in ("a.bmp", "b.gif", "c.webp", "notes.txt", ".hidden"):
        (tmp_path / "films" / name).write_text("no image")
    return tmp_path / "films"


@pytest.mark.parametrize("more", [(), ("--json",), ("--out", "found.csv")])
def test_other_files_of_a_folder_are_named_on_standard_error(call, model, films, more):
    code, out, err = call("predict", model, "films", *more)
    assert code == 0
    assert err.splitlines()[0] == LEFT_OUT
    assert "left out" not in out
    assert "reading images, 2 of 2" in err


def test_explain_names_them_too(call, model, films):
    needed("captum")
    code, out, err = call("explain", model, "films", "--out", "maps", "--json")
    assert (code, len(json.loads(out)), err.splitlines()[0]) == (0, 2, LEFT_OUT)


def test_a_file_that_is_named_itself_is_not_left_out(films):
    assert image_files([str(films)]).remark == LEFT_OUT
    found = image_files([str(films), str(films / "a.bmp"), str(films / "b.gif"), str(films / "c.webp")])
    assert len(found.files) == 5
    assert found.remark == "1 other file left out: notes.txt; of a folder JPEG, PNG, TIFF and DICOM are read"
    assert image_files([f"{films}/*.png"]).remark == ""
    assert image_files([f"{films.parent}/film*"]) == image_files([str(films)])


def test_more_than_four_are_counted_and_no_name_reaches_the_terminal_raw(films):
    (films / "\x1b[31m.txt").write_text("red")
    assert image_files([str(films)]).remark == (
        "5 other files left out: \\x1b[31m.txt, a.bmp, b.gif, c.webp, …; of a folder JPEG, PNG, TIFF and DICOM are read"
    )


def test_the_rest_is_done_only_where_there_is_a_rest(call, model, films, tmp_path):
    (tmp_path / "bad.png").write_text("no")
    code, _, err = call("predict", model, "bad.png")
    assert code == 1
    assert err.endswith("doubleread: 1 of 1 image cannot be read:\n  bad.png: not a JPEG, PNG or TIFF file\n")
    code, _, err = call("predict", model, "bad.png", "films")
    assert code == 1
    assert "doubleread: 1 of 3 images cannot be read, the rest is done:\n  bad.png: not a" in err


def test_of_many_the_first_are_listed():
    lines = str(unreadable([f"{i}.png: damaged" for i in range(22)], 22)).splitlines()
    assert lines[0] == "22 of 22 images cannot be read:"
    assert lines[1:3] == ["  0.png: damaged", "  1.png: damaged"]
    assert lines[-2:] == ["  19.png: damaged", "  and 2 more"]


def test_a_table_replaces_an_older_one_but_nothing_that_is_read(call, model, films, tmp_path):
    (tmp_path / "found.csv").write_text("an older table")
    assert call("predict", model, "films", "--out", "found.csv")[0] == 0
    assert (tmp_path / "found.csv").read_text().startswith("image,class,")
    image = next(films.glob("*.png"))
    for target in (image, tmp_path / "m.zip"):
        before = target.read_bytes()
        code, _, err = call("predict", model, "films", "--out", target)
        assert (code, err.strip()) == (
            2,
            f"doubleread: --out: {target} is read here; expected another file; give another path",
        )
        assert target.read_bytes() == before
