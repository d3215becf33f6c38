"""The Python interface: what it refuses, when a study stops growing, and which weights `prune` may not remove."""

import shutil
import sqlite3

import pytest

import doubleread as dr
from doubleread import api, report
from doubleread.errors import UserError, WorkFailed
from doubleread.runner import Counts, Silent
from doubleread.store import open_store
from doubleread.study import parse_study
from tests.conftest import small_study, write_folder
from tests.refusals import refusal

LOSSES = {"loss": {"factors": {"loss": ["ce", "focal"]}}}
DONE = {"planned": 2, "done": 2, "reused": 0, "failed": 0, "diverged": 0, "interrupted": 0}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with a study of two classes and two seeds, a sealed one of the same images, and one of three classes."""
    root = tmp_path_factory.mktemp("api")
    two, three = (write_folder(root / name, train=6, test=4, size=8) for name in ("two", "three"))
    for part in ("train", "test"):
        # the same images under a third name would be leaks
        (three / part / "OTHER").mkdir()
        for i, path in enumerate(sorted((three / part / "NORMAL").iterdir())[::2]):
            path.rename(three / part / "OTHER" / f"{i}.png")
    studies = [
        small_study(two, study="open", experiments=LOSSES, seeds=2),
        small_study(two, study="sealed", experiments=LOSSES, seeds=1, test="sealed"),
        small_study(three, study="three", experiments=LOSSES, seeds=1),
    ]
    del studies[2]["data"]["positive"]
    studies[2]["base"]["loss"] = "ce"
    # runs of its own
    studies[1]["base"]["epochs"] = 2
    for raw in studies:
        api.train(parse_study(raw, place="s"), root / "runs", show=Silent())
    return root / "runs"


@pytest.mark.parametrize(
    ("study", "ask", "said"),
    [
        ("sealed", lambda r: r.plot_gap(), "sealed: the test images are sealed"),
        ("three", lambda r: r.plot_gap(), "three: the gap in parts is for two classes"),
        ("open", lambda r: r.plot_curves("rate"), 'experiment: no experiment "rate"; expected one of loss'),
        ("open", lambda r: r.plot_arms("acuracy"),
         'metric: unknown metric "acuracy"; did you mean "accuracy"?'),
        ("sealed", lambda r: r.plot_arms("auroc"),
         "metric: auroc is sealed; expected a metric of validation; or unseal the results"),
        ("three", lambda r: r.plot_arms("sensitivity"),
         "metric: sensitivity is not a metric of 3 classes; expected one of arms()"),
        ("open", lambda r: r.plot_arms("macro_auroc"),
         "metric: macro_auroc is not a metric of 2 classes; expected one of arms()"),
    ],
)  # fmt: skip
def test_a_figure_that_there_is_not(store, study, ask, said):
    assert refusal(ask, dr.open_results(study, store=store)) == said


def test_sealed_results_have_figures_of_validation(store):
    figure = dr.open_results("sealed", store=store).plot_arms("val_auroc")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["loss/focal", "loss/ce"]


def test_a_notebook_shows_the_verdicts_and_the_arms(store):
    results = dr.open_results("open", store=store)
    assert results._repr_html_() == report.notebook_html(results.result)


def test_the_page_of_markdown_is_that_of_the_report(store, tmp_path):
    results = dr.open_results("three", store=store)
    files = results.save_markdown(tmp_path)
    assert files == sorted(tmp_path.iterdir(), key=files.index)
    assert files[0].read_text() == report.markdown_page(results.result)


def test_workers_are_counted_from_one():
    assert refusal(dr.run, "nothing", workers=0) == "workers: got 0; expected a whole number ≥ 1"


@pytest.mark.parametrize(
    ("counts", "error", "said"),
    [
        ({"done": 1, "interrupted": 1}, KeyboardInterrupt, ""),
        ({"done": 1, "interrupted": 1, "halted": "the disk is full"}, WorkFailed,
         "the disk is full: 1 of 2 runs are done and kept; free some space, then the same command goes on from here"),
    ],
)  # fmt: skip
def test_a_run_that_stops_before_its_end_is_no_result(image_folder, tmp_path, monkeypatch, counts, error, said):
    monkeypatch.setattr(api, "train", lambda *_given, **_more: Counts(**{**DONE, **counts}))
    study = parse_study(small_study(image_folder), place="s")
    with pytest.raises(error) as caught:
        dr.run(study, store=tmp_path, progress=False)
    assert str(caught.value) == said


@pytest.fixture
def copied(store, tmp_path):
    """A copy of the store that a test may change."""
    return shutil.copytree(store, tmp_path / "runs")


def pruned(root, *given, **more):
    with open_store(root, write=True) as opened:
        return api.prune(opened, *given, **more).runs


def test_no_weights_are_removed_of_a_study_that_is_not_there(copied):
    with pytest.raises(UserError) as error:
        pruned(copied, "opne")
    assert str(error.value) == f"--store {copied}: no study opne; it has open, sealed, three"
    assert pruned(copied, dry_run=True) == 2


def test_what_this_program_cannot_judge_keeps_all_its_weights(copied):
    # as a newer program would keep it
    newer = "UPDATE studies SET document = json_set(document, '$.file.zoom', 2) WHERE name = 'open'"
    with sqlite3.connect(copied / "store.sqlite") as database:
        database.execute(newer)
    assert pruned(copied) == 0
    assert pruned(copied, keep="none") == 8


class Heard(Silent):
    def __init__(self):
        self.remarks = []

    def remark(self, text):
        self.remarks.append(text)


def growing(folder):
    """Return a study that grows from six seeds to eight until it knows which of two rates learns more."""
    claim = {"id": "learns", "metric": "train_loss", "lower": 1e-2, "than": 1e-3, "margin": 0.001}
    raw = small_study(folder, seeds={"min": 6, "max": 8, "until": "decided"})
    # neither rate collapses: that would leave the claim open
    raw["data"] |= {"intensity": "image", "image_size": 16}
    raw["base"] |= {"epochs": 8, "model": {"name": "mlp", "hidden": [16]}}
    raw["experiments"] = {"rate": {"factors": {"optimizer.lr": [1e-3, 1e-2]}, "claims": [claim]}}
    return parse_study(raw, place="s")


@pytest.fixture(scope="module")
def decided(image_folder, tmp_path_factory):
    """What was said while a study grew, and how it stands."""
    show = Heard()
    return show.remarks, api.train(growing(image_folder), tmp_path_factory.mktemp("decided") / "runs", show=show)


def test_a_study_stops_growing_at_the_look_that_decides_its_last_claim(decided):
    remarks, counts = decided
    assert (counts.planned, counts.done, counts.reused) == (12, 12, 0)
    assert [text for text in remarks if text.startswith("look")] == ["look 1 of 3, 6 seeds: 1 supported; it stops"]


def test_a_study_whose_runs_fail_does_not_grow(store, tmp_path, monkeypatch):
    asked, show = [], Heard()

    def failing(part, *_given, **_more):
        asked.append(len(part.plan.runs))
        return Counts(**{**DONE, "planned": 12, "done": 11, "failed": 1})

    monkeypatch.setattr(api.runner, "train_study", failing)
    counts = api.train(growing(store.parent / "two"), tmp_path / "runs", show=show)
    assert (asked, counts.done, counts.failed, counts.reused) == ([12], 11, 1, 0)
    assert [text for text in show.remarks if text.startswith("look")] == []
