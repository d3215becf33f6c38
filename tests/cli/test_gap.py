"""The audit in `check`, the gap in `report`: on the terminal, as JSON, with a leak that is not allowed."""

import json
import re
import shutil

import pytest

import doubleread as dr
from doubleread.errors import UserError
from doubleread.stats import PARTS
from tests.conftest import small_study, write_folder

FINDING = {"kind", "level", "count", "text", "advice", "examples"}


@pytest.fixture
def leaking(tmp_path):
    """A study on images of which one stands in training and in test."""
    root = write_folder(tmp_path / "images")
    shutil.copy(root / "train" / "NORMAL" / "normal-002.png", root / "test" / "NORMAL" / "copy.png")
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(small_study(root)))
    return file


def test_check_shows_a_leak_with_its_cases_and_then_refuses_it(call, leaking):
    code, out, err = call("check", leaking)
    assert code == 2
    assert "error duplicates across splits: 1 group of byte-identical images: they reach over two splits" in flat(out)
    assert "test/NORMAL/copy.png, train/NORMAL/normal-002.png" in flat(out)
    assert "to do: keep one of each, or split with by: group" in flat(out)
    assert "1 image stands byte for byte in two splits" in err
    assert 'or state why it is allowed with allow_leakage: "why"' in flat(err)


def test_check_lists_every_finding_as_json_and_still_refuses(call, leaking):
    code, out, err = call("check", leaking, "--json")
    found = json.loads(out)
    assert code == 2
    assert err
    (audit,) = found["audit"]
    assert all(set(finding) == FINDING for finding in audit["findings"])
    (leak,) = [finding for finding in audit["findings"] if finding["kind"] == "duplicates across splits"]
    assert (leak["level"], leak["count"]) == ("error", 1)
    assert leak["examples"][0]["cases"] == ["test/NORMAL/copy.png", "train/NORMAL/normal-002.png"]
    assert [(row["split"], row["class"], row["cases"]) for row in audit["summary"]][-2:] == [
        ("test", "NORMAL", 11),
        ("test", "PNEUMONIA", 10),
    ]
    assert set(audit["domains"]) == {"NORMAL", "PNEUMONIA"}


def test_run_refuses_it_before_anything_trains_unless_it_is_allowed(call, leaking, tmp_path):
    code, _, err = call("run", leaking, "--store", tmp_path / "runs")
    assert code == 2
    assert "1 image stands byte for byte in two splits" in err
    code, out, _ = call("check", leaking, "--set", "data.allow_leakage=it is known")
    assert code == 0
    assert "warning duplicates across splits" in flat(out)


def test_check_prints_what_stands_beside_one_half_and_the_twins(call, image_folder, tmp_path):
    study = small_study(image_folder, threshold=["youden", 0.3], gap={"leakage": True})
    study["data"] |= {"subject": r"-(\d\d\d)\.png$", "allow_leakage": "a test"}
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    code, out, _ = call("check", tmp_path / "study.yaml", "--store", tmp_path / "none")
    assert code == 0
    assert "thresholds beside 0.5: youden, 0.3" in out
    assert "leakage: every arm that splits by case is trained on a split by groups too" in out
    assert re.search(r"5 arms × 2 seeds: 16 different runs", flat(out))


@pytest.fixture(scope="module")
def store(image_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("gap")
    (root / "study.yaml").write_text(json.dumps(small_study(image_folder, seeds=6)))
    dr.run(root / "study.yaml", store=root / "runs", progress=False)
    return root


def test_report_prints_and_writes_the_gap(call, store, tmp_path):
    where = ["small", "--store", store / "runs"]
    code, out, _ = call("report", *where, "--figures", tmp_path / "figures")
    assert code == 0
    assert "Why test differs from validation" in out
    assert "Over the arms: " in out
    assert (tmp_path / "figures" / "gap.svg").is_file()
    code, out, _ = call("report", *where, "--json")
    found = json.loads(out)
    assert [entry["arm"] for entry in found["gap"]] == [arm["arm"] for arm in found["arms"]] + [None]
    for entry in found["gap"]:
        assert {"val", "test", "gap", *PARTS, "verdict", "shown", "sentence"} <= set(entry)
        known = [entry[part]["value"] for part in PARTS if entry[part] is not None]
        assert sum(known) == pytest.approx(entry["gap"]["value"], abs=1e-9)
    assert found["audit"][0]["summary"]


def test_the_gap_from_python(store):
    results = dr.open_results("small", store=store / "runs")
    assert results.gap().arm.tolist()[-1] == "mean of the arms"
    assert set(results.thresholds().rule) == {"0.5", "youden", "sensitivity ≥ 0.95"}
    assert list(results.findings().columns) == ["data", "kind", "level", "example", "case", "note"]
    assert len([axes for axes in results.plot_gap().axes if axes.get_visible()]) == 6


def test_a_study_of_which_nothing_has_finished_has_no_waterfall(image_folder, tmp_path):
    study = small_study(image_folder)
    study["experiments"] = {
        "d": {
            "base": {"model": {"name": "mlp", "hidden": []}, "optimizer": {"name": "sgd", "lr": 1, "momentum": 0.9}},
            "factors": {"optimizer.lr": [1e38]},
        }
    }
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    results = dr.run(tmp_path / "study.yaml", store=tmp_path / "runs", progress=False)
    with pytest.raises(UserError, match="small: no run has finished; train it first"):
        results.plot_gap()
    assert len(results.gap()) == 0


def flat(text):
    return re.sub(r"\s+", " ", text)
