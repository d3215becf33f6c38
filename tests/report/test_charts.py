"""The charts' numbers are the tables' numbers; what the page says of methods, checklist and other studies is true."""

import json
import re

import numpy as np
import pytest

from doubleread import report
from doubleread.analysis import (
    CaseSet,
    RunScores,
    StudyResult,
    analyse,
    class_confusion,
    compare_arms,
    confident_cases,
)
from doubleread.report.charts import CUTS, charts_of
from doubleread.report.checklist import NOT_REPORTED, checklist
from doubleread.report.methods import bibtex, citation, intervals_text, margins_text, methods
from doubleread.report.sentences import amount
from doubleread.runner import Silent, prepare_study, train_study
from doubleread.store import open_store
from doubleread.study import load_study, parse_study
from tests.conftest import small_study, write_folder


@pytest.fixture(scope="module")
def charts(result):
    found = charts_of(result)
    json.dumps(found, allow_nan=False)
    return found


def test_the_slider_in_the_middle_is_the_confusion_matrix(charts, result):
    middle = len(CUTS) // 2
    assert CUTS[middle] == 0.5
    assert (np.diff(CUTS) > 0).all()
    for arm in charts["thresholds"]["arms"]:
        for split in ("validation", "test"):
            counts = class_confusion(result.of(arm["name"]).scores, 2, validation=split == "validation")
            assert arm[split]["cases"] == counts.sum(axis=2).mean(axis=0).tolist()
            called = [arm[split]["mean"][label][middle] for label in (0, 1)]
            assert called == pytest.approx(counts[:, :, 1].mean(axis=0), rel=1e-4)
            assert [arm[split]["lo"][label][middle] for label in (0, 1)] == counts[:, :, 1].min(axis=0).tolist()


def test_calls_become_fewer_as_the_threshold_rises(charts):
    for arm in charts["thresholds"]["arms"]:
        for counts in arm["test"]["mean"]:
            assert (np.diff(counts) <= 0).all()


def test_arms_and_curves_are_those_of_the_tables(charts, result):
    (bce,) = [arm for arm in charts["arms"]["arms"] if arm["name"] == "loss/bce"]
    spread = result.of("loss/bce").spreads["accuracy"]
    assert bce["metrics"]["accuracy"]["values"] == pytest.approx(spread.values, rel=1e-4)
    assert bce["metrics"]["accuracy"]["reported"] == 0.75
    first = charts["curves"]["batch"][0]
    assert first["seeds"] == [0, 1, 2]
    epochs = result.of("batch/4").done[1].epochs
    assert first["curves"]["val_loss"][1] == pytest.approx([epoch["val_loss"] for epoch in epochs], rel=1e-4)


def test_the_surest_wrong_calls():
    cases = CaseSet(names=("a", "b", "c", "d"), labels_N=np.array([0, 0, 1, 1]), subjects_N=np.arange(4))

    def run(seed, logits, collapsed=False):
        return RunScores(arm="x", seed=seed, collapsed=collapsed, metrics={}, test=(cases, np.array(logits)), val=None)

    runs = [run(0, [2.0, -1.0, -3.0, 1.0]), run(1, [4.0, -2.0, 1.0, 2.0]), run(2, [9.0, 9.0, 9.0, 9.0], collapsed=True)]
    found = confident_cases(runs, 5)
    assert [(case.case, case.seed, case.label, case.called) for case in found] == [("a", 1, 0, 1), ("c", 0, 1, 0)]
    assert [case.chance for case in found] == pytest.approx([1 / (1 + np.exp(-4.0)), 1 / (1 + np.exp(-3.0))])
    assert [case.case for case in confident_cases(runs, 5, {"a"})] == ["c"]
    assert [case.case for case in confident_cases(runs, 1)] == ["a"]
    assert confident_cases(runs[2:], 5) == []


def test_methods_say_what_was_done(result):
    said = " ".join(methods(result))
    for text in ("3 seeds", "48 for", "20 for test", "8 × 8 pixels", "25 % were drawn for validation", "by image"):
        assert text in said.replace("36 for training", "48 for"), text
    assert "3 diverged" in said
    assert "Obuchowski" not in said, "a study that claims nothing was judged by nothing"
    assert citation().startswith("The doubleread developers. ")
    assert re.fullmatch(r"@software\{doubleread,\n(  \w+ = \{.*\},?\n){4}\}", bibtex())


def entries(result: StudyResult) -> dict[str, str | None]:
    return {entry["item"]: entry["value"] for group in checklist(result) for entry in group["items"]}


def test_the_checklist_says_what_is_not_known(result):
    found = entries(result)
    for item in ("licence", "population", "reference standard", "sample size", "multiplicity"):
        assert found[item] is None, item
    assert found["external test"] == "none"
    collapsed = len({run.run_id for arm in result.arms for run in arm.done if run.health["collapsed"]})
    assert found["number of runs"] == f"15 done, 3 diverged; {collapsed} of the finished runs collapsed"
    assert found["hash"] == result.data[0].data_hash
    assert report.page([result]).count(NOT_REPORTED) == sum(value is None for value in found.values())


@pytest.fixture(scope="module")
def two(image_folder, tmp_path_factory):
    """Two studies of the same images, one at another size, the second with what its author knows of the data."""
    root = tmp_path_factory.mktemp("two")
    claim = {"id": "b", "metric": "accuracy", "better": 4, "than": 8}
    results = []
    with open_store(root, write=True) as store:
        for name, size in (("small", 8), ("larger", 12)):
            raw = small_study(image_folder, study=name, seeds=6)
            raw["data"] = {**raw["data"], "image_size": size}
            raw["experiments"] = {"batch": {"factors": {"batch_size": [4, 8]}, "claims": [claim]}}
            if name == "larger":
                raw["reporting"] = {"licence": "CC BY 4.0", "reference_standard": "two readers & a <third>"}
            study = parse_study(raw, place="s")
            train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=Silent())
            results.append(analyse(study, store))
    return results


def test_what_only_the_author_knows_stands_in_the_checklist(two):
    assert entries(two[1])["licence"] == "CC BY 4.0"
    assert "two readers &amp; a &lt;third&gt;" in report.page([two[1]])
    assert "fixed before the first run" in " ".join(methods(two[1]))


def test_side_by_side_the_difference_is_paired(two):
    found = report.comparison_section(*two)
    assert found["settings"] == [{"path": "data.image_size", "first": "8", "second": "12"}]
    assert [arm["arm"] for arm in found["arms"]] == ["batch/4", "batch/8"]
    pair = compare_arms(two[0], two[1], ("accuracy", "auroc"))[0]
    values = [np.array(result.of("batch/4").spreads["accuracy"].values) for result in two]
    assert pair.differences["accuracy"].value == pytest.approx(float((values[0] - values[1]).mean()))
    assert compare_arms(two[1], two[0], ("accuracy",))[0].differences["accuracy"].value == pytest.approx(
        -pair.differences["accuracy"].value
    )
    same = compare_arms(two[0], two[0], ("accuracy",))[0].differences["accuracy"]
    assert same.value == 0.0
    page = report.page(two, compare=True)
    assert "Side by side: small and larger" in page
    assert found["claims"][0]["cells"][0]["verdict"] in page


def test_images_of_other_names_are_not_compared(two, result):
    found = report.comparison_json(two[0], result)
    assert {arm["why"] for arm in found["arms"]} == {"the images have other names"}
    assert all(arm["differences"] == {} for arm in found["arms"])
    json.dumps(found, allow_nan=False)


def test_tables_for_a_paper(two, tmp_path):
    report.write_tables(two[1], tmp_path)
    tex, md = (tmp_path / "arms.tex").read_text(), (tmp_path / "claims.md").read_text()
    assert tex.count(r" \\") == 1 + 2
    spread = two[1].of("batch/4").spreads["auroc"]
    assert f"{spread.mean:.3f} (" in tex
    assert "95 \\% confidence interval" in tex
    assert re.search(r"^\| test accuracy is higher with batch size 4 .* \|$", md, re.M)
    assert md.count("\n| ") == 2 + 1


def test_signs_that_mean_something_to_latex_or_markdown_are_escaped(result, tmp_path):
    report.write_tables(result, tmp_path)
    assert "1e-09" in (tmp_path / "arms.tex").read_text()
    from_file = (tmp_path / "arms.md").read_text()
    assert from_file.count("|") == (2 + len(result.arms)) * 9


def test_methods_fit_what_is_claimed():
    """The reports claim things of test images, of curves, and of times, with several margins of a metric."""
    study = load_study("report-a")
    said = margins_text(study.claims)
    for claim in study.claims:
        assert amount(claim.metric, claim.margin) in said, claim.id
    text = intervals_text(study.claims)
    assert "Scores on test" in text
    assert "paired t interval over the seeds" in text
    on_loss = [claim for claim in study.claims if claim.metric.endswith("loss")]
    assert "Obuchowski" not in intervals_text(on_loss)


def test_sealed_studies_are_compared_on_validation_and_on_the_same_images_alone(two, image_folder, tmp_path):
    results = []
    for name, folder in (("sealed", image_folder), ("sealed-other", write_folder(tmp_path / "other", size=20))):
        raw = small_study(folder, study=name, seeds=6, test="sealed")
        raw["experiments"] = {"batch": {"factors": {"batch_size": [4, 8]}}}
        study = parse_study(raw, place="s")
        with open_store(tmp_path / "runs", write=True) as store:
            train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=Silent())
            results.append(analyse(study, store))
    same = report.comparison_json(results[0], results[0])["arms"]
    assert all(set(arm["differences"]) >= {"val_accuracy"} for arm in same)
    assert {arm["why"] for arm in report.comparison_json(*results)["arms"]} == {"scored on other images"}
    assert {arm["why"] for arm in report.comparison_json(results[0], two[0])["arms"]} == {
        "the test images of one are sealed"
    }
    report.page([results[0], two[0]], compare=True)
