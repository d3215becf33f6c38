"""Two studies side by side on the terminal: what they set otherwise, their arms, or why these cannot be compared."""

import json
from dataclasses import replace

import numpy as np
import pytest

from doubleread.analysis import analyse, compare_arms
from doubleread.report import compare, comparison_section
from doubleread.report.compare import NOTE
from doubleread.report.words import INTENDED_USE
from doubleread.runner import Silent, prepare_study, train_study
from doubleread.stats import contrast
from doubleread.store import open_store
from doubleread.study import parse_study, study_of
from tests.conftest import small_study, write_folder

HEAD = "accuracy, % AUROC sensitivity, % specificity, % balanced accuracy, %"


def compared(folder, name, *, seeds=2, size=4, positive="PNEUMONIA", **changes):
    raw = small_study(folder, study=name, seeds=seeds, **changes)
    raw["data"] |= {"image_size": size, "intensity": "standard", "positive": positive}
    claim = {"id": "b", "metric": "accuracy", "better": 4, "than": 8}
    raw["experiments"] = {"batch": {"factors": {"batch_size": [4, 8]}, "claims": [claim]}}
    return raw


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with small studies: the first, one that is the same, and others that each differ in one thing."""
    root = tmp_path_factory.mktemp("compared")
    images, others = (
        write_folder(root / name, train=6, test=test, size=4) for name, test in (("xrays", 5), ("mri", 6))
    )
    renamed = write_folder(root / "renamed", train=6, test=5, size=4)
    for path in sorted(renamed.rglob("*.png")):
        path.rename(path.with_stem(f"{path.stem}-x"))
    studies = [
        compared(images, "first"),
        compared(images, "same"),
        compared(images, "swapped", positive="NORMAL"),
        compared(renamed, "renamed"),
        compared(images, "larger", size=5),
        compared(images, "once", seeds=1),
        compared(images, "sealed", test="sealed"),
        compared(others, "elsewhere"),
    ]
    with open_store(root / "runs", write=True) as opened:
        for raw in studies:
            study = parse_study(raw, place="s")
            train_study(prepare_study(study, opened.data_folder, Silent()), opened, workers=1, show=Silent())
    return root / "runs"


def printed(call, store, other):
    """Return what is printed below the first study's own report, without what only makes columns of it."""
    code, alone, _ = call("report", "first", "--store", store)
    found, out, err = call("report", "first", "--store", store, "--compare", other)
    alone, out = (" ".join(text.split()).removesuffix(INTENDED_USE) for text in (alone, out))
    assert (code, found, err, out.startswith(alone)) == (0, 0, "", True)
    return out.removeprefix(alone).strip()


def cells_of(store, other):
    """Return the cells of both arms, as the report's section has them."""
    with open_store(store) as opened:
        both = [analyse(study_of(opened.study_document(name)), opened) for name in ("first", other)]
    return [row["cells"] for row in comparison_section(*both)["arms"]]


def texts(cells, which):
    return " ".join(cell[which] for cell in cells)


def end(other):
    claim = "test accuracy is higher with batch size 4 than with batch size 8"
    return f"{claim}: undecided in first, undecided in {other} {NOTE}"


def test_the_same_images_are_compared_seed_by_seed(call, store):
    small, large = cells_of(store, "larger")
    assert printed(call, store, "larger") == (
        "What the two set otherwise setting first larger data.image_size 4 5"
        f" first, larger, and the 95 % interval of the difference arm seeds {HEAD}"
        f" batch/4 2 {texts(small, 'first')} {texts(small, 'second')} {texts(small, 'difference')}"
        f" batch/8 2 {texts(large, 'first')} {texts(large, 'second')} {texts(large, 'difference')}"
        f" {end('larger')}"
    )


@pytest.mark.parametrize(
    ("other", "settings", "seeds", "why"),
    [
        ("elsewhere", "data.source xrays mri", 2, "scored on other images"),
        ("renamed", "data.source xrays renamed", 2, "the images have other names"),
        ("swapped", "data.positive PNEUMONIA NORMAL", 2, "scored with other labels"),
        ("once", "seeds 0, 1 0", 1, "fewer than two seeds in common"),
    ],
)
def test_what_cannot_be_compared_says_why_and_has_no_difference(call, store, other, settings, seeds, why):
    small, large = cells_of(store, other)
    assert printed(call, store, other) == (
        f"What the two set otherwise setting first {other} {settings}"
        f" first, {other}, and the 95 % interval of the difference arm seeds {HEAD}"
        f" batch/4 {seeds} {texts(small, 'first')} not comparable: {why} {texts(small, 'second')}"
        f" batch/8 {seeds} {texts(large, 'first')} not comparable: {why} {texts(large, 'second')}"
        f" {end(other)}"
    )


def test_of_runs_that_agree_in_everything_no_interval_is_shown(call, store):
    small, large = cells_of(store, "same")
    assert printed(call, store, "same") == (
        f"first, same, and the 95 % interval of the difference arm seeds {HEAD}"
        f" batch/4 2 {texts(small, 'first')} {texts(small, 'second')} – – – – –"
        f" batch/8 2 {texts(large, 'first')} {texts(large, 'second')} – – – – –"
        f" {end('same')}"
    )


@pytest.mark.parametrize(
    ("theta", "case_var", "shown"),
    [
        ([[1.0, 1.0], [0.0, 0.0]], 0.0, "–"),
        ([[1.0, 1.0], [0.0, 0.0]], 0.01, "+80.4 to +119.6 points"),
        ([[1.0], [0.0]], 0.0, "–"),
    ],
)
def test_a_difference_without_a_standard_error_has_no_interval(store, monkeypatch, theta, case_var, shown):
    with open_store(store) as opened:
        first, other = (analyse(study_of(opened.study_document(name)), opened) for name in ("first", "larger"))
    theta = np.array(theta)
    covariance = np.zeros((2, theta.shape[1]) * 2)
    covariance[0, :, 0, :] = case_var
    found = replace(
        compare_arms(first, other, ("accuracy",))[0],
        differences={"accuracy": contrast(theta, np.array([1.0, -1.0]), covariance)},
    )
    monkeypatch.setattr(compare, "compare_arms", lambda *_given: [found])
    assert comparison_section(first, other)["arms"][0]["cells"][0]["difference"] == shown


@pytest.mark.parametrize(
    ("other", "why"), [("elsewhere", "scored on other images"), ("swapped", "scored with other labels"), ("same", None)]
)
def test_the_same_is_said_in_json(call, store, other, why):
    found = json.loads(call("report", "first", "--store", store, "--compare", other, "--json")[1])["compare"]
    assert [(arm["arm"], arm["why"]) for arm in found["arms"]] == [("batch/4", why), ("batch/8", why)]


def test_beside_a_sealed_study_no_score_is_shown(call, store):
    why = "not comparable: the test images of one are sealed"
    assert printed(call, store, "sealed") == (
        f"first, sealed, and the 95 % interval of the difference arm seeds batch/4 2 {why} batch/8 2 {why} {NOTE}"
    )
