"""The audit: every planted fault is found, with its cases; clean data has no findings; what was measured is kept."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from doubleread.dataset import prepare
from doubleread.dataset.audit import FEATURES, differences_of, findings_of, issue_rates, label_issues, measured_of
from doubleread.dataset.audit.near import near_duplicates
from doubleread.dataset.audit.pixels import _border, measure_pixels
from doubleread.dataset.audit.rates import _p_of_excess
from doubleread.dataset.prepared import AUDIT
from doubleread.images import PhantomSource, PhantomSpec
from doubleread.recipe.data import DataSpec
from tests.conftest import draw_images, write_folder
from tests.dataset.test_prepare import made


def findings(root, cache, **changes):
    data = made(root, cache, **{"allow_leakage": "a test", "image_size": 16, **changes})
    return {finding.kind: finding for finding in findings_of(data, measured_of(data))}, data


def phantom(tmp_path, *, by="case", **knobs):
    given = {"size": 48, "train_per_class": 150, "test_per_class": 80, "repeat_subjects": 0.0, "exposure_shift": 0.0}
    source = PhantomSource(PhantomSpec(**{**given, **knobs}))
    data = DataSpec.model_validate(
        {
            "source": "phantom",
            "positive": "PNEUMONIA",
            "image_size": 48,
            "intensity": "unit",
            "split": {"val": 0.25, "by": by, "seed": 0},
            "subject": "given",
            "allow_leakage": "a test",
        }
    )
    return source, prepare(source, data, tmp_path)


@pytest.fixture
def root(tmp_path):
    return write_folder(tmp_path / "images")


def test_clean_data_has_no_finding(tmp_path):
    _, data = phantom(tmp_path)
    found = findings_of(data, measured_of(data))
    assert [finding.kind for finding in found if finding.level != "note"] == []


def test_copies_are_found_within_and_across_splits_and_with_both_labels(root, tmp_path):
    train, test = root / "train" / "NORMAL", root / "test"
    shutil.copy(train / "normal-001.png", test / "NORMAL" / "copy.png")
    shutil.copy(test / "PNEUMONIA" / "pneumonia-003.png", test / "PNEUMONIA" / "again.png")
    shutil.copy(train / "normal-004.png", test / "PNEUMONIA" / "other.png")
    found, _ = findings(root, tmp_path / "cache")
    assert found["duplicates across splits"].count == 2
    (within,) = found["duplicates within a split"].examples
    assert within.cases == ("test/PNEUMONIA/again.png", "test/PNEUMONIA/pneumonia-003.png")
    (both,) = found["duplicates with different labels"].examples
    assert set(both.cases) == {"train/NORMAL/normal-004.png", "test/PNEUMONIA/other.png"}
    assert "test, PNEUMONIA" in both.note


def test_a_known_leak_is_an_error_unless_it_is_allowed(root, tmp_path):
    found, data = findings(root, tmp_path / "cache", subject=r"-(\d\d)\d\.png$")
    shared = found["subjects in several splits"]
    assert (shared.level, shared.count) == ("warning", 3)
    assert sum(len(example.cases) for example in shared.examples) == 68
    data.meta["settings"].pop("allow_leakage")
    again = {finding.kind: finding for finding in findings_of(data, measured_of(data))}
    assert again["subjects in several splits"].level == "error"
    assert next(iter(again)) == "subjects in several splits", "errors come first"


def test_images_that_show_nothing_are_found(root, tmp_path):
    Image.fromarray(np.full((16, 16), 90, np.uint8)).save(root / "train" / "NORMAL" / "normal-000.png")
    faint = np.full((16, 16), 90, np.uint8)
    faint[::2] += 3
    Image.fromarray(faint).save(root / "test" / "PNEUMONIA" / "pneumonia-000.png")
    found, _ = findings(root, tmp_path / "cache")
    assert [example.cases for example in found["constant"].examples] == [("train/NORMAL/normal-000.png",)]
    assert [example.cases for example in found["near-constant"].examples] == [("test/PNEUMONIA/pneumonia-000.png",)]


def test_unreadable_images_are_listed_with_the_reason(root, tmp_path):
    (root / "train" / "NORMAL" / "empty.png").write_bytes(b"")
    found, _ = findings(root, tmp_path / "cache", skip_unreadable=True)
    (example,) = found["unreadable"].examples
    assert (example.cases, example.note) == (("train/NORMAL/empty.png",), "an empty file")


def encoded(pixels, quality):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content).convert("L"))


def turned(pixels, degrees):
    return np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BILINEAR))


@pytest.mark.parametrize(
    ("copy", "mirrored"),
    [
        (lambda p: encoded(p, 30), False),
        (lambda p: np.minimum(p.astype(int) + 25, 255).astype(np.uint8), False),
        (lambda p: (255 * (p / 255) ** 1.3).astype(np.uint8), False),
        (lambda p: turned(p, 1), False),
        (lambda p: p[:, ::-1].copy(), True),
    ],
    ids=["compressed", "brighter", "contrast", "turned", "mirrored"],
)
def test_almost_equal_images_are_found_and_no_others(copy, mirrored):
    source = PhantomSource(PhantomSpec(size=128, train_per_class=40, test_per_class=0, repeat_subjects=0.0))
    images = [source.read(index) for index in range(80)]
    images.append(copy(images[7]))
    small = [np.asarray(Image.fromarray(i).resize((32, 32), Image.Resampling.BOX)) for i in images]
    (pair,) = near_duplicates(np.stack(small))
    assert pair[:2].tolist() == [7, 80]
    assert pair[4] == mirrored


def test_almost_equal_images_across_splits_are_a_finding(tmp_path):
    root = tmp_path / "images"
    source = PhantomSource(PhantomSpec(size=64, train_per_class=12, test_per_class=4, repeat_subjects=0.0))
    for index, item in enumerate(source.items):
        path = root / f"{item.case}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(source.read(index)).save(path)
    original = next((root / "train" / "NORMAL").iterdir())
    with Image.open(original) as image:
        image.save(root / "test" / "NORMAL" / "again.jpeg", quality=60)
    found, _ = findings(root, tmp_path / "cache", image_size=64)
    (example,) = found["near-duplicates across splits"].examples
    assert set(example.cases) == {f"train/NORMAL/{original.name}", "test/NORMAL/again.jpeg"}
    assert "correlation 0.99" in example.note or "correlation 1.000" in example.note


def test_features_are_what_they_say(root, tmp_path):
    pixels = np.full((16, 16), 100, np.uint8)
    pixels[4:, :] = np.arange(16, dtype=np.uint8) * 10
    Image.fromarray(pixels).save(root / "train" / "NORMAL" / "normal-000.png")
    colour = np.stack([draw_images(1, 0, 5)[0]] * 3, axis=2)
    Image.fromarray(colour).save(root / "train" / "NORMAL" / "normal-001.png")
    data = made(root, tmp_path / "cache", image_size=16)
    features, thumbnails = measure_pixels(data, lambda *_: None)
    rows = {case.case: row for row, case in enumerate(data.cases)}
    first = dict(zip(FEATURES, features[rows["train/NORMAL/normal-000.png"]], strict=True))
    assert (first["width"], first["height"], first["colour"]) == (16, 16, 0)
    assert first["mean"] == pytest.approx(pixels.mean())
    assert first["sd"] == pytest.approx(pixels.std())
    assert first["p50"] == np.quantile(pixels, 0.5, method="inverted_cdf")
    assert first["border"] == pytest.approx(4 / 16)
    assert features[rows["train/NORMAL/normal-001.png"]][FEATURES.index("colour")] == 1
    assert thumbnails.shape == (68, 32, 32)


@pytest.mark.parametrize("across", [0, 1])
def test_a_gradient_is_no_border(across):
    pixels = np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1))
    assert 0 <= _border(pixels.T if across else pixels) <= 1


def test_a_shift_of_exposure_is_a_difference_between_splits(tmp_path):
    _, data = phantom(tmp_path, exposure_shift=-1.0)
    found = {finding.kind: finding for finding in findings_of(data, measured_of(data))}
    assert found["differences between splits"].level == "warning"
    shifted = {d.feature: d for d in differences_of(data, measured_of(data).features_NF) if d.between != "classes"}
    assert shifted["mean"].auroc > 0.9
    assert shifted["mean"].groups == ("training and validation", "test")
    assert "width" not in shifted


def test_another_class_balance_is_a_note(tmp_path):
    _, data = phantom(tmp_path, prevalence=0.2)
    found = {finding.kind: finding for finding in findings_of(data, measured_of(data))}
    assert found["class balance"].text == "PNEUMONIA is 50.0 % of train, 50.0 % of val, 20.0 % of test"


def test_wrong_labels_are_found_and_told_from_weaker_findings(tmp_path):
    source, data = phantom(tmp_path / "a", test_label_noise=0.15)
    measured = measured_of(data)
    truth = dict(zip((item.case for item in source.items), source.truth, strict=True))
    wrong = np.array([truth[case.case] != case.class_name for case in data.cases])
    issues = label_issues(measured.chance_N, data.labels)
    assert wrong[issues].mean() > 10 * 0.5 * wrong.mean(), "wrong labels are many times as frequent in the list"
    assert wrong[issues].sum() > 0.6 * wrong.sum()
    found = {finding.kind: finding for finding in findings_of(data, measured)}
    assert found["label issues"].level == "warning"
    rates = issue_rates(data, measured)
    assert rates["test", "NORMAL"][0] > 5 * rates["val", "NORMAL"][0]

    _, weaker = phantom(tmp_path / "b", test_contrast=0.3)
    rates = issue_rates(weaker, measured_of(weaker))
    assert rates["test", "PNEUMONIA"][0] > 5
    assert rates["test", "NORMAL"][0] < 5


def test_disputed_labels_are_counted_by_subject():
    """Four images of a subject are disputed together: a test of images would alarm five times as often as it says."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        subjects = np.repeat(np.arange(60), 4)
        issue = (rng.random(60) < 0.1)[subjects]
        test = (np.arange(60) < 20)[subjects]
        alarms += _p_of_excess(issue, test, subjects) < 0.025
    assert alarms <= 12
    assert _p_of_excess(np.arange(60) < 15, np.arange(60) < 30, np.arange(60)) < 0.001
    assert _p_of_excess(np.zeros(60, dtype=bool), np.arange(60) < 30, np.arange(60)) == 1.0


def test_the_quick_model_says_nothing_of_too_few_groups(root, tmp_path):
    data = made(root, tmp_path / "cache", subject=r"(NORMAL|PNEUMONIA)", allow_leakage="a test")
    assert np.isnan(measured_of(data).chance_N).all()
    assert len(label_issues(measured_of(data).chance_N, data.labels)) == 0


def test_what_was_measured_is_kept_and_measured_again_where_it_is_damaged(root, tmp_path):
    data = made(root, tmp_path / "cache")
    seen = []
    first = measured_of(data, lambda what, done, total: seen.append(what), keep=True)
    assert "measuring images" in seen
    seen.clear()
    again = measured_of(data, lambda what, done, total: seen.append(what))
    assert seen == []
    assert np.array_equal(first.features_NF, again.features_NF)
    assert np.array_equal(first.chance_N, again.chance_N)
    (data.folder / AUDIT).write_bytes((data.folder / AUDIT).read_bytes()[:100])
    mended = measured_of(data, lambda what, done, total: seen.append(what), keep=True)
    assert "measuring images" in seen
    assert np.array_equal(first.features_NF, mended.features_NF)


@pytest.mark.slow
def test_the_audit_of_the_real_images(shared, tmp_path):
    """What is known of them: 30 groups of byte-identical images, and what a split by case does to subjects."""
    source = shared / "data" / "kermany224"
    data = made(
        source,
        tmp_path,
        subject="kermany",
        image_size=64,
        split={"val": 0.2, "by": "case", "seed": 0},
        allow_leakage="-",
    )
    found = {finding.kind: finding for finding in findings_of(data, measured_of(data))}
    groups = found["duplicates across splits"].count + found["duplicates within a split"].count
    assert groups == 30
    assert "duplicates with different labels" not in found
    assert not any(kind.startswith("near-duplicates") for kind in found)
    assert 250 < found["subjects in several splits"].count < 330
    assert not any("test" in example.note for example in found["subjects in several splits"].examples)
    rates = issue_rates(data, measured_of(data))
    assert rates["test", "NORMAL"][0] / rates["test", "NORMAL"][1] > 4 * (
        rates["train", "NORMAL"][0] / rates["train", "NORMAL"][1]
    )
