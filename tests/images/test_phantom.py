"""What the phantom promises: the same seed gives the same bytes, and each knob does what it says and no more."""

from __future__ import annotations

import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from doubleread.errors import UserError
from doubleread.images.phantom import NOTE, PhantomSource, PhantomSpec, write_png


def source(**knobs: Any) -> PhantomSource:
    return PhantomSource(PhantomSpec(**({"size": 48, "train_per_class": 12, "test_per_class": 6} | knobs)))


def images(phantom: PhantomSource, part: str | None = None) -> np.ndarray:
    return np.stack([phantom.read(i) for i, item in enumerate(phantom.items) if part in (None, item.part)])


def by_case(phantom: PhantomSource) -> dict[str, int]:
    return {item.case: index for index, item in enumerate(phantom.items)}


def count(phantom: PhantomSource, part: str, class_name: str) -> int:
    return sum(item.part == part and item.class_name == class_name for item in phantom.items)


def test_same_seed_gives_equal_bytes_and_another_seed_does_not() -> None:
    first, again, other = source(seed=3), source(seed=3), source(seed=4)
    assert first.items == again.items
    for index in range(len(first.items)):
        assert np.array_equal(first.read(index), again.read(index))
        assert first.digest(index) == again.digest(index)
        assert not np.array_equal(first.read(index), other.read(index))
        assert first.digest(index) != other.digest(index)


def test_reading_does_not_depend_on_order_or_threads() -> None:
    phantom = source()
    straight = [phantom.read(index) for index in range(len(phantom.items))]
    order = list(range(len(phantom.items)))
    random.Random(0).shuffle(order)
    with ThreadPoolExecutor(4) as pool:
        for index, pixels in zip(order, pool.map(phantom.read, order), strict=True):
            assert np.array_equal(pixels, straight[index])


@pytest.mark.parametrize("size", [32, 33, 100, 256])
def test_images_have_the_stated_size_and_are_no_flat_grey(size: int) -> None:
    pixels = source(size=size).read(0)
    assert pixels.shape == (size, size)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 20


def test_every_image_of_a_source_differs_and_so_does_its_digest() -> None:
    phantom = source(repeat_subjects=1.0)
    indices = range(len(phantom.items))
    assert len({phantom.read(index).tobytes() for index in indices}) == len(phantom.items)
    assert len({phantom.digest(index) for index in indices}) == len(phantom.items)


def test_items_follow_the_stated_counts_and_names() -> None:
    phantom = source(val_per_class=5)
    for part, stated in (("train", 12), ("val", 5), ("test", 6)):
        assert count(phantom, part, "NORMAL") == count(phantom, part, "PNEUMONIA") == stated
    assert len(by_case(phantom)) == len(phantom.items)
    assert (phantom.items[0].case, phantom.items[0].subject) == ("train/NORMAL/phantom-0001-01", "s0001")
    assert (phantom.kind, phantom.location) == ("phantom", "phantom")


def test_without_contrast_a_sick_lung_is_the_healthy_one() -> None:
    flat, steep = source(contrast=0), source(contrast=1.0)
    healthy = source(contrast=0, label_noise=1.0)
    for index, item in enumerate(flat.items):
        equal = np.array_equal(flat.read(index), steep.read(index))
        assert equal == (item.class_name == "NORMAL")
        assert (flat.digest(index) == steep.digest(index)) == equal
    # every label swapped and not one pixel changed: nothing in the image knows its class
    swapped = {item.subject: item.class_name for item in healthy.items if item.part == "train"}
    assert all(swapped[item.subject] != item.class_name for item in flat.items if item.part == "train")
    names = {item.case.split("/")[-1]: index for index, item in enumerate(healthy.items)}
    for index, item in enumerate(flat.items):
        assert np.array_equal(flat.read(index), healthy.read(names[item.case.split("/")[-1]]))


def test_without_contrast_the_classes_have_one_distribution() -> None:
    phantom = source(contrast=0, size=32, train_per_class=300, test_per_class=0, repeat_subjects=0)
    means = images(phantom).mean(axis=(1, 2))
    sick = np.array([item.class_name == "PNEUMONIA" for item in phantom.items])
    error = np.sqrt(means[sick].var() / sick.sum() + means[~sick].var() / (~sick).sum())
    assert abs(means[sick].mean() - means[~sick].mean()) < 3 * error


def test_more_contrast_makes_the_same_sick_lungs_brighter() -> None:
    brightness = []
    for contrast in (0, 0.5, 1.0, 2.0):
        phantom = source(contrast=contrast)
        sick = [index for index, item in enumerate(phantom.items) if item.class_name == "PNEUMONIA"]
        brightness.append(np.mean([phantom.read(index).mean() for index in sick]))
    assert brightness == sorted(brightness)
    assert brightness[0] < brightness[1] < brightness[2]


def test_more_exposure_darkens_the_test_part_alone() -> None:
    less, none, more = (source(exposure_shift=shift) for shift in (-0.5, 0, 0.5))
    assert images(less, "test").mean() > images(none, "test").mean() > images(more, "test").mean()
    assert np.array_equal(images(less, "train"), images(more, "train"))
    train = [index for index, item in enumerate(none.items) if item.part == "train"]
    assert [less.digest(index) for index in train] == [more.digest(index) for index in train]
    test = [index for index, item in enumerate(none.items) if item.part == "test"]
    assert not {less.digest(index) for index in test} & {more.digest(index) for index in test}


def test_label_noise_swaps_the_stated_share_and_no_pixel() -> None:
    clean, noisy = source(train_per_class=20), source(train_per_class=20, label_noise=0.25)
    wrong = [(truth, item) for truth, item in zip(noisy.truth, noisy.items, strict=True) if truth != item.class_name]
    assert all(item.part == "train" for _, item in wrong)
    assert sum(truth == "NORMAL" for truth, _ in wrong) == sum(truth == "PNEUMONIA" for truth, _ in wrong) == 5
    assert count(noisy, "train", "NORMAL") == count(noisy, "train", "PNEUMONIA") == 20
    names = {item.case.split("/")[-1]: index for index, item in enumerate(clean.items)}
    for index, item in enumerate(noisy.items):
        there = names[item.case.split("/")[-1]]
        assert noisy.truth[index] == clean.items[there].class_name
        assert noisy.digest(index) == clean.digest(there)
        assert np.array_equal(noisy.read(index), clean.read(there))


@pytest.mark.parametrize("prevalence", [None, 0.25])
def test_duplicates_are_training_images_in_the_test_part(prevalence: float | None) -> None:
    phantom = source(duplicates=7, prevalence=prevalence, label_noise=0.1)
    parts: dict[str, list[int]] = defaultdict(list)
    for index in range(len(phantom.items)):
        parts[phantom.digest(index)].append(index)
    twins = [indices for indices in parts.values() if len(indices) > 1]
    assert len(twins) == 7
    for first, second in twins:
        assert (phantom.items[first].part, phantom.items[second].part) == ("train", "test")
        assert phantom.items[first].subject == phantom.items[second].subject
        assert phantom.items[second].class_name == phantom.truth[first]
        assert np.array_equal(phantom.read(first), phantom.read(second))
    assert sum(item.part == "test" for item in phantom.items) == 12


def test_prevalence_sets_the_share_in_the_test_part_alone() -> None:
    phantom = source(test_per_class=50, prevalence=0.1)
    assert (count(phantom, "test", "PNEUMONIA"), count(phantom, "test", "NORMAL")) == (10, 90)
    assert count(phantom, "train", "PNEUMONIA") == count(phantom, "train", "NORMAL") == 12


def test_the_training_and_validation_parts_have_a_prevalence_of_their_own() -> None:
    phantom = source(train_per_class=20, val_per_class=5, train_prevalence=0.8, prevalence=0.25)
    counts = {
        part: (count(phantom, part, "NORMAL"), count(phantom, part, "PNEUMONIA")) for part in ("train", "val", "test")
    }
    assert counts == {"train": (8, 32), "val": (2, 8), "test": (9, 3)}


def test_another_contrast_changes_the_sick_lungs_of_the_test_part_alone() -> None:
    plain, weaker = source(), source(test_contrast=0.2)
    for index, item in enumerate(plain.items):
        same = np.array_equal(plain.read(index), weaker.read(index))
        assert same == (item.part != "test" or item.class_name == "NORMAL"), item.case
        assert (plain.digest(index) == weaker.digest(index)) == same


def test_copies_within_the_training_part_are_images_of_it() -> None:
    phantom = source(train_duplicates=6)
    assert (count(phantom, "train", "NORMAL"), count(phantom, "train", "PNEUMONIA")) == (12, 12)
    digests: dict[str, list[str]] = defaultdict(list)
    for index, item in enumerate(phantom.items):
        digests[phantom.digest(index)].append(item.case)
    pairs = [cases for cases in digests.values() if len(cases) > 1]
    assert len(pairs) == 6
    assert all(case.startswith("train/") for cases in pairs for case in cases)
    assert len({item.case for item in phantom.items}) == len(phantom.items)


def test_label_noise_of_the_test_part_leaves_the_rest_alone() -> None:
    plain, noisy = source(), source(test_label_noise=0.5)
    wrong = [item.part for item, truth in zip(noisy.items, noisy.truth, strict=True) if item.class_name != truth]
    assert wrong == ["test"] * 6
    assert [i.case for i in plain.items if i.part == "train"] == [i.case for i in noisy.items if i.part == "train"]


def test_subjects_have_up_to_the_stated_number_of_images() -> None:
    phantom = source(train_per_class=200, repeat_subjects=1.0, most_images=9)
    images_of: dict[str | None, int] = defaultdict(int)
    for item in phantom.items:
        images_of[item.subject] += 1
    assert max(images_of.values()) == 9
    assert sum(n == 1 for n in images_of.values()) <= 4, "only what was cut off at the end of a part"


def test_no_subject_is_in_two_parts_or_classes() -> None:
    phantom = source(train_per_class=60, val_per_class=20, test_per_class=20, repeat_subjects=0.5)
    places: dict[str | None, set[tuple[str | None, str]]] = defaultdict(set)
    for item in phantom.items:
        places[item.subject].add((item.part, item.class_name))
    assert all(len(place) == 1 for place in places.values())


def test_repeat_subjects_is_the_share_with_two_to_four_images() -> None:
    def images_each(share: float) -> np.ndarray:
        phantom = source(train_per_class=1000, test_per_class=0, repeat_subjects=share)
        subjects = [item.subject for item in phantom.items]
        return np.unique(np.array(subjects), return_counts=True)[1]

    assert set(images_each(0)) == {1}
    assert set(images_each(0.3)) == {1, 2, 3, 4}
    assert (images_each(0.3) > 1).mean() == pytest.approx(0.3, abs=0.04)


def test_images_of_one_subject_are_more_alike_than_those_of_two() -> None:
    phantom = source(train_per_class=60, test_per_class=0, repeat_subjects=1.0, contrast=0)
    pixels = images(phantom).astype(float)
    subjects = [item.subject for item in phantom.items]
    same = [np.abs(pixels[i] - pixels[i + 1]).mean() for i in range(119) if subjects[i] == subjects[i + 1]]
    other = [np.abs(pixels[i] - pixels[i + 1]).mean() for i in range(119) if subjects[i] != subjects[i + 1]]
    assert np.mean(same) < 0.9 * np.mean(other)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"contrast": -1}, "data.source.contrast: got -1; expected a number from 0 to 5"),
        ({"contrast": "high"}, "data.source.contrast: got 'high'; expected a number from 0 to 5"),
        ({"contrast": float("nan")}, "data.source.contrast: got nan; expected a number from 0 to 5"),
        ({"contrast": True}, "data.source.contrast: got True; expected a number from 0 to 5"),
        ({"size": 16}, "data.source.size: got 16; expected a whole number from 32 to 1024"),
        ({"size": 64.0}, "data.source.size: got 64.0; expected a whole number from 32 to 1024"),
        ({"seed": -1}, "data.source.seed: got -1; expected a whole number from 0 to 9223372036854775807"),
        (
            {"train_per_class": 0},
            "data.source.train_per_class: got 0; expected a whole number from 1 to 100000",
        ),
        ({"val_per_class": -1}, "data.source.val_per_class: got -1; expected a whole number from 0 to 100000"),
        (
            {"test_per_class": True},
            "data.source.test_per_class: got True; expected a whole number from 0 to 100000",
        ),
        ({"prevalence": 1.5}, "data.source.prevalence: got 1.5; expected a number from 0 to 1"),
        (
            {"prevalence": 0.5, "test_per_class": 0},
            "data.source.prevalence: has no effect without a test part; delete it",
        ),
        (
            {"prevalence": 0, "test_per_class": 0},
            "data.source.prevalence: has no effect without a test part; delete it",
        ),
        (
            {"test_contrast": 0.5, "test_per_class": 0},
            "data.source.test_contrast: has no effect without a test part; delete it",
        ),
        ({"test_contrast": 6}, "data.source.test_contrast: got 6; expected a number from 0 to 5"),
        ({"train_prevalence": 2}, "data.source.train_prevalence: got 2; expected a number from 0 to 1"),
        ({"most_images": 1}, "data.source.most_images: got 1; expected a whole number from 2 to 99"),
        ({"train_duplicates": 13}, "data.source.train_duplicates: got 13; expected a whole number from 0 to 12"),
        ({"test_label_noise": 1.1}, "data.source.test_label_noise: got 1.1; expected a number from 0 to 1"),
        ({"exposure_shift": 4}, "data.source.exposure_shift: got 4; expected a number from -3 to 3"),
        ({"repeat_subjects": 2}, "data.source.repeat_subjects: got 2; expected a number from 0 to 1"),
        ({"duplicates": 13}, "data.source.duplicates: got 13; expected a whole number from 0 to 12"),
        ({"label_noise": -0.1}, "data.source.label_noise: got -0.1; expected a number from 0 to 1"),
    ],
)
def test_a_bad_value_is_refused_with_the_whole_message(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        source(**knobs)
    assert str(caught.value) == message


def test_written_images_read_back_equal_and_say_what_they_are(tmp_path: Path) -> None:
    phantom = source(train_per_class=3, test_per_class=2, duplicates=1)
    calls: list[tuple[int, int]] = []
    write_png(phantom, tmp_path / "films", lambda done, total: calls.append((done, total)))
    assert calls == [(done, 10) for done in range(1, 11)]
    written = sorted(path.relative_to(tmp_path / "films").as_posix() for path in tmp_path.rglob("*.*"))
    assert written == sorted(f"{item.case}.png" for item in phantom.items)
    for index, item in enumerate(phantom.items):
        with Image.open(tmp_path / "films" / f"{item.case}.png") as image:
            assert np.array_equal(np.asarray(image), phantom.read(index))
            assert image.info["Comment"] == NOTE == "Synthetic phantom, not a patient"


def test_writing_into_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError) as caught:
        write_png(source(), tmp_path)
    assert str(caught.value) == f"{tmp_path}: is not empty; expected a new or empty folder; name another one"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("prevalence", [None, 0.5, 0.1, 0.99])
@pytest.mark.parametrize("each", [1, 2, 3, 5])
def test_copies_never_change_how_many_images_there_are(prevalence: float | None, each: int) -> None:
    plain = source(train_per_class=each, train_prevalence=prevalence)
    copied = source(train_per_class=each, train_prevalence=prevalence, train_duplicates=each)
    for name in ("NORMAL", "PNEUMONIA"):
        assert count(plain, "train", name) == count(copied, "train", name)
