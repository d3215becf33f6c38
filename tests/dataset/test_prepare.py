"""The prepared set: read once, found again by content, leaks reported, nothing dropped in silence."""

import shutil

import numpy as np
import pytest
from PIL import Image

from doubleread.dataset import prepare
from doubleread.errors import UserError
from doubleread.images import open_source
from doubleread.recipe.data import DataSpec
from tests.conftest import draw_images, write_folder
from tests.refusals import refusal


def spec(source, **changes):
    given = {
        "source": str(source),
        "positive": "PNEUMONIA",
        "image_size": 8,
        "intensity": "unit",
        "split": {"val": 0.25, "by": "case", "seed": 0},
    }
    return DataSpec.model_validate({**given, **changes})


def made(source, cache, seen=None, **changes):
    watch = (lambda what, done, total: seen.append(what)) if seen is not None else (lambda *_: None)
    return prepare(open_source(str(source)), spec(source, **changes), cache, watch)


def test_images_are_the_resized_originals_in_the_order_of_the_cases(image_folder, tmp_path):
    data = made(image_folder, tmp_path)
    assert data.images.shape == (68, 8, 8)
    assert data.images.dtype == np.uint8
    for row in (0, 30, 67):
        with Image.open(image_folder / data.cases[row].case) as image:
            expected = np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR))
        assert np.array_equal(data.images[row], expected)
        assert data.labels[row] == (data.cases[row].class_name == "PNEUMONIA")


def test_counts_of_cases_and_subjects(image_folder, tmp_path):
    counts = made(image_folder, tmp_path, subject=r"(\d)\d\.png$", allow_leakage="a test").counts()
    assert [(c["split"], c["class"], c["cases"]) for c in counts] == [
        ("train", "NORMAL", 18),
        ("train", "PNEUMONIA", 18),
        ("val", "NORMAL", 6),
        ("val", "PNEUMONIA", 6),
        ("test", "NORMAL", 10),
        ("test", "PNEUMONIA", 10),
    ]
    assert counts[4]["subjects"] == 1


def test_a_second_start_reads_no_image(image_folder, tmp_path):
    first, again = [], []
    one = made(image_folder, tmp_path, first)
    two = made(image_folder, tmp_path, again)
    assert "reading images" in first
    assert set(again) == {"hashing images"}
    assert one.data_hash == two.data_hash
    assert np.array_equal(one.images, two.images)


def test_the_hash_is_of_the_content_and_not_of_the_place(image_folder, tmp_path):
    moved = shutil.copytree(image_folder, tmp_path / "moved")
    hashes = {
        made(image_folder, tmp_path / "a").data_hash,
        made(moved, tmp_path / "b").data_hash,
        made(moved, tmp_path / "b", sample={"train": 24, "test": 10, "per": "class", "seed": 5}).data_hash,
    }
    assert len(hashes) == 1
    assert made(moved, tmp_path / "b", image_size=9).data_hash not in hashes
    pixels = draw_images(1, 0, 99)[0]
    Image.fromarray(pixels).save(moved / "train" / "NORMAL" / "normal-000.png")
    assert made(moved, tmp_path / "b").data_hash not in hashes


def test_bad_images_stop_the_study_or_are_skipped_and_counted(tmp_path):
    root = write_folder(tmp_path / "images")
    (root / "train" / "NORMAL" / "normal-003.png").write_text("I am text")
    whole = (root / "test" / "NORMAL" / "normal-001.png").read_bytes()
    (root / "test" / "NORMAL" / "normal-001.png").write_bytes(whole[:60])
    said = refusal(made, root, tmp_path / "cache")
    assert said.startswith("data.source: 2 of 68 images cannot be used:\n  test/NORMAL/normal-001.png: damaged (")
    assert said.endswith(
        "  train/NORMAL/normal-003.png: not a JPEG, PNG or TIFF file\n; mend or remove them; or --set"
        " data.skip_unreadable=true"
    )
    data = made(root, tmp_path / "cache", skip_unreadable=True)
    assert len(data.cases) == 66
    assert [case for case, _ in data.meta["unreadable"]] == [
        "test/NORMAL/normal-001.png",
        "train/NORMAL/normal-003.png",
    ]
    assert "2 of 68 images cannot be used and are skipped" in data.remarks()
    fresh = made(root, tmp_path / "other", skip_unreadable=True)
    assert fresh.data_hash == data.data_hash


def test_copies_across_splits_are_an_error_unless_allowed(tmp_path):
    root = write_folder(tmp_path / "images")
    shutil.copy(root / "train" / "NORMAL" / "normal-002.png", root / "test" / "NORMAL" / "copy.png")
    assert refusal(made, root, tmp_path / "cache") == (
        "data.split: 1 image stands byte for byte in two splits\n  test/NORMAL/copy.png = train/NORMAL/normal-002.png\n"
        "; split by: group, or remove what the source's own test part shares"
        '; or state why it is allowed with allow_leakage: "why"'
    )
    data = made(root, tmp_path / "cache", allow_leakage="a test")
    assert data.meta["audit"]["duplicates_across"] == 1
    assert sorted(data.meta["audit"]["duplicates"][0]["cases"]) == [
        "test/NORMAL/copy.png",
        "train/NORMAL/normal-002.png",
    ]


def test_a_split_by_case_that_shares_subjects_is_an_error_unless_allowed(image_folder, tmp_path):
    rule = r"(\w+-\d\d)\d\.png$"
    with pytest.raises(UserError, match="subjects have images in two splits"):
        made(image_folder, tmp_path, subject=rule)
    data = made(image_folder, tmp_path, subject=rule, allow_leakage="a test")
    shared = data.meta["audit"]["shared_subjects"]
    assert shared
    assert all(len(item["splits"]) > 1 for item in shared)


def test_a_split_by_subject_shares_none(image_folder, tmp_path):
    rule = r"(train|test).*-(\d\d)\d\.png$"
    data = made(image_folder, tmp_path, subject=rule, split={"val": 0.4, "by": "subject", "seed": 0})
    seen = {}
    for case in data.cases:
        assert seen.setdefault(case.subject, case.split) == case.split


def test_a_test_part_that_shares_a_subject_is_found_when_splitting_by_subject(image_folder, tmp_path):
    with pytest.raises(UserError, match=r"is in (train|val) and in the source's own test part"):
        made(image_folder, tmp_path, subject=r"-(\d\d)\d\.png$", split={"val": 0.4, "by": "subject", "seed": 0})


def test_a_split_drawn_for_each_seed(image_folder, tmp_path):
    data = made(image_folder, tmp_path, split={"val": 0.25, "by": "case", "seed": 0, "resample": "per_seed"})
    one, two, again = data.run_data(0), data.run_data(1), data.run_data(0)
    assert not np.array_equal(one.val, two.val)
    assert np.array_equal(one.val, again.val)
    assert np.array_equal(one.test, two.test)
    assert data.data_hash != made(image_folder, tmp_path).data_hash


def test_a_set_that_is_found_again_says_what_holds_this_time(tmp_path):
    root = write_folder(tmp_path / "images")
    clean = made(root, tmp_path / "cache")
    (root / "train" / "NORMAL" / "bad.png").write_text("I am text")
    skipped = made(root, tmp_path / "cache", skip_unreadable=True)
    assert skipped.data_hash == clean.data_hash
    assert skipped.remarks() == ["1 of 69 images cannot be used and are skipped"]
    (root / "train" / "NORMAL" / "bad.png").unlink()
    assert made(root, tmp_path / "cache", allow_leakage="why not").remarks() == []


def test_a_copy_in_the_part_that_is_redrawn_is_a_leak(tmp_path):
    root = write_folder(tmp_path / "images")
    shutil.copy(root / "train" / "NORMAL" / "normal-002.png", root / "train" / "NORMAL" / "copy.png")
    redrawn = {"val": 0.25, "by": "case", "seed": 3, "resample": "per_seed"}
    with pytest.raises(UserError, match="1 image stands byte for byte in two splits"):
        made(root, tmp_path / "cache", split=redrawn)
    with pytest.raises(UserError, match="subjects have images in two splits"):
        made(root, tmp_path / "cache", split=redrawn, subject=r"(train|test).*-(\d\d)\d\.png$|(copy)")


def test_the_hash_of_a_set_stays_what_it_is(tmp_path):
    # golden: a change here would retrain every run of every store
    for label in (0, 1):
        np.save(tmp_path / f"{label}.npy", (np.arange(8 * 16).reshape(8, 4, 4) + 100 * label).astype(np.uint8))
    split = {"val": 0.25, "test": 0.25, "by": "case", "seed": 0}
    data = made(tmp_path, tmp_path / "cache", positive=None, split=split, image_size=4)
    assert data.data_hash == GOLDEN_HASH


GOLDEN_HASH = "e1d4deddc0bef22d47cc"


def test_a_source_without_parts_needs_a_drawn_test_set(tmp_path):
    root = write_folder(tmp_path / "images") / "train"
    with pytest.raises(UserError) as error:
        made(root, tmp_path / "cache")
    assert str(error.value) == (
        "data.split.test: missing, and the source has no test part of its own; --set data.split.test=0.2"
    )
    data = made(root, tmp_path / "cache", split={"val": 0.25, "test": 0.25, "by": "case", "seed": 0})
    assert [c["cases"] for c in data.counts()] == [13, 13, 5, 5, 6, 6]


def test_the_given_split_is_kept(tmp_path):
    root = write_folder(tmp_path / "images")
    with pytest.raises(UserError) as error:
        made(root, tmp_path / "cache", split="given")
    assert str(error.value) == (
        "data.split: given, but the source has no val part; expected {val, by, seed}; for example --set"
        " data.split='{val: 0.2, by: case, seed: 0}'"
    )
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        (root / "val" / name).mkdir(parents=True)
        Image.fromarray(draw_images(1, label, 7)[0]).save(root / "val" / name / "a.png")
    data = made(root, tmp_path / "cache", split="given")
    assert {case.split for case in data.cases if case.case.startswith("val/")} == {"val"}
    assert sum(case.split == "val" for case in data.cases) == 2


def test_the_sources_own_val_joins_training_before_a_drawn_split(shared, tmp_path):
    path = shared / "data" / "pneumoniamnist-balanced.npz"
    data = made(path, tmp_path, positive=None, allow_leakage="a test")
    assert data.classes == ("0", "1")
    assert sum(case.case.startswith("val/") and case.split == "train" for case in data.cases) > 0
    assert [c["cases"] for c in data.counts()] == [1012, 1012, 337, 337, 234, 234]


def test_real_images_are_found_again(shared, tmp_path):
    changes = {
        "sample": {"train": 50, "test": 20, "per": "class", "seed": 0},
        "subject": "kermany",
        "allow_leakage": "a test",
        "image_size": 16,
    }
    first, again = [], []
    data = made(shared / "data" / "kermany224", tmp_path, first, **changes)
    made(shared / "data" / "kermany224", tmp_path, again, **changes)
    assert len(data.cases) == 140
    assert data.meta["listed"] == 5840
    assert data.meta["unreadable"] == []
    assert set(again) == {"hashing images"}
