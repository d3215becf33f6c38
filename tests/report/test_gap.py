"""The gap and the audit in words, tables, figures and on the page."""

import base64
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from doubleread import report
from doubleread.report import gaps as words
from doubleread.report.gap_figures import roc_figure, waterfall_figure
from doubleread.report.thumbnails import thumbnail
from doubleread.stats import PARTS, Estimate, Gap, GapVerdict


def estimate(value, half=0.02):
    return Estimate(value=value, seed_var=0, case_var=0, se=half / 2, df=9, lo=value - half, hi=value + half, p=0.5)


def gap(kind, parts, *, leakage=None, prevalence=0.0, threshold=0.0, ranking=0.0):
    values = {"prevalence": prevalence, "threshold": threshold, "ranking": ranking}
    total = sum(values.values()) + (leakage or 0)
    return Gap(
        val=estimate(0.9),
        test=estimate(0.9 - total),
        gap=estimate(total, 0.03),
        leakage=None if leakage is None else estimate(leakage),
        **{name: estimate(value) for name, value in values.items()},
        verdict=GapVerdict(kind=kind, parts=parts),
    )


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            gap("mostly", ("threshold", "ranking"), threshold=0.15, ranking=0.05),
            "Validation is 20.0 points (17.0 to 23.0) above test. Mostly threshold, 15.0 points (13.0 to 17.0): the"
            " test cases would need another operating point than 0.5. Beside it: ranking 5.0 points (3.0 to 7.0).",
        ),
        (
            gap("mostly", ("leakage",), leakage=0.1),
            "Validation is 10.0 points (7.0 to 13.0) above test. Mostly leakage, 10.0 points (8.0 to 12.0): subjects or"
            " copies on both sides of the split make validation look better than it is.",
        ),
        (
            gap("mixed", ("threshold", "ranking"), threshold=0.06, ranking=0.05),
            "Validation is 11.0 points (8.0 to 14.0) above test. Mixed: threshold 6.0 points (4.0 to 8.0) and ranking"
            " 5.0 points (3.0 to 7.0); none is shown to be more than half.",
        ),
        (
            gap("mixed", ("prevalence",), prevalence=0.04, ranking=0.03),
            "Validation is 7.0 points (4.0 to 10.0) above test. Mixed: prevalence 4.0 points (2.0 to 6.0) is shown, but"
            " not that it is more than half; the test set has another share of positive cases.",
        ),
        (
            gap("mixed", (), ranking=0.04),
            "Validation is 4.0 points (1.0 to 7.0) above test. Mixed: no part alone is shown to be above 0.",
        ),
        (
            gap("none", (), ranking=0.01),
            "No gap is shown: validation minus test is 1.0 points (−2.0 to 4.0).",
        ),
        (
            gap("reverse", ("ranking",), ranking=-0.08),
            "Test is above validation: validation minus test is −8.0 points (−11.0 to −5.0). Below 0: ranking −8.0"
            " points (−10.0 to −6.0).",
        ),
        (
            gap("undecided", (), ranking=0.08),
            "Validation minus test is 8.0 points (5.0 to 11.0); fewer than 6 seeds give no verdict on what it is made"
            " of.",
        ),
    ],
)
def test_a_verdict_is_a_sentence(found, text):
    assert words.gap_sentence(found) == text


def test_points_are_written_with_their_interval_where_there_is_one():
    nan = float("nan")
    assert words.points(estimate(-0.0004, 0.01)) == "0.0 points (−1.0 to 1.0)"
    alone = Estimate(value=0.1, seed_var=nan, case_var=nan, se=nan, df=nan, lo=nan, hi=nan, p=nan)
    assert words.points(alone) == "10.0 points"
    assert words.tenths(estimate(0.0, 0.0)) == ("0.0", "")


def test_the_json_has_every_arm_and_their_mean(result):
    entries = words.gap_json(result.gaps)
    assert [entry["arm"] for entry in entries][-1] is None
    assert {entry["arm"] for entry in entries[:-1]} == {arm.arm.name for arm in result.arms if arm.done}
    for entry in entries:
        parts = [entry[name] for name in PARTS]
        assert parts[0] is None
        assert sum(part["value"] for part in parts[1:]) == pytest.approx(entry["gap"]["value"])
        assert entry["verdict"] == "undecided"
    first = entries[0]
    assert set(first["splits"]) == {"val", "test"}
    assert [rule["rule"] for rule in first["thresholds"]] == ["0.5", "youden", "sensitivity ≥ 0.95"]
    assert first["thresholds"][0]["test"]["accuracy"]["value"] == pytest.approx(first["test"])
    assert set(first["rescaled"]) == {"none", "temperature", "platt"}
    # no number that JSON does not know
    json.loads(json.dumps(entries, allow_nan=False))
    json.loads(json.dumps([words.audit_json(audit) for audit in result.audits], allow_nan=False))


def test_a_collapsed_arm_has_no_slope_and_no_implied_prevalence(result):
    entry = next(entry for entry in words.gap_json(result.gaps) if entry["arm"] == "rate/1e-09")
    assert entry["collapsed"] == 3
    assert entry["label_shift"]["estimated"] is None
    assert entry["label_shift"]["applies"] is None


def test_tables_hold_the_same(result, tmp_path):
    report.write_tables(result, tmp_path)
    gaps = pd.read_csv(tmp_path / "gap.csv")
    assert gaps.arm.tolist()[-1] == "mean of the arms"
    assert (gaps.prevalence + gaps.threshold + gaps.ranking - gaps.gap).abs().max() < 1e-12
    thresholds = pd.read_csv(tmp_path / "thresholds.csv")
    half = thresholds[thresholds.rule == "0.5"]
    assert half.gain.tolist() == [0.0] * len(half)
    confusion = pd.read_csv(tmp_path / "confusion.csv")
    counts = ["true_negative", "false_positive", "false_negative", "true_positive"]
    assert set(confusion[confusion.split == "test"][counts].sum(axis=1)) == {20}
    runs = pd.read_csv(tmp_path / "runs.csv")
    test = confusion[confusion.split == "test"].merge(runs, on=["arm", "seed"])
    assert np.allclose((test.true_negative + test.true_positive) / 20, test.accuracy)
    assert list(pd.read_csv(tmp_path / "findings.csv").columns) == ["data", "kind", "level", "example", "case", "note"]


def test_tables_of_a_study_without_finished_runs_have_their_columns():
    none = words.Gaps(arms=(), overall=None)
    assert list(words.gap_frame(none).columns)[:3] == ["arm", "val", "test"]
    assert list(words.thresholds_frame(none).columns)[:3] == ["arm", "rule", "threshold"]


def test_a_waterfall_ends_where_test_is(result):
    figure = waterfall_figure(result.gaps)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == len(result.gaps.arms) + 1
    for axes, arm in zip(panels, result.gaps.arms, strict=False):
        bars = axes.patches
        ends = [bar.get_y() for bar in bars] + [bar.get_y() + bar.get_height() for bar in bars]
        level = arm.gap.val.value
        for bar, part in zip(bars, arm.gap.parts().values(), strict=True):
            assert bar.get_height() == pytest.approx(part.value)
            level -= part.value
            assert bar.get_y() == pytest.approx(level)
        assert level == pytest.approx(arm.gap.test.value)
        low, high = axes.get_ylim()
        assert low <= min(ends)
        assert high >= max(ends)


def test_roc_curves_name_every_arm_and_how_many_collapsed(result):
    experiment = next(e for e in result.study.experiments if e.name == "rate")
    (legend,) = roc_figure(result, experiment).legends
    assert [text.get_text() for text in legend.get_texts()] == ["1e-09 (3 of 3 collapsed)"]


@pytest.fixture(scope="module")
def html(result):
    return report.page([result])


def test_the_page_shows_the_gap_and_the_audit(html):
    for text in (
        "The gap: why test differs from validation",
        "Over the arms: Validation minus test is",
        "Thresholds chosen on validation alone, beside 0.5",
        "Temperature and Platt scaling",
        "The worst test cases",
        "Confusion matrices",
        "precision–recall",
        "What was measured of the images",
        "<h3>Audit</h3>",
    ):
        assert text in html, text
    assert not re.search(r">\s*nan|nan %|nan to", html)


def test_the_page_escapes_the_names_of_classes_and_cases(html):
    measured = html.partition("What was measured of the images")[2].partition("<h3>Audit</h3>")[0]
    assert measured.count("&lt;script&gt;") == 3, "the class stands in the row of each split"
    assert html.count("<script") == 3, "the numbers, the library, the page's own"


def test_a_thumbnail_is_small_and_shows_the_image():
    pixels = np.tile(np.linspace(0, 255, 256).astype(np.uint8), (256, 1))
    address = thumbnail(pixels)
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        assert image.size == (112, 112)
        assert np.abs(np.asarray(image).astype(int)[50] - np.linspace(0, 255, 112)).max() < 12
    assert len(address) < 8000
