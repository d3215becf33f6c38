"""`new`: what the file says of the images at a path, and that nothing is left of one that cannot be read back."""

import json

import numpy as np
import pytest
from PIL import Image

from doubleread.study import load_study
from doubleread.study.problems import show

FOOT = """\
  image_size: 12                 # pixels; every image is made square, with antialiasing
  intensity: unit                # raw 0–255 | unit 0–1 | standard (mean, SD of the training pixels) | image (its own)
"""
BY_CASE = "by: case, seed: 0}    # by: subject keeps all images of a subject together"
BY_SUBJECT = "by: subject, seed: 0}    # by: subject keeps all images of a subject together"
NO_SUBJECT = "subject: case                  # every image its own subject; or a regular expression on the file name"
GIVEN = "split: given                   # the source's own; or {val: 0.2, by: case, seed: 0}"


def write(root, classes, parts=("",), names=("0.png", "1.png")):
    """Write two images of 12 pixels for each class and part."""
    for part in parts:
        for name in classes:
            folder = root / part / name
            folder.mkdir(parents=True)
            for i, file in enumerate(names):
                Image.fromarray(np.full((12, 12), i, np.uint8)).save(folder / file)
    return root


def data_of(file):
    """Return what the `data` part of a study file says, without its first line."""
    return file.read_text().partition("data:\n")[2].partition("base:")[0]


@pytest.mark.parametrize(
    ("classes", "parts", "said", "split"),
    [
        (("normal", "Abnormal"), ("",),
         'positive: "Abnormal"                # the class that counts as 1; the other is normal',
         f"split: {{val: 0.2, test: 0.2, {BY_CASE}"),
        (("sick", "well"), ("train", "test"),
         'positive: "sick"                # the class that counts as 1; the other is well',
         f"split: {{val: 0.2, {BY_CASE}"),
        (("cat", "dog"), ("train", "val", "test"),
         'positive: "dog"                # the class that counts as 1; the other is cat', GIVEN),
        (("9", "10"), ("train", "test"),
         'positive: "10"                # the class that counts as 1; the other is 9',
         f"split: {{val: 0.2, {BY_CASE}"),
        (tuple(map(str, range(12))), ("train", "val", "test"), "# its 12 classes: 0, 1, 2, 3, 4, 5, 6, 7 …", GIVEN),
        (("a", "b", "c"), ("train", "test"), "# its 3 classes: a, b, c", f"split: {{val: 0.2, {BY_CASE}"),
        (tuple("abcdefghi"), ("train", "val", "test"), "# its 9 classes: a, b, c, d, e, f, g, h …", GIVEN),
    ],
)  # fmt: skip
def test_classes_and_parts_of_a_folder(call, tmp_path, classes, parts, said, split):
    source, file = write(tmp_path / "films", classes, parts), tmp_path / "study.yaml"
    assert call("new", source, "--out", file, "--json") == (
        0,
        json.dumps({"file": str(file), "study": "films-study"}, indent=1) + "\n",
        "",
    )
    assert data_of(file) == f'  source: "{source}"\n  {said}\n{FOOT}  {split}\n  {NO_SUBJECT}\n'


def test_more_than_two_classes_are_compared_by_what_they_have(call, tmp_path):
    source, file = write(tmp_path / "films", "abc"), tmp_path / "study.yaml"
    assert call("new", source, "--out", file)[0] == 0
    study = load_study(file)
    assert [arm.name for arm in study.arms][:2] == ["loss/ce", "loss/focal"]
    assert [claim.metric for claim in study.claims] == ["accuracy", "accuracy", "macro_auroc"]


def test_a_table_and_its_subjects(call, tmp_path):
    write(tmp_path / "films", ("a", "b"))
    rows = [f"films/{name}/{i}.png,{name},p{i},12" for name in "ab" for i in (0, 1)]
    (tmp_path / "list.csv").write_text("\n".join(["file,finding,who,age", *rows]))
    columns = ["--column", "path=file", "--column", "label=finding", "--column", "subject=who"]
    source, file = tmp_path / "list.csv", tmp_path / "study.yaml"
    assert call("new", source, *columns, "--out", file) == (0, f"wrote {file}\nnext: doubleread check {file}\n", "")
    assert data_of(file) == (
        f'  source: "{source}"\n'
        '  columns: {path: "file", label: "finding", subject: "who"}    # what the table calls them\n'
        '  positive: "b"                # the class that counts as 1; the other is a\n'
        f"{FOOT}"
        f"  split: {{val: 0.2, test: 0.2, {BY_SUBJECT}\n"
        "  subject: given               # the rule that finds the subject of an image\n"
    )


@pytest.mark.parametrize(
    ("name", "quoted"), [(f"{'long-' * 40}.yaml", f"{'long-' * 40}.yaml"), ("my [/b].yaml", "'my [/b].yaml'")]
)
def test_what_to_do_next_can_be_copied(call, tmp_path, monkeypatch, name, quoted):
    monkeypatch.chdir(write(tmp_path / "films", ("a", "b")).parent)
    assert call("new", "films", "--out", name) == (0, f"wrote {name}\nnext: doubleread check {quoted}\n", "")


def test_one_class_is_nothing_to_learn(call, tmp_path):
    source, file = write(tmp_path / "films", ("a",)), tmp_path / "study.yaml"
    assert call("new", source, "--out", file) == (
        2,
        "",
        f"doubleread: {source}: one class only, a; expected two classes or more\n",
    )
    assert not file.exists()


def test_of_a_file_that_cannot_be_read_back_nothing_is_left(call, tmp_path):
    source, file = write(tmp_path / "bell\x07", ("a", "b")), tmp_path / "study.yaml"
    assert call("new", source, "--out", file) == (
        2,
        "",
        f"doubleread: study.yaml, data.source: got {show(str(source))}; expected a text of 1 to 2,000 characters\n",
    )
    assert not file.exists()
