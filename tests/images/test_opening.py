"""`open_source`: what a path or a name is refused for, before an image is read."""

import os

import numpy as np
import pytest
from PIL import Image

from doubleread.images import LAYOUTS, PhantomSource, PhantomSpec, open_source
from tests.refusals import refusal


def write(root, *classes):
    """Write one small image for each class folder."""
    for name in classes:
        (root / name).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / name / "0.png")
    return root


@pytest.mark.parametrize("source", ["phantom", {"name": "phantom"}])
@pytest.mark.parametrize("kind", [None, "phantom"])
def test_the_phantom_by_its_name(source, kind):
    found = open_source(source, kind=kind)
    assert (type(found), found.kind) == (PhantomSource, "phantom")
    assert found.location == PhantomSource(PhantomSpec()).location


def test_the_knobs_of_the_phantom_are_its_own():
    small = open_source({"name": "phantom", "size": 32, "train_per_class": 2, "test_per_class": 1})
    assert (len(small.items), small.read(0).shape) == (6, (32, 32))


ARRAYS = "call doubleread.run(study, data=…) with them, or --data PATH"


@pytest.mark.parametrize(
    ("source", "more", "said"),
    [
        ("phantom", {"columns": {"path": "file"}},
         "data.columns: it has no effect: the source is no table; delete it"),
        ({"name": "phantom"}, {"columns": {"path": "file"}},
         "data.columns: it has no effect: the source is no table; delete it"),
        ("phantom", {"kind": "folder"}, "data.kind: got folder, the source is the phantom; delete it"),
        ({"name": "phantom"}, {"kind": "npy"}, "data.kind: got npy, the source is the phantom; delete it"),
        ({"name": "arrays"}, {}, f"data.source: its images come from Python; {ARRAYS}"),
        ({"name": "arrays"}, {"place": "data.source (--data)"},
         f"data.source (--data): its images come from Python; {ARRAYS}"),
        ({"name": "phantm"}, {}, "data.source.name: got 'phantm'; expected phantom, or a path instead of a mapping"),
        ({"size": 32}, {}, "data.source.name: got None; expected phantom, or a path instead of a mapping"),
        ({"name": "phantom", "sise": 32}, {}, 'data.source.sise: unknown key "sise"; did you mean "size"?'),
    ],
)  # fmt: skip
def test_a_named_source_that_does_not_fit(source, more, said):
    assert refusal(open_source, source, **more) == said


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder that the paths of a test are in, and the process."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "more", "said"),
    [
        ("nowhere", {}, f"data.source: nothing at nowhere; expected {LAYOUTS}; check the path"),
        ("films", {"kind": "phantom"}, "data.kind: got phantom, the source is films; delete it"),
        ("films", {"kind": "foldr"}, 'data.kind: got "foldr"; did you mean "folder"?'),
        ("films", {"kind": "table"}, "data.kind: got table, films is a folder; delete it"),
        ("list.txt", {"kind": "folder"}, "data.kind: got folder, list.txt is a file; delete it"),
        ("films", {"columns": {"path": "file"}}, "data.columns: it has no effect: films is no table; delete it"),
        ("list.txt", {}, f"data.source: list.txt is a file; expected {LAYOUTS}; check the path"),
        ("empty", {}, f"data.source: no images in empty; expected {LAYOUTS}"),
        ("loose", {}, f"data.source: the images in loose are in no class folder; expected {LAYOUTS}"),
        ("empty", {"kind": "folder"}, f"data.source: no images in empty; expected {LAYOUTS}"),
        ("twice", {},
         "data.source: classes Normal and normal; expected one spelling of each class; rename one"),
    ],
)  # fmt: skip
def test_a_path_that_does_not_fit(here, path, more, said):
    write(here / "films", "a", "b")
    write(here / "twice", "Normal", "normal", "other")
    (here / "empty").mkdir()
    (write(here / "loose", "x") / "x" / "0.png").rename(here / "loose" / "0.png")
    (here / "loose" / "x").rmdir()
    (here / "list.txt").write_text("a list")
    assert refusal(open_source, path, **more) == said


def test_a_path_that_is_neither_a_file_nor_a_folder(here):
    os.mkfifo(here / "list.csv")
    said = "data.source: list.csv cannot be read (Not a directory); check the path"
    assert refusal(open_source, "list.csv") == said


def test_a_name_that_is_nearly_the_phantom(here):
    said = f'data.source: nothing at phantm; expected {LAYOUTS}; did you mean "phantom"?'
    assert refusal(open_source, "phantm") == said
