"""A table of images: columns by any name, relative paths, and rows that do not fit named with their number."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from doubleread.errors import UnreadableImage, UserError
from doubleread.images import open_source
from tests.conftest import draw_images, needed
from tests.images.dicom_files import write_dicom

TEXT = "file,dx,who,part\na.png,sick,p1,training\nsub/b.png,well,p2,test\n"
COLUMNS = {"path": "file", "label": "dx", "subject": "who", "split": "part"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name, pixels in zip(("a.png", "sub/b.png"), draw_images(2, 0, 0), strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


def write(folder, text, name="t.csv"):
    (folder / name).write_text(text)
    return str(folder / name)


def test_columns_by_any_name(folder):
    source = open_source(write(folder, TEXT), columns=COLUMNS)
    assert source.kind == "table"
    assert [(i.case, i.class_name, i.subject, i.part) for i in source.items] == [
        ("a.png", "sick", "p1", "train"),
        ("sub/b.png", "well", "p2", "test"),
    ]
    assert np.array_equal(source.read(1), draw_images(2, 0, 0)[1])


def test_parquet_and_tabs_are_the_same_table(folder):
    needed("pyarrow")
    write(folder, TEXT.replace(",", "\t"), "t.tsv")
    pd.read_csv(write(folder, TEXT)).to_parquet(folder / "t.parquet")
    found = [open_source(str(folder / f"t.{end}"), columns=COLUMNS).items for end in ("csv", "tsv", "parquet")]
    assert found[0] == found[1] == found[2]


def test_whole_numbers_of_a_parquet_table_are_names(folder):
    needed("pyarrow")
    pd.DataFrame({"path": ["a.png", "sub/b.png"], "label": [0, 1], "subject": [7.0, None]}).to_parquet(
        folder / "t.parquet"
    )
    items = open_source(str(folder / "t.parquet")).items
    assert [(i.class_name, i.subject, i.part) for i in items] == [("0", "7", None), ("1", None, None)]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        (
            TEXT,
            {},
            '{path}: no column "path" for the path; it has file, dx, who, part;'
            ' give --column path=NAME or set data.columns.path'
            ' (did you mean "part"?)',
        ),
        ("path,label\n", {}, "{path}: no rows; expected one for each image"),
        ("", {}, '{path}: no column "path" for the path; it has none;'
            ' give --column path=NAME or set data.columns.path'),
        ("path,label\na.png\n", {}, "{path}, row 2: 1 values; expected 2, in 5,000,000 rows"),
        ("path,label\na.png,\n", {}, "{path}, row 2: no label; expected a path and a label in each row"),
        ("path,label\n ,x\n", {}, "{path}, row 2: no path; expected a path and a label in each row"),
        ("path,label\na.png,x\na.png,y\n", {}, "{path}, row 3: the path of row 2 once more; expected each image once"),
        (
            "path;label\na.png;x\n",
            {},
            "{path}: separated by semicolons; expected commas; save it as CSV with commas",
        ),
        (
            "path,label,split\na.png,x,dev\n",
            {},
            '{path}, row 2: split "dev"; expected one of train, training, val, valid, validation, test, testing',
        ),
        (
            'path,label\n"a.png,x\n',
            {},
            "{path}: not a table (unexpected end of data); expected comma-separated values with a header",
        ),
        (
            "path,label\na.png,x\n",
            {"subject": "who"},
            '{path}: no column "who" for the subject; it has path, label;'
            ' give --column subject=NAME or set data.columns.subject',
        ),
    ],
)  # fmt: skip
def test_messages(folder, text, columns, message):
    path = write(folder, text)
    with pytest.raises(UserError) as error:
        open_source(path, columns=columns)
    assert str(error.value) == message.format(path=path)


def test_a_damaged_parquet_table(folder):
    needed("pyarrow")
    with pytest.raises(UserError) as error:
        open_source(write(folder, "PAR1 and no more", "t.parquet"))
    assert str(error.value) == f"{folder / 't.parquet'}: not a Parquet file, or damaged; write it again"


def test_columns_of_what_is_no_table(image_folder):
    with pytest.raises(UserError) as error:
        open_source(str(image_folder), columns={"path": "x"})
    assert str(error.value) == f"data.columns: it has no effect: {image_folder} is no table; delete it"


def test_a_path_that_leads_nowhere_is_listed(folder):
    source = open_source(write(folder, "path,label\na.png,x\ngone.png,y\n"))
    with pytest.raises(UnreadableImage, match="no such file"):
        source.read(1)


def test_one_person_is_one_subject_whatever_the_files_are(folder, monkeypatch):
    needed("pydicom")
    monkeypatch.setenv("DOUBLEREAD_SALT", "a salt for the tests")
    write_dicom(folder / "x.dcm", draw_images(1, 0, 0)[0], PatientID="P1")
    # a DICOM file under another name
    write_dicom(folder / "y.png", draw_images(1, 0, 0)[0], PatientID="P1")
    text = "path,label,subject\nx.dcm,0,P1\na.png,1,P1\ny.png,1,\nsub/b.png,0,P2\n"
    items = open_source(write(folder, text)).items
    assert len({item.subject for item in items[:3]}) == 1
    assert items[3].subject not in (items[0].subject, "P2")
    assert not any("P1" in f"{item.subject}" for item in items)
    assert "y.png" not in items[2].case


def test_dicom_in_a_table_is_salted(folder, monkeypatch):
    needed("pydicom")
    monkeypatch.setenv("DOUBLEREAD_SALT", "a salt for the tests")
    for name in ("x.dcm", "y.dcm"):
        write_dicom(folder / name, draw_images(1, 0, 0)[0], PatientID="CANARY")
    listed = open_source(write(folder, "path,label,subject\nx.dcm,0,CANARY\ny.dcm,1,CANARY\n"))
    from_header = open_source(write(folder, "path,label\nx.dcm,0\ny.dcm,1\n", "u.csv"))
    for source in (listed, from_header):
        assert len({item.subject for item in source.items}) == 1
        assert not any("CANARY" in f"{item.subject}{item.case}" or "x.dcm" in item.case for item in source.items)
        assert source.shown(0) == str(folder / "x.dcm")


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_columns_that_are_not_used_are_named_where_nobody_names_the_subject(folder, call, tmp_path, end):
    needed("pyarrow")
    path = write(folder, "path,label,patient,age\na.png,x,p1,4\nsub/b.png,y,p1,5\n")
    if end == "parquet":
        pd.read_csv(path).to_parquet(folder / "t.parquet")
        path = str(folder / "t.parquet")
    assert open_source(path).unused == ("patient", "age")
    assert open_source(path, columns={"subject": "patient"}).unused == ()
    said = f"{path}: columns patient, age are not used; if one names the subject, give --column subject=NAME\n"
    assert said in call("data", "describe", path)[2]
    assert call("new", path, "--out", tmp_path / "study.yaml")[2] == said
    assert "not used" not in call("data", "describe", path, "--column", "subject=patient")[2]
