"""Bad input: exit code 2, and one message with the place, what was found, what is allowed and the next step."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from doubleread import cli
from tests.conftest import draw_images, small_study, write_folder

LAYOUTS = (
    "a folder of class folders (JPEG, PNG, TIFF or DICOM), a folder with one .npy per class, a MedMNIST .npz, a table"
    " (.csv, .tsv, .parquet), or phantom"
)


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """Return a function that runs the program, checks that it refuses, and gives its message."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["doubleread", *map(str, arguments)])
        with pytest.raises(SystemExit) as leave:
            cli.main()
        captured = capsys.readouterr()
        assert leave.value.code == 2
        assert captured.out == ""
        lines = [
            line for line in captured.err.splitlines() if ": reading images" not in line and ": hashing" not in line
        ]
        return "\n".join(lines)

    return run


def check_data(refused, path, *more):
    """Check the small study on the images at a path."""
    with open("study.yaml", "w") as file:
        json.dump(small_study(str(path)), file)
    return refused("check", "study.yaml", *more)


def test_a_missing_path(refused):
    assert refused("reproduce", "a", "--data", "nowhere/here") == (
        f"doubleread: data.source (--data): nothing at nowhere/here; expected {LAYOUTS}; check the path"
    )


def test_a_misspelt_name(refused, tmp_path):
    assert check_data(refused, "phantm") == (
        f"doubleread: study.yaml, data.source: nothing at {tmp_path}/phantm; expected {LAYOUTS};"
        ' did you mean "phantom"?'
    )


def test_an_empty_folder(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert check_data(refused, "empty") == (
        f"doubleread: study.yaml, data.source: no images in {tmp_path / 'empty'}; expected {LAYOUTS}"
    )


def test_a_file_that_is_no_data_set(refused, tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert check_data(refused, "a.txt") == (
        f"doubleread: study.yaml, data.source: {tmp_path / 'a.txt'} is a file; expected {LAYOUTS}; check the path"
    )


def test_one_class_only(refused, tmp_path):
    (tmp_path / "images" / "NORMAL").mkdir(parents=True)
    Image.fromarray(draw_images(1, 0, 0)[0]).save(tmp_path / "images" / "NORMAL" / "a.png")
    assert check_data(refused, "images") == (
        "doubleread: data.source: one class only, NORMAL; expected two classes or more; check the folder above"
        " the class folders"
    )


def test_three_classes(refused, tmp_path):
    for name in "abc":
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.fromarray(draw_images(1, 0, 0)[0]).save(tmp_path / "images" / name / "a.png")
    assert check_data(refused, "images") == (
        "doubleread: data.positive: the source has 3 classes, a, b, c; expected two, of which one is positive; delete"
        " it to compare recipes on all classes, or check the folder above the class folders"
    )


def test_a_positive_class_that_the_source_has_not(refused, tmp_path):
    write_folder(tmp_path / "images")
    assert check_data(refused, "images", "--set", "data.positive=SICK") == (
        "doubleread: data.positive: SICK is no class of the source; expected NORMAL or PNEUMONIA;"
        " --set data.positive=PNEUMONIA"
    )


def test_images_that_cannot_be_used_are_all_listed(refused, tmp_path):
    root = write_folder(tmp_path / "images")
    folder = root / "train" / "NORMAL"
    Image.fromarray(draw_images(1, 0, 0, 64)[0]).save(folder / "short.jpg", quality=95)
    (folder / "short.jpg").write_bytes((folder / "short.jpg").read_bytes()[:900])
    (folder / "text.png").write_text("I am a text file")
    Image.fromarray(np.zeros((16, 16), np.float32)).save(folder / "deep.tif")
    (folder / "broken.png").symlink_to("nowhere.png")
    message = check_data(refused, "images")
    assert message == (
        "doubleread: data.source: 4 of 72 images cannot be used:\n"
        "  train/NORMAL/broken.png: a broken link\n"
        "  train/NORMAL/deep.tif: F pixels; expected 8 or 16 bits, grey, or 8 bits a channel in colour\n"
        "  train/NORMAL/short.jpg: damaged (image file is truncated (9 bytes not processed))\n"
        "  train/NORMAL/text.png: not a JPEG, PNG or TIFF file\n"
        "; mend or remove them; or --set data.skip_unreadable=true"
    ).replace("(9 bytes not processed)", message.partition("truncated ")[2].partition(")")[0] + ")")


class Bomb:
    """Leaves a mark if it is ever unpickled."""

    def __reduce__(self):
        return open, ("opened", "w")


def test_python_objects_are_never_unpickled(refused, tmp_path):
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "0.npy", np.array([Bomb(), Bomb()], dtype=object), allow_pickle=True)
    np.save(tmp_path / "arrays" / "1.npy", draw_images(2, 1, 0))
    assert check_data(refused, "arrays") == (
        f"doubleread: {tmp_path / 'arrays' / '0.npy'}: holds Python objects, which are never loaded; expected uint8"
        " pixels; save it as uint8"
    )
    assert not (tmp_path / "opened").exists()


def test_arrays_of_another_depth(refused, tmp_path):
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "0.npy", np.zeros((5, 4, 4), np.float32))
    np.save(tmp_path / "arrays" / "1.npy", np.zeros((5, 4, 4), np.int16))
    more = ["--set", "data.positive='1'", "--set", "data.split.test=0.2", "--set", "data.allow_leakage=a test"]
    floats = "".join(f"  0/{row:06d}: float32 pixels; expected uint8 or uint16\n" for row in range(5))
    deep = "".join(f"  1/{row:06d}: int16 pixels; expected uint8 or uint16\n" for row in range(5))
    assert check_data(refused, "arrays", *more) == (
        f"doubleread: data.source: 10 of 10 images cannot be used:\n{floats}{deep}; mend or remove them; or --set"
        " data.skip_unreadable=true"
    )
    assert check_data(refused, "arrays", "--set", "data.positive=1") == (
        "doubleread: --set data.positive: got 1; expected a name, or a list of names"
    )


def test_an_array_of_another_shape(refused, tmp_path):
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "0.npy", np.zeros((4, 4), np.uint8))
    assert check_data(refused, "arrays") == (
        f"doubleread: {tmp_path / 'arrays' / '0.npy'}: shape (4, 4); expected (images, height, width) or (…, channels)"
    )


def test_an_npz_with_a_missing_key(refused, tmp_path):
    np.savez(tmp_path / "set.npz", train_images=draw_images(2, 0, 0), train_labels=np.array([0, 1]))
    assert check_data(refused, "set.npz") == (
        f"doubleread: {tmp_path / 'set.npz'}: the array val_images is missing; expected train_images, train_labels,"
        " val_images, val_labels, test_images, test_labels; add it, or save the images as one .npy per class"
    )


def test_an_npz_that_is_none(refused, tmp_path):
    (tmp_path / "set.npz").write_text("hello")
    assert check_data(refused, "set.npz") == (
        f"doubleread: {tmp_path / 'set.npz'}: not a .npz file, or damaged; copy the file again"
    )


STUDY = [
    ({"base/batchsize": 8}, 'base.batchsize: unknown key "batchsize"; did you mean "batch_size"?'),
    ({"base/batch_size": 0}, "base.batch_size: got 0; expected a whole number from 1 to 1,000,000"),
    ({"base/optimizer": {"name": "adam", "lr": -0.1}}, "base.optimizer.lr: got -0.1; expected a number > 0"),
    (
        {"experiments/batch/factors": {"batch_size": [8, 8]}},
        "experiments.batch.factors.batch_size: level 8 is listed twice; delete one of them",
    ),
    (
        {"experiments/batch/factors": {"loss": ["bce", {"label": "same", "name": "bce"}]}},
        "experiments.batch.factors: bce and same are the same recipe; delete one of them",
    ),
    (
        {"experiments/batch/factors": {"loss": ["bce", "ce"], "loss.class_weights": ["none", "balanced"]}},
        "experiments.batch.factors.loss: it overwrites loss.class_weights; write the parts into the levels of one"
        " factor",
    ),
    (
        {"experiments/batch/factors": {"data.allow_leakage": ["a", "b"]}},
        "experiments.batch.factors.data.allow_leakage: it is no choice of training; delete the factor",
    ),
    (
        {"assumptions": {"x": {"path": "epoch", "assumed": 1, "alternatives": [2], "because": "y"}}},
        'assumptions.x.path: unknown path "epoch"; did you mean "epochs"?',
    ),
]


@pytest.mark.parametrize(("changes", "message"), STUDY, ids=[message.split(":")[0] for _, message in STUDY])
def test_a_study_with_a_mistake(refused, tmp_path, changes, message):
    study = small_study("phantom")
    for path, value in changes.items():
        *way, last = path.split("/")
        node = study
        for key in way:
            node = node[key]
        node[last] = value
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    assert refused("run", "study.yaml") == f"doubleread: study.yaml, {message}"
    assert not (tmp_path / "runs").exists()


def test_two_arms_of_one_name(refused, tmp_path):
    study = small_study("phantom")
    study["experiments"] = {
        "e": {
            "factors": {
                "loss": [{"name": "bce", "label": "a,b"}, {"name": "ce", "label": "a"}],
                "model": [
                    {"name": "mlp", "hidden": [4], "label": "c"},
                    {"name": "mlp", "hidden": [3], "label": "b,c"},
                ],
            }
        }
    }
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    assert refused("run", "study.yaml") == (
        "doubleread: study.yaml, experiments.e.factors: two arms are called a,b,c; give a level another label"
    )


def test_a_store_that_is_a_file(refused, tmp_path, image_folder):
    (tmp_path / "study.yaml").write_text(json.dumps(small_study(image_folder)))
    (tmp_path / "runs").write_text("x")
    assert refused("run", "study.yaml", "--store", "runs") == (
        "doubleread: --store runs: this is a file; expected a folder; give another path"
    )


def test_a_store_with_another_database(refused, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "store.sqlite").write_text("not a database, but text" * 100)
    assert refused("status") == (
        "doubleread: --store runs: cannot be opened (file is not a database); expected a folder of doubleread; give"
        " another path"
    )


def test_commands_that_read_never_make_a_store(refused, tmp_path):
    expected = (
        f"doubleread: --store runs: there is no store at {tmp_path}/runs; train a study first, with doubleread run,"
        " or give another path"
    )
    assert refused("status") == expected
    assert refused("prune") == expected
    assert refused("report", "report-a") == expected
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_nobody_knows(refused):
    assert refused("run", "my-study") == (
        "doubleread: my-study: no such study; expected a file, a study in runs, or one of report-a, report-b, strong;"
        " check the path"
    )


def test_a_report_that_cannot_be_written_is_known_before_training(refused, tmp_path):
    (tmp_path / "folder").mkdir()
    assert refused("reproduce", "a", "--html", "folder") == (
        "doubleread: --html: folder is a folder; expected a file; add a file name"
    )
    (tmp_path / "file").write_text("x")
    assert refused("reproduce", "a", "--html", "file/report.html") == (
        "doubleread: --html: file/report.html cannot be written (File exists); give another path"
    )


def test_reproduce_of_a_report_that_is_not_there(refused):
    assert refused("reproduce", "c") == 'doubleread: reproduce: got "c"; expected a, b or all'


def test_knobs_of_the_phantom(refused, tmp_path):
    assert refused("data", "phantom", "films", "--set", "contrast=-1") == (
        "doubleread: --set contrast: got -1; expected a number from 0 to 5"
    )
    assert refused("data", "phantom", "films", "--set", "contrst=1") == (
        'doubleread: --set contrst: unknown key "contrst"; did you mean "contrast"?'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 5000 + "]" * 5000, "nested more than 50 deep; expected at most 50"),
        ("a: &x {y: *x}", "more than 100,000 values; expected at most 100,000"),
        ("%YAML 1.1\n---\na: 1", "%YAML with another version; expected YAML 1.2; delete the line"),
        ("a: 2020-01-01", "a value of the type date; expected texts, numbers, lists and mappings; quote it"),
    ],
)
def test_yaml_that_is_a_trap(refused, tmp_path, text, message):
    (tmp_path / "study.yaml").write_text(text)
    assert refused("check", "study.yaml") == f"doubleread: study.yaml: {message}"


def test_control_characters_never_reach_the_terminal(refused, tmp_path):
    (tmp_path / "study.yaml").write_text(json.dumps(small_study("phantom", question="\x1b[31mred")))
    assert refused("check", "study.yaml") == (
        'doubleread: study.yaml, question: got "\\u001b[31mred"; expected a text of 1 to 2,000 characters'
    )
    (tmp_path / "study.yaml").write_text(json.dumps({**small_study("phantom"), "\x1b[2Jkey": 1}))
    assert "\x1b" not in refused("check", "study.yaml")
