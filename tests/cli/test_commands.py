"""Every command, as a user calls it: output, JSON, exit codes."""

import json
import os
import re
import subprocess
import sys

import pytest

from doubleread.metrics import metric_names
from doubleread.report.tables import TABLES
from tests.conftest import small_study

COMMANDS = [
    "reproduce",
    "run",
    "check",
    "lr",
    "status",
    "report",
    "single",
    "judge",
    "prune",
    "new",
    "data phantom",
    "track",
    "export",
    "predict",
    "explain",
    "data describe",
    "data fetch",
]


@pytest.fixture(scope="module")
def trained(image_folder, tmp_path_factory):
    """A folder with a study file, and a store in which it is trained."""
    root = tmp_path_factory.mktemp("trained")
    (root / "study.yaml").write_text(json.dumps(small_study(image_folder)))
    done = subprocess.run(
        [sys.executable, "-m", "doubleread", "run", "study.yaml", "--json"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {
        "study": "small",
        "store": "runs",
        "report": None,
        "runs": {"planned": 8, "done": 8, "reused": 0, "failed": 0, "diverged": 0, "interrupted": 0},
    }
    # a pipe is no terminal: plain lines, nothing that moves a cursor
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
    return root


def test_a_second_run_trains_nothing(call, trained):
    code, out, _ = call("run", trained / "study.yaml", "--store", trained / "runs", "--json")
    assert code == 0
    assert json.loads(out)["runs"] == {
        "planned": 8,
        "done": 8,
        "reused": 8,
        "failed": 0,
        "diverged": 0,
        "interrupted": 0,
    }


def test_a_study_in_the_store_is_found_by_its_name(call, trained):
    code, out, _ = call("run", "small", "--store", trained / "runs", "--json")
    assert (code, json.loads(out)["runs"]["reused"]) == (0, 8)


def test_run_prints_the_tables(call, trained):
    code, out, _ = call("run", trained / "study.yaml", "--store", trained / "runs")
    assert code == 0
    assert re.search(r"^bce\s+2\s+75\.00 %", out, re.MULTILINE)
    assert "8 of 8 runs done, 8 of them were there before" in out


def test_report_json(call, trained):
    code, out, _ = call("report", "small", "--store", trained / "runs", "--json")
    report = json.loads(out)
    assert (code, report["study"]) == (0, "small")
    assert [arm["arm"] for arm in report["arms"]] == ["loss/bce", "loss/ce", "batch/4", "batch/8", "batch/16"]
    assert set(report["arms"][0]) == {"experiment", "arm", "levels", "seeds", "health", "metrics", "ensemble"}
    assert set(report["arms"][0]["ensemble"]["val_auroc"]) == {"value", "lo", "hi"}
    assert (report["sealed"], report["unsealings"]) == (False, [])


def test_report_writes_what_is_asked_for(call, trained, tmp_path):
    html, figures, tables = tmp_path / "r.html", tmp_path / "figures", tmp_path / "tables"
    code, out, _ = call(
        "report", "small", "--store", trained / "runs", "--html", html, "--figures", figures, "--tables", tables
    )
    assert code == 0
    assert "For research and teaching only." in out
    assert html.read_text().startswith("<!doctype html>")
    assert {path.suffix for path in figures.iterdir()} == {".png", ".svg", ".pdf"}
    plain = {f"{name}.{kind}" for name in TABLES for kind in ("csv", "json")}
    assert {path.name for path in tables.iterdir()} == plain | {"arms.tex", "arms.md"}
    code, _, error = call("report", "small", "--store", trained / "runs", "--compare", "small")
    assert (code, error) == (2, "doubleread: --compare: small is the study itself; expected another study\n")


def test_report_for_fewer_seeds(call, trained):
    _, out, _ = call("report", "small", "--store", trained / "runs", "--seeds", 1, "--json")
    assert json.loads(out)["arms"][0]["seeds"] == [0]


def test_a_file_that_has_changed_since_its_run_is_not_reported(call, trained, tmp_path):
    study = json.loads((trained / "study.yaml").read_text())
    study["base"]["epochs"] = 4
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    code, out, err = call("report", tmp_path / "study.yaml", "--store", trained / "runs")
    assert (code, out) == (2, "")
    assert err == (
        "doubleread: study.yaml, arm loss/bce: its recipe or data is not the one that was trained; run the study again,"
        " or name it as the store does: small\n"
    )


def test_two_files_of_one_name_do_not_share_a_store(call, trained, tmp_path):
    (tmp_path / "other.yaml").write_text((trained / "study.yaml").read_text())
    code, _, err = call("run", tmp_path / "other.yaml", "--store", trained / "runs")
    assert code == 2
    assert f"other.yaml, study: small is in the store already, from {trained / 'study.yaml'}" in err


def test_a_split_that_is_redrawn_for_each_seed(call, image_folder, tmp_path):
    study = small_study(image_folder)
    study["data"]["split"]["resample"] = "per_seed"
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    html = tmp_path / "report.html"
    assert call("run", tmp_path / "study.yaml", "--store", tmp_path / "runs", "--json")[0] == 0
    assert call("report", "small", "--store", tmp_path / "runs", "--html", html, "--tables", tmp_path)[0] == 0
    rows = (tmp_path / "logits.csv").read_text().splitlines()
    val = {seed: {r.split(",")[2] for r in rows if r.startswith(f"loss/bce,{seed},") and ",val," in r} for seed in "01"}
    assert len(val["0"]) == len(val["1"]) == 12
    assert val["0"] != val["1"]
    assert "redrawn for each seed" in html.read_text()


def test_a_study_whose_runs_all_diverge_is_a_result(call, image_folder, tmp_path):
    study = small_study(image_folder, seeds=1)
    study["base"] |= {"model": {"name": "mlp", "hidden": []}, "optimizer": {"name": "sgd", "lr": 1e38, "momentum": 0.9}}
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    code, out, _ = call("run", tmp_path / "study.yaml", "--store", tmp_path / "runs")
    assert code == 0
    assert "1 diverged" in out
    html, tables = tmp_path / "r.html", tmp_path / "tables"
    assert call("report", "small", "--store", tmp_path / "runs", "--html", html, "--tables", tables)[0] == 0
    assert (tables / "curves.csv").read_text().startswith("experiment,arm,seed,epoch,rate")
    assert call("check", tmp_path / "study.yaml", "--store", tmp_path / "other")[0] == 0


def test_status(call, trained):
    code, out, _ = call("status", "--store", trained / "runs", "--json")
    (study,) = json.loads(out)["studies"]
    assert code == 0
    assert study["runs"]["planned"] == study["runs"]["done"] == 8
    assert study["running"] == []
    assert call("status", "small", "--store", trained / "runs")[1] == "small: 8 runs: 8 done\n"


def test_check_plans_and_leaves_nothing(call, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = call("check", trained / "study.yaml", "--json")
    plan = json.loads(out)
    assert code == 0
    assert plan["runs"] == {"planned": 8, "there": 0, "to_train": 8}
    assert [set(compute) for compute in plan["computed"]] == [{"device", "precision", "path"}]
    assert plan["seconds"] > 0
    assert plan["arms"][0]["recipe"]["optimizer"]["betas"] == [0.9, 0.999]
    assert list(tmp_path.iterdir()) == []
    code, out, _ = call("check", trained / "study.yaml", "--store", trained / "runs", "--json")
    assert json.loads(out)["runs"] == {"planned": 8, "there": 8, "to_train": 0}


def test_check_prints_every_setting(call, trained):
    code, out, _ = call("check", trained / "study.yaml", "--store", trained / "runs")
    assert code == 0
    assert "optimizer adam (lr 0.01, betas 0.9, 0.999, eps 1e-08, weight_decay 0)" in re.sub(r"\s+", " ", out)
    assert "5 arms × 2 seeds: 8 different runs, 8 of them trained already, 0 to train" in out


def test_new_writes_a_study_that_can_be_checked(call, image_folder, tmp_path):
    file = tmp_path / "study.yaml"
    code, out, _ = call("new", image_folder, "--out", file)
    assert (code, out) == (0, f"wrote {file}\nnext: doubleread check {file}\n")
    assert 'positive: "PNEUMONIA"' in file.read_text()
    code, out, _ = call("check", file, "--store", tmp_path / "none", "--json")
    assert code == 0
    assert json.loads(out)["runs"]["planned"] == 40
    assert call("new", image_folder, "--out", file)[::2] == (
        2,
        f"doubleread: --out {file}: it exists; expected a new file; give another name\n",
    )


def test_data_describe(call, image_folder):
    code, out, _ = call("data", "describe", image_folder, "--json")
    found = json.loads(out)
    assert (code, found["kind"], found["images"], found["unreadable"]) == (0, "folder", 68, [])
    assert found["sizes"] == [{"width": 16, "height": 16, "images": 68}]
    assert [group["images"] for group in found["groups"]] == [10, 10, 24, 24]


def test_data_phantom_can_be_read_back(call, tmp_path):
    small = ["--set", "size=32", "--set", "train_per_class=2", "--set", "test_per_class=1"]
    code, out, _ = call("data", "phantom", tmp_path / "films", *small)
    assert code == 0
    assert "Synthetic images from a digital phantom: no patient was imaged." in out
    _, out, _ = call("data", "describe", tmp_path / "films", "--json")
    assert json.loads(out)["images"] == 6


def test_prune(call, image_folder, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(small_study(image_folder)))
    store = tmp_path / "runs"
    call("run", study, "--store", store, "--json")
    weights = lambda: len(list(store.glob("artifacts/*/weights.safetensors")))  # noqa: E731
    assert weights() == 8
    code, out, _ = call("prune", "--store", store, "--dry-run", "--json")
    assert (code, json.loads(out)["removed"], weights()) == (0, 4, 8)
    call("prune", "small", "--store", store)
    assert weights() == 4
    call("prune", "--keep", "none", "--store", store)
    assert weights() == 0
    _, out, _ = call("run", study, "--store", store, "--json")
    assert json.loads(out)["runs"]["reused"] == 8


def test_the_best_weights_alone_are_kept_where_the_study_says_so(call, image_folder, tmp_path):
    study, store = tmp_path / "study.yaml", tmp_path / "runs"
    study.write_text(json.dumps(small_study(image_folder, keep_weights="best")))
    assert call("run", study, "--store", store, "--json")[0] == 0
    assert len(list(store.glob("artifacts/*/weights.safetensors"))) == 4
    assert len(list(store.glob("artifacts/*/logits.npz"))) == 8


@pytest.mark.slow
def test_reproduce_on_the_phantom_and_again(call, tmp_path):
    html = tmp_path / "report.html"
    small = ["--set", "data.image_size=8", "--set", "base.epochs=1", "--seeds", "1"]
    small += ["--set", "data.source={name: phantom, size: 32, train_per_class: 1000, test_per_class: 200}"]
    command = ["reproduce", "all", "--store", tmp_path / "runs", "--html", html, *small]
    code, out, err = call(*command, "--json")
    assert code == 0, err
    first = json.loads(out)
    assert [study["study"] for study in first] == ["report-a", "report-b"]
    assert [study["runs"]["done"] for study in first] == [6, 7]
    assert {study["report"] for study in first} == {str(html)}
    page = html.read_text()
    assert "Synthetic images from a digital phantom" in page
    for said in ("reported 72.75 %", "reported 80.50 %", "reported about 60", "reported 90.00 to 95.00 %", "0.0001"):
        assert said in page
    for study in ("report-a", "report-b"):
        assert (tmp_path / "runs" / "reports" / study / "tables" / "logits.csv").is_file()
        assert (tmp_path / "runs" / "reports" / study / "figures" / "curves-batch.pdf").is_file()
    # the report is written; whether anything is trained again is the run's to say
    code, out, _ = call("run", "report-a", "--store", tmp_path / "runs", *small, "--json")
    assert json.loads(out)["runs"]["reused"] == 6


@pytest.mark.slow
def test_reproduce_on_a_medmnist_file(call, shared, tmp_path):
    data = shared / "data" / "pneumoniamnist-balanced.npz"
    small = ["--set", "data.image_size=28", "--set", "base.epochs=1", "--seeds", "1"]
    code, out, err = call("reproduce", "b", "--data", data, "--store", tmp_path / "runs", *small, "--json")
    assert code == 0, err
    assert json.loads(out)["runs"]["done"] == 7
    assert "given does not fit" in err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(command):
    done = subprocess.run(
        [sys.executable, "-m", "doubleread", *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert "--json" in done.stdout


def test_python_interface(image_folder, tmp_path):
    """In a script without a guard for its main module, as people write them."""
    script = tmp_path / "script.py"
    (tmp_path / "study.yaml").write_text(json.dumps(small_study(image_folder)))
    script.write_text(
        "import doubleread as dr\n"
        "study = dr.load_study('study.yaml')\n"
        "results = dr.run(study, store='runs', progress=False)\n"
        "arms = results.arms()\n"
        "print(len(arms), len(results.runs()), len(results.curves()), len(results.logits()))\n"
        "results.plot_curves(experiment='batch').savefig('curves.png')\n"
        "results.save_report('report.html')\n"
        "print(dr.open_results('small', store='runs').study.name)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # the two metrics of more than two classes, on test and on validation, are not there
    assert done.stdout.split() == [str(5 * (len(metric_names()) - 4)), "10", "30", str(10 * (12 + 20)), "small"]
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert (tmp_path / "report.html").exists()
