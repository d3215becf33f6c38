"""`test: sealed`: no score on the test images exists until it is unsealed, and each look is counted."""

import json

import numpy as np
import pytest

from doubleread import api, cli
from doubleread.analysis import analyse
from doubleread.errors import UserError
from doubleread.metrics import metric_names, needs_test
from doubleread.report.charts import charts_of
from doubleread.store import open_store
from doubleread.study import parse_study
from tests.conftest import small_study


def sealed_study(image_folder):
    raw = small_study(image_folder, test="sealed", margin={"val_auroc": 0.02})
    raw["experiments"]["batch"]["claims"] = [
        {"id": "on-test", "metric": "accuracy", "better": 8, "than": 4},
        {"id": "on-validation", "metric": "val_auroc", "better": 8, "than": 4},
    ]
    return parse_study(raw, place="study.yaml")


@pytest.fixture(scope="module")
def store(image_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("sealed") / "runs"
    api.run(sealed_study(image_folder), store=root, progress=False)
    return root


def test_while_it_is_sealed_no_score_on_test_exists(image_folder, store, tmp_path):
    results = api.open_results(sealed_study(image_folder), store=store)
    assert results.result.sealed
    arms = results.arms()
    # what was reported elsewhere is no score of ours
    found = set(arms[arms["mean"].notna()]["metric"])
    assert found == {name for name in metric_names() if not needs_test(name)} - {
        "macro_auroc",
        "macro_recall",
        "val_macro_auroc",
        "val_macro_recall",
    }
    assert list(results.claims()["id"]) == ["on-validation"]
    assert results.gap().empty
    assert set(results.logits()["split"]) == {"val"}
    assert not any(name.startswith("val_") is False for name in results.ensembles()["metric"])
    for run in results.result.arms[0].runs:
        assert len(run.logits.test) == 0
    page = results.save_report(tmp_path / "report.html").read_text()
    assert "The test images are sealed: no score on them exists here; so far they were never looked at." in page
    # the methods and the checklist name what is claimed
    assert "test accuracy" not in page.split('id="methods"')[0].lower()
    charts = charts_of(results.result)
    shown = {metric["key"] for metric in charts["arms"]["metrics"]}
    assert not any(needs_test(metric) for metric in shown)
    assert (charts["roc"], charts["thresholds"]) == ({}, None)
    with pytest.raises(UserError, match=r"metric: accuracy is sealed; expected a metric of validation; or unseal"):
        results.plot_arms("accuracy")
    tables = {path.stem for path in results.save_tables(tmp_path / "tables")}
    assert "confusion" in tables
    assert "test" not in (tmp_path / "tables" / "confusion.csv").read_text()
    assert results.save_figures(tmp_path / "figures")


def test_what_compares_test_images_is_not_said_either(image_folder, store):
    (audit,) = api.open_results(sealed_study(image_folder), store=store).result.audits
    assert {row.split for row in audit.summary} == {"train", "val"}
    assert audit.domains == {}
    assert not {"differences between splits", "label issues"} & {finding.kind for finding in audit.findings}


def test_each_look_is_counted_and_shown(image_folder, store, tmp_path):
    study = sealed_study(image_folder)
    before = api.open_results(study, store=store)
    for looks in (1, 2):
        opened = api.open_results(study, store=store, unseal=True)
        assert len(opened.result.unsealings) == looks
        assert opened.result.unsealings[-1]["done"] == before.result.counts()["done"]
        assert np.isfinite(opened.arms().set_index(["arm", "metric"]).loc[("loss/bce", "accuracy"), "mean"])
        assert "on-test" in set(opened.claims()["id"])
    page = opened.save_report(tmp_path / "report.html").read_text()
    assert "The test images are unsealed; so far they were looked at 2 times: " in page
    with open_store(store) as readable:
        assert analyse(study, readable).sealed
        assert len(readable.unsealings("small")) == 2


def test_the_numbers_are_those_of_an_open_study(image_folder, store, tmp_path):
    raw = sealed_study(image_folder).raw | {"test": "open"}
    opened = api.run(parse_study(raw, place="study.yaml"), store=tmp_path / "runs", progress=False)
    unsealed = api.open_results(sealed_study(image_folder), store=store, unseal=True)
    assert opened.arms().query("metric != 'seconds'").equals(unsealed.arms().query("metric != 'seconds'"))


def test_only_a_sealed_study_is_unsealed(image_folder, tmp_path):
    study = parse_study(small_study(image_folder), place="study.yaml")
    api.run(study, store=tmp_path, progress=False)
    with pytest.raises(UserError) as error:
        api.open_results(study, store=tmp_path, unseal=True)
    assert str(error.value) == "--unseal: small is not sealed; leave it out"


def test_to_take_the_seal_off_is_a_look(image_folder, tmp_path):
    study = sealed_study(image_folder)
    api.run(study, store=tmp_path, progress=False)
    opened = parse_study({**study.raw, "test": "open"}, place="study.yaml")
    shown = api.open_results(opened, store=tmp_path)
    assert len(shown.result.unsealings) == 1
    assert "so far they were looked at once" in shown.save_report(tmp_path / "report.html").read_text()
    # trained again as an open study it is open for good, and says that it was sealed
    assert len(api.run(opened, store=tmp_path, progress=False).result.unsealings) == 2
    assert len(api.open_results(opened, store=tmp_path).result.unsealings) == 2


def test_unsealing_on_the_command_line(store, capsys, monkeypatch):
    def printed(*arguments):
        monkeypatch.setattr("sys.argv", ["doubleread", "report", "small", "--json", "--store", str(store), *arguments])
        with pytest.raises(SystemExit) as done:
            cli.main()
        assert done.value.code == 0
        return json.loads(capsys.readouterr().out)

    shut = printed()
    assert shut["sealed"]
    assert shut["arms"][0]["metrics"]["accuracy"]["mean"] is None
    looked = printed("--unseal")
    assert not looked["sealed"]
    assert len(looked["unsealings"]) == len(shut["unsealings"]) + 1
    assert looked["arms"][0]["metrics"]["accuracy"]["mean"] is not None


def test_a_study_without_runs_is_not_counted_as_looked_at(image_folder, tmp_path):
    with open_store(tmp_path / "runs", write=True):
        pass
    with pytest.raises(UserError, match="no run of small"):
        api.open_results(sealed_study(image_folder), store=tmp_path / "runs", unseal=True)
