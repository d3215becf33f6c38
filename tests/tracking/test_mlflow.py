"""Runs in MLflow, on a real server: each once, with the numbers of the store, whatever cuts an export off."""

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubleread import cli, tracking
from doubleread.errors import UserError, WorkFailed
from doubleread.metrics import SCORES, needs_test
from doubleread.nouns import State
from doubleread.store import EPOCH_FIELDS, open_store
from doubleread.tracking import Tracked, track, track_study, trackers_of
from doubleread.tracking.tracked import FinishedRuns
from tests.tracking.conftest import needed, read, states_of, tiny_study, trained

mlflow = needed("mlflow")
requests = needed("requests")
HOME = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def launched(tmp_path_factory) -> Iterator[tuple[str, subprocess.Popen, Path]]:
    """An MLflow server of this machine with an empty database, on its way: its address, process and log."""
    root, port = tmp_path_factory.mktemp("server"), free_port()
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += [
        "--backend-store-uri",
        f"sqlite:///{root / 'runs.db'}",
        "--artifacts-destination",
        str(root / "artifacts"),
    ]
    with (
        (root / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            cwd=root,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **HOME},
            start_new_session=True,
        ) as process,
    ):
        try:
            yield f"http://127.0.0.1:{port}", process, root / "log"
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def server(launched, wide) -> str:
    """The address of the server, which answers; `wide` is trained in the meantime."""
    address, process, log = launched
    until = time.monotonic() + 90
    while not answers(address):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
    return address


@pytest.fixture(scope="module")
def shown(server, wide) -> str:
    """The server, to which the wide study has been sent."""
    trackers = trackers_of(server, None)
    assert track_study(wide, "wide", trackers) == (Tracked(target=f"mlflow {server}", sent=16, there=0, failed=0),)
    return server


@pytest.fixture
def empty(server) -> Iterator[str]:
    """The server, without the tiny study of other tests."""
    yield server
    set_aside(server)


def set_aside(server: str) -> None:
    """Give the experiment of the tiny study another name."""
    client = client_of(server)
    if (found := client.get_experiment_by_name("tiny")) is not None:
        client.rename_experiment(found.experiment_id, f"tiny {time.monotonic_ns()}")


def client_of(address: str):
    return mlflow.MlflowClient(tracking_uri=address)


def runs_of(address: str, study: str):
    """Return every run of a study that MLflow shows."""
    client = client_of(address)
    experiment = client.get_experiment_by_name(study)
    return list(client.search_runs([experiment.experiment_id], max_results=1000)) if experiment is not None else []


def single_and_whole(address: str, study, root) -> None:
    """Assert that each finished run is there once, ended, with every metric and parameter."""
    found = runs_of(address, study.name)
    with open_store(root) as store:
        stored = FinishedRuns(store, study.name)
        expected = {run_id: stored.read(run_id) for run_id in stored.stamps}
    assert sorted(run.data.tags["doubleread.run_id"] for run in found) == sorted(expected)
    for run in found:
        its = expected[run.data.tags["doubleread.run_id"]]
        assert run.info.status == ("FINISHED" if its.state is State.DONE else "FAILED")
        assert set(run.data.metrics) == {name for name, *_ in [*its.curve_points(), *its.final_points()]}
        assert set(run.data.params) == {"arm", *its.parameters}


def test_every_run_is_there_once_with_the_numbers_of_the_store(wide, wide_study, shown):
    single_and_whole(shown, wide_study, wide)
    found = {run.data.tags["doubleread.run_id"]: run for run in runs_of(shown, "wide")}
    for arm in read(wide_study, wide).arms:
        for run in arm.runs:
            its = found[run.run_id]
            assert its.data.tags["doubleread.arms"].split("; ").count(arm.arm.name) == 1
            assert its.data.tags["doubleread.state"] == run.state
            assert its.data.params["model.name"] == "mlp"
            assert its.data.params["batch_size"] == str(arm.arm.recipe.batch_size)
            assert its.data.params["optimizer.lr"] == str(arm.arm.recipe.optimizer.lr)
            assert its.data.params["data.image_size"] == "8"
            assert its.data.params["seed"] == str(run.seed)
            finals_equal(its.data.metrics, run)
            curves_equal(shown, its.info.run_id, run)


def test_what_is_there_is_not_sent_again(wide, shown):
    before = {run.info.run_id for run in runs_of(shown, "wide")}
    trackers = trackers_of(f"{shown}/", None)
    assert track_study(wide, "wide", trackers) == (Tracked(target=f"mlflow {shown}/", sent=0, there=16, failed=0),)
    assert {run.info.run_id for run in runs_of(shown, "wide")} == before
    assert len(before) == 16


def finals_equal(shown, run) -> None:
    """Assert that the final metrics are those of the analysis, none less and none more."""
    expected = {name: value for name, value in run.metrics.items() if not math.isnan(value)}
    named = {}
    for name, value in expected.items():
        split = "test/" if name in SCORES else "val/" if name.removeprefix("val_") in SCORES else "run/"
        named[split + (name.removeprefix("val_") if split == "val/" else name)] = value
    final = {name: value for name, value in shown.items() if not name.startswith("epoch/")}
    if run.state is State.DONE:
        assert final.pop("run/cpu_seconds") > 0
        assert final.pop("run/peak_bytes") > 2**20
    assert final == named


def curves_equal(address, mlflow_id, run) -> None:
    for name in EPOCH_FIELDS[1:]:
        values = [epoch[name] for epoch in run.epochs if epoch[name] is not None]
        if values:
            history = client_of(address).get_metric_history(mlflow_id, f"epoch/{name}")
            assert [(one.step, one.value) for one in sorted(history, key=lambda one: one.step)] == list(
                enumerate(values)
            )


def test_what_is_said_of_a_run(wide, wide_study, shown):
    result = read(wide_study, wide)
    (done,) = [one for one in runs_of(shown, "wide") if one.info.run_name == "loss/bce, seed 0"]
    tags, run = done.data.tags, result.of("loss/bce").runs[0]
    assert (tags["doubleread.arms"], tags["doubleread.experiments"]) == ("loss/bce; batch/8", "loss, batch")
    assert (tags["doubleread.state"], tags["doubleread.weights_hash"]) == ("done", run.weights_hash)
    assert (tags["doubleread.collapsed"], tags["doubleread.overfit"]) == (str(run.health["collapsed"]).lower(), "false")
    assert tags["doubleread.version"] == tags["doubleread.environment.packages.doubleread"]
    assert {"doubleread.environment.packages.torch", "doubleread.environment.processor"} <= set(tags)
    # nothing of the user, the machine's folders or the script
    assert {name for name in tags if name.startswith("mlflow.")} == {"mlflow.runName"}
    assert done.info.user_id in ("", "unknown", None)
    assert not any(str(wide.parent.parent) in text for text in [*tags.values(), *done.data.params.values()])
    with open_store(wide) as store:
        (row,) = store.rows_of([run.run_id]).values()
    stamps = [
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms / 1000)) for ms in (done.info.start_time, done.info.end_time)
    ]
    assert [row["started"][:19], row["finished"][:19]] == stamps
    (diverged, _) = [one for one in runs_of(shown, "wide") if one.info.run_name.startswith("divergence/")]
    assert (diverged.info.status, diverged.data.tags["doubleread.state"]) == ("FAILED", "diverged")
    assert "in epoch 1, step" in diverged.data.tags["doubleread.reason"]


class Cut:
    """Counts requests, and raises at number `at`: before it is made, or when it is made and its answer is lost."""

    def __init__(self, at: int, made: bool, error: type[BaseException], monkeypatch) -> None:
        self.at, self.made, self.error, self.number = at, made, error, 0
        self.before = requests.Session.request
        monkeypatch.setattr(requests.Session, "request", lambda *words, **more: self.request(*words, **more))

    def request(self, *words, **more):
        self.number += 1
        if self.number == self.at and not self.made:
            raise self.error("cut")
        answer = self.before(*words, **more)
        if self.number == self.at:
            raise self.error("cut")
        return answer


def cut_off(tiny, image_folder, server, error, made, monkeypatch, then) -> None:
    """Cut an export off at every request of its first run in turn, and go on with `then`."""
    for at in range(1, 8):
        with monkeypatch.context() as patch:
            patch.setattr("doubleread.tracking.mlflow_tracker.PAUSE", 0.0)
            cut = Cut(at, made, error, patch)
            then(lambda: track_study(tiny, "tiny", trackers_of(server, None)))
        assert cut.number > at
        single_and_whole(server, tiny_study(image_folder), tiny)
        set_aside(server)


def test_a_killed_export_is_completed_and_nothing_is_twice(tiny, image_folder, empty, monkeypatch):
    def then(export):
        with pytest.raises(KeyboardInterrupt, match="cut"):
            export()
        # nobody cuts the second
        (found,) = export()
        assert (found.sent + found.there, found.failed) == (2, 0)

    cut_off(tiny, image_folder, empty, KeyboardInterrupt, False, monkeypatch, then)


def test_a_lost_answer_does_not_leave_two_runs(tiny, image_folder, empty, monkeypatch):
    def then(export):
        (found,) = export()
        if found.failed:
            # of what is there, it asks once
            assert (found.sent, found.there, found.reason.rpartition(" ")[2]) == (0, 0, "cut")
            (found,) = export()
        assert (found.sent + found.there, found.failed) == (2, 0)

    cut_off(tiny, image_folder, empty, requests.ConnectionError, True, monkeypatch, then)


def test_a_run_with_another_end_takes_the_place_of_the_first(tiny, image_folder, empty, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(tiny, root)
    run_id = min(states_of(read(tiny_study(image_folder), root)))
    with open_store(root, write=True) as store:
        store.set_state(run_id, State.FAILED, "damaged: weights.safetensors is gone")
    track("tiny", store=root, mlflow=empty)
    (failed,) = [run for run in runs_of(empty, "tiny") if run.info.status == "FAILED"]
    assert failed.data.tags["doubleread.run_id"] == run_id
    assert failed.data.tags["doubleread.reason"] == "damaged: weights.safetensors is gone"
    assert not any(name.startswith(("test/", "val/", "run/")) for name in failed.data.metrics)
    trained(tiny_study(image_folder), root)
    assert [(one.sent, one.there) for one in track("tiny", store=root, mlflow=empty)] == [(1, 1)]
    single_and_whole(empty, tiny_study(image_folder), root)


def test_a_sealed_study_has_no_number_of_test(sealed, image_folder, empty, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(sealed, root)
    track("tiny", store=root, mlflow=empty)
    for run in runs_of(empty, "tiny"):
        assert run.data.metrics["val/accuracy"] >= 0
        assert not any(name.startswith("test/") or needs_test(name.removeprefix("run/")) for name in run.data.metrics)
    # opened, which the store counts, the same runs have them
    trained(tiny_study(image_folder), root)
    assert [one.sent for one in track("tiny", store=root, mlflow=empty)] == [2]
    for run in runs_of(empty, "tiny"):
        assert {"test/accuracy", "test/auroc", "run/gap"} <= set(run.data.metrics)
    assert len(runs_of(empty, "tiny")) == 2
    # and a file that says sealed is heeded, whatever the store says
    track_study(root, tiny_study(image_folder, test="sealed"), trackers_of(empty, None))
    assert not any("test/accuracy" in run.data.metrics for run in runs_of(empty, "tiny"))


def test_what_is_too_long_or_no_name_for_mlflow_is_made_to_fit(empty, tiny, monkeypatch):
    settings = {"a/../b": 1, "x" * 300: "y" * 10_000, "own.κ (mm)": True, "/": "none"}
    monkeypatch.setattr(tracking.tracked, "settings_of", lambda _arm, _recipe: settings)
    track("tiny", store=tiny, mlflow=empty)
    found = runs_of(empty, "tiny")
    for run in found:
        assert run.data.params["x" * 250] == "y" * 499 + "…"
        assert run.data.params["own.κ _mm_"] == "true"
    assert len(found) == 2


def test_an_experiment_that_was_deleted_is_not_brought_back(tiny, empty):
    track("tiny", store=tiny, mlflow=empty)
    client = client_of(empty)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    client.delete_experiment(experiment)
    with pytest.raises(WorkFailed) as error:
        track("tiny", store=tiny, mlflow=empty)
    assert str(error.value) == (
        f"2 of 2 runs were not sent to mlflow {empty}: its experiment tiny is deleted there; restore it, or remove it"
        " for good (mlflow gc); the same command sends the rest"
    )
    client.restore_experiment(experiment)


def test_more_than_a_page_and_a_batch_have(tiny, image_folder, empty, monkeypatch):
    monkeypatch.setattr("doubleread.tracking.mlflow_tracker.PAGE", 1)
    monkeypatch.setattr("doubleread.tracking.mlflow_tracker.BATCH", 7)
    assert [one.sent for one in track("tiny", store=tiny, mlflow=empty)] == [2]
    assert [one.there for one in track("tiny", store=tiny, mlflow=empty)] == [2]
    single_and_whole(empty, tiny_study(image_folder), tiny)


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_a_folder_gets_a_database_that_mlflow_opens(tiny, image_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [one.sent for one in track("tiny", store=tiny, mlflow="my runs")] == [2]
    assert [
        one.there for one in track("tiny", store=tiny, mlflow=f"sqlite:///{tmp_path / 'my runs' / 'mlflow.db'}")
    ] == [2]
    single_and_whole(f"sqlite:///{tmp_path / 'my runs' / 'mlflow.db'}", tiny_study(image_folder), tiny)
    assert [path.name for path in tmp_path.iterdir()] == ["my runs"]
    assert [path.name for path in (tmp_path / "my runs").iterdir()] == ["mlflow.db"]


def test_no_server(tiny, capsys, monkeypatch):
    address = f"http://me:secret@127.0.0.1:{free_port()}"
    said = address.replace("me:secret", "…")
    monkeypatch.setattr(
        sys, "argv", ["doubleread", "track", "tiny", "--store", str(tiny), "--mlflow", address, "--json"]
    )
    began = time.monotonic()
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    assert time.monotonic() - began < 10
    printed = capsys.readouterr()
    assert printed.err == (
        f"doubleread: 2 of 2 runs were not sent to mlflow {said}: no answer (Connection refused); the same command"
        " sends the rest\n"
    )
    assert json.loads(printed.out) == {
        "study": "tiny",
        "targets": [{"target": f"mlflow {said}", "sent": 0, "there": 0, "failed": 2}],
    }
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_a_server_that_never_answers(tiny, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(WorkFailed) as error:
            track("tiny", store=tiny, mlflow=address)
    assert str(error.value) == (
        f"2 of 2 runs were not sent to mlflow {address}: no answer in time; the same command sends the rest"
    )


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", 'got ""; expected http://…, https://…, sqlite:///FILE or a folder'),
        ("ftp://box", 'got "ftp://box"; expected http://…, https://…, sqlite:///FILE or a folder'),
        ("sqlite:///", 'got "sqlite:///"; expected http://…, https://…, sqlite:///FILE or a folder'),
        ("databricks://it", 'got "databricks://it"; expected http://…, https://…, sqlite:///FILE or a folder'),
        ("postgresql://me:secret@box/db", 'got "postgresql://…@box/db"; expected http://…, https://…, sqlite:///FILE or'
         " a folder"),
        ("http://", 'no server in "http://"; expected http://…, https://…, sqlite:///FILE or a folder'),
        ("http://box:many", 'no server in "http://box:many"; expected http://…, https://…, sqlite:///FILE or a folder'),
        ("/proc/nothing", "/proc/nothing cannot be made (No such file or directory); give another path"),
        ("old", "{here}/old has runs as files, from an older MLflow; expected http://…, https://…, sqlite:///FILE or a"
         " folder; move them: mlflow migrate-filestore"),
    ],
)  # fmt: skip
def test_a_uri_that_cannot_be(uri, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old" / "0").mkdir(parents=True)
    (tmp_path / "old" / "0" / "meta.yaml").touch()
    with pytest.raises(UserError) as error:
        trackers_of(uri, None)
    assert str(error.value) == f"--mlflow: {message.format(here=tmp_path)}"


def test_mlflow_says_nothing_to_its_makers():
    code = (
        "import os, sys, doubleread.tracking\n"
        "from mlflow.telemetry import get_telemetry_client\n"
        "print(get_telemetry_client(), 'git' in sys.modules, 'DO_NOT_TRACK' in os.environ)"
    )
    silent = {"CI", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"}
    kept = {name: value for name, value in os.environ.items() if name not in silent and "PYTEST" not in name}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=kept)
    assert done.stdout.split() == ["None", "False", "False"]
