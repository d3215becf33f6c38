"""Images of 16 bits: kept, mixed with 8 bits, and trained on with the same numbers where they show the same."""

import numpy as np
import pytest

from doubleread.dataset import prepare
from doubleread.images import open_source
from doubleread.nouns import RunData
from doubleread.recipe.data import DataSpec
from doubleread.report.thumbnails import thumbnail
from doubleread.training import compute_of, train
from tests.conftest import draw_images
from tests.training.test_paths import recipe

EIGHT = {(part, label): draw_images(24, label, part == "test", 8) for part in ("train", "test") for label in (0, 1)}
SPEC = {"image_size": 8, "intensity": "unit", "split": {"val": 0.25, "by": "case", "seed": 0}, "positive": "1"}


def write(root, deep):
    for (part, label), images in EIGHT.items():
        (root / part).mkdir(parents=True, exist_ok=True)
        widened = images.astype(np.uint16) * 257 if (part, label) in deep else images
        np.save(root / part / f"{label}.npy", widened)
    return DataSpec(source=str(root), **SPEC)


def prepared(tmp_path, name, deep):
    spec = write(tmp_path / name, deep)
    return prepare(open_source(str(spec.source)), spec, tmp_path / f"{name} cache")


@pytest.mark.parametrize("deep", [set(EIGHT), {("train", 1)}, {("test", 0)}], ids=["all", "one class", "first image"])
def test_a_set_is_kept_in_16_bits_where_one_image_has_them(tmp_path, deep):
    eight, sixteen = prepared(tmp_path, "eight", set()), prepared(tmp_path, "sixteen", deep)
    assert (eight.images.dtype, sixteen.images.dtype) == (np.uint8, np.uint16)
    assert np.array_equal(sixteen.images, eight.images.astype(np.uint16) * 257)
    # found again, and from another cache by content alone
    spec = DataSpec(source=str(tmp_path / "sixteen"), **SPEC)
    again = prepare(open_source(str(spec.source)), spec, tmp_path / "sixteen cache")
    assert again.data_hash == sixteen.data_hash
    assert again.images.dtype == np.uint16


def run_data(images):
    labels = np.arange(len(images)) % 2
    rows = np.arange(len(images))
    return RunData(images=images, labels=labels, train=rows[:24], val=rows[24:32], test=rows[32:40])


@pytest.mark.parametrize("intensity", ["raw", "unit", "standard", "image"])
def test_a_run_on_16_bits_is_that_on_8_where_they_show_the_same(intensity):
    images = np.concatenate([EIGHT["train", 0], EIGHT["train", 1]])[np.arange(48).reshape(2, 24).T.ravel()]
    plan = recipe(epochs=3, batch_size=8)
    assert compute_of(plan, bits=16).path == "reference"
    reference = compute_of(plan, bits=16)
    found = [
        train(plan, 0, intensity, run_data(one), compute=reference) for one in (images, images.astype(np.uint16) * 257)
    ]
    if intensity == "standard":
        # the mean and the SD come from other sums
        assert np.allclose(found[0].test_logits, found[1].test_logits, rtol=1e-4, atol=1e-5)
    else:
        assert np.array_equal(found[0].test_logits, found[1].test_logits)
    steps = np.random.default_rng(0).integers(0, 257, images.shape).astype(np.uint16) * (images < 255)
    finer = train(plan, 0, intensity, run_data(images * np.uint16(257) + steps), compute=reference)
    assert not np.array_equal(finer.test_logits, found[1].test_logits)


def test_thumbnails_show_both_alike():
    pixels = draw_images(1, 1, 0)[0]
    assert thumbnail(pixels.astype(np.uint16) * 257) == thumbnail(pixels)
