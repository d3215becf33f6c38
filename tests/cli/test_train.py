"""`run` and `reproduce` where not all is well: what is said and printed, and that the program leaves with 1."""

import json
import shlex
import shutil

import pytest

import doubleread as dr
from doubleread.cli import train
from doubleread.cli.train import MOST_NAMED
from doubleread.nouns import State
from doubleread.report import words
from doubleread.runner import Counts
from doubleread.store import open_store
from tests.conftest import small_study
from tests.store.test_store import RUN

NOTHING = {"planned": 0, "done": 0, "reused": 0, "failed": 0, "diverged": 0, "interrupted": 0}


@pytest.mark.parametrize("failed", [1, MOST_NAMED, MOST_NAMED + 1, MOST_NAMED + 5])
def test_runs_that_failed_are_named_up_to_ten(call, image_folder, tmp_path, monkeypatch, failed):
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(small_study(image_folder)))
    runs = [{**RUN, "run_id": f"r{seed}", "seed": seed} for seed in range(failed)]
    with open_store(tmp_path / "runs", write=True) as store:
        store.save_plan("small", {"file": {}}, runs, {("loss/bce", run["seed"]): run["run_id"] for run in runs}, {})
        for run in runs:
            store.set_state(run["run_id"], State.FAILED, f"out of memory, {run['seed']}")
    counts = Counts(**{**NOTHING, "planned": failed, "failed": failed})
    monkeypatch.setattr(train, "train", lambda *_given, **_more: counts)
    named = [f"  loss/bce, seed {seed}: out of memory, {seed}" for seed in range(min(failed, MOST_NAMED))]
    more = [f"  and {failed - MOST_NAMED} more, which doubleread status lists"] if failed > MOST_NAMED else []
    assert call("run", study, "--store", tmp_path / "runs") == (
        1,
        "",
        "\n".join(
            [
                f"doubleread: {failed} of {failed} runs failed; the others are done and kept, the same command tries"
                " these again:",
                *named,
                *more,
                "",
            ]
        ),
    )


@pytest.mark.parametrize(
    ("halted", "why"),
    [
        ("", "interrupted: 2 of 6 runs are done and kept; the same command goes on from here"),
        (
            "the disk is full",
            "the disk is full: 2 of 6 runs are done and kept; free some space, then the same command goes on from here",
        ),
    ],
)
def test_a_reproduction_that_stops_before_its_end_writes_no_report(call, tmp_path, monkeypatch, halted, why):
    counts = Counts(**{**NOTHING, "planned": 6, "done": 2, "interrupted": 4, "halted": halted})
    monkeypatch.setattr(train, "train", lambda *_given, **_more: counts)
    said = f"report-a: {words.SYNTHETIC}\ndoubleread: {why}\n"
    code, out, err = call("reproduce", "a", "--store", tmp_path / "runs")
    assert (code, out, err) == (1, "", said)
    code, out, err = call("reproduce", "all", "--store", tmp_path / "runs", "--json")
    (summary,) = json.loads(out)
    assert (code, err) == (1, said)
    assert summary["runs"] == {**NOTHING, "planned": 6, "done": 2, "interrupted": 4}
    assert not (tmp_path / "runs").exists()


@pytest.fixture(scope="module")
def two(image_folder, tmp_path_factory):
    """Two small studies in the place of the reports, trained, in a folder with their store."""
    root = tmp_path_factory.mktemp("two")
    for name in ("first", "second"):
        raw = small_study(image_folder, study=name, seeds=1)
        raw["experiments"] = {name: {"factors": {"loss": ["bce", "ce"]}}}
        (root / f"{name}.yaml").write_text(json.dumps(raw))
        dr.run(root / f"{name}.yaml", store=root / "runs", workers=1, progress=False)
    return root


def test_a_reproduction_is_printed_study_by_study_and_ends_with_where_the_report_is(call, two, monkeypatch):
    written = []
    monkeypatch.setitem(train.REPORTS, "all", (str(two / "first.yaml"), str(two / "second.yaml")))
    # figures of two studies take seconds
    monkeypatch.setattr(train, "_write", lambda results, _store, page: written.append((results, page)))
    page, end = two / "both.html", f"{words.INTENDED_USE}\n"
    code, out, _ = call("reproduce", "all", "--store", two / "runs", "--html", page)
    ((results, target),) = written
    assert (code, [result.study.name for result in results], target) == (0, ["first", "second"], page)
    alone = {name: call("report", name, "--store", two / "runs")[1].removesuffix(end) for name in ("first", "second")}
    done = "2 of 2 runs done, 2 of them were there before"
    assert out == f"first: {done}\n\n{alone['first']}second: {done}\n\n{alone['second']}{end}report: {page}\n"


@pytest.mark.parametrize("where", ["runs[old]", "runs[/old]", "my runs", "deep" * 50])
def test_what_to_do_next_can_be_copied(call, two, tmp_path, where):
    store = shutil.copytree(two / "runs", tmp_path / where)
    code, out, _ = call("run", two / "first.yaml", "--store", store)
    alone = call("report", "first", "--store", store)[1].removesuffix(f"{words.INTENDED_USE}\n")
    assert (code, out) == (
        0,
        f"{alone}2 of 2 runs done, 2 of them were there before\n"
        f"next: doubleread report first --store {shlex.quote(str(store))} --html report.html\n",
    )


def test_where_a_report_is_stands_on_one_line(call, two, tmp_path, monkeypatch):
    monkeypatch.setitem(train.REPORTS, "a", (str(two / "first.yaml"),))
    monkeypatch.setattr(train, "_write", lambda *_given: None)
    page = tmp_path / ("deep" * 50) / "both[/b].html"
    code, out, _ = call("reproduce", "a", "--store", two / "runs", "--html", page)
    assert (code, out.splitlines()[-1]) == (0, f"report: {page}")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("phantom", f"report-a: {words.SYNTHETIC}\n"),
        ("{name: phantom, contrast: 0.5}", f"report-a: {words.SYNTHETIC}\n"),
        ("films", ""),
        ("{name: arrays}", ""),
    ],
)
def test_that_images_are_synthetic_is_said_before_anything_trains(call, tmp_path, monkeypatch, source, said):
    counts = Counts(**{**NOTHING, "planned": 6, "interrupted": 6})
    monkeypatch.setattr(train, "train", lambda *_given, **_more: counts)
    end = "doubleread: interrupted: 0 of 6 runs are done and kept; the same command goes on from here\n"
    given = ["--set", f"data.source={source}", "--store", tmp_path / "runs"]
    assert call("reproduce", "a", *given) == (1, "", f"{said}{end}")
