"""`--engine` as a user calls it: what is not there is said before anything is read."""

import json

import pytest

from doubleread.runner import engines
from tests.conftest import small_study


@pytest.fixture
def study(image_folder, tmp_path):
    """A function that writes the small study with an `engine` block, and returns the file."""

    def write(**more):
        file = tmp_path / "study.yaml"
        file.write_text(json.dumps(small_study(image_folder, **more)))
        return file

    return write


def test_an_engine_that_is_not_known(call, study, tmp_path):
    code, _, err = call("run", study(), "--engine", "slurn", "--store", tmp_path / "runs")
    assert (code, err) == (2, 'doubleread: --engine: got "slurn"; did you mean "slurm"?\n')
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_engine_that_is_not_installed(call, study, tmp_path, monkeypatch, name, package):
    monkeypatch.setattr(engines, "find_spec", lambda _package: None)
    code, _, err = call("run", study(engine=name), "--store", tmp_path / "runs")
    assert (code, err) == (
        2,
        f"doubleread: --engine {name}: {package} is not installed; pip install 'doubleread[{name}]'\n",
    )
    assert not (tmp_path / "runs").exists()


def test_cuda_elsewhere_needs_a_gpu_that_is_asked_for(call, study, tmp_path):
    code, _, err = call("run", study(engine="slurm"), "--device", "cuda", "--store", tmp_path / "runs")
    assert (code, err) == (
        2,
        "doubleread: --device cuda: no GPU is asked for with slurm; set engine.gpus\n",
    )


def test_a_job_has_the_cores_of_a_run(call, study, tmp_path):
    base = small_study("x")["base"] | {"threads": 4}
    code, _, err = call("run", study(engine={"name": "slurm", "cpus": 2}, base=base), "--store", tmp_path / "runs")
    assert (code, err) == (2, "doubleread: engine.cpus: got 2, and a run has 4 threads; expected ≥ 4\n")


def test_a_range_test_is_of_this_machine(call, study, tmp_path):
    file = study(engine={"name": "slurm", "gpus": 1, "environment": "elsewhere"})
    code, out, err = call("lr", file, "loss/bce", "--steps", "20", "--store", tmp_path / "runs")
    assert code == 0, err
    assert "suggest" in out


def test_a_plan_needs_no_environment_of_the_site(call, study):
    code, out, err = call("check", study(engine={"name": "slurm", "environment": "elsewhere"}))
    assert code == 0, err
    assert "computed by: cpu" in out


def test_the_time_on_a_device_elsewhere_is_not_known(call, study):
    code, out, _ = call("check", study(engine={"name": "ray", "gpus": 0.5}), "--json")
    assert code == 0
    plan = json.loads(out)
    assert plan["seconds"] is None
    assert {computed["device"] for computed in plan["computed"]} == {"cuda"}
    code, out, _ = call("check", study(engine={"name": "ray", "gpus": 0.5}))
    assert code == 0
    assert "\nunknown time with " in out


def test_status_says_where_the_queue_does_not_answer(call, study, tmp_path, monkeypatch):
    store = tmp_path / "runs"
    assert call("run", study(), "--store", store)[0] == 0
    code, out, _ = call("status", "--store", store, "--json")
    assert json.loads(out)["studies"][0]["queue"] == []
    folder = store / "jobs" / "doubleread-0123456789ab"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "job": "7", "batches": [["a.attempt-1"]]}))
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = call("status", "--store", store)
    assert code == 0
    assert out.splitlines()[-1] == (
        "the queue of Slurm does not say how its jobs stand: there is no squeue on this machine"
    )
    assert json.loads(call("status", "--store", store, "--json")[1])["studies"][0]["queue"] is None
    # nobody knows whether they are gone: nothing is trained beside them
    code, _, err = call("run", study(), "--store", store)
    assert (code, err) == (
        1,
        f"doubleread: {store}/jobs tells of jobs in the queue of Slurm, but there is no squeue on this machine: go on"
        " where Slurm answers, or remove that folder if they are gone\n",
    )
