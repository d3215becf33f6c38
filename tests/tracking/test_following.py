"""Runs sent while a study is trained: what a tracker does never stops, fails or delays the training."""

import json
import os
import signal
import threading
import time
from contextlib import suppress

import pytest

from doubleread.tracking import Following, Unreachable, following, trackers_of
from tests.tracking.conftest import needed, tiny_study
from tests.tracking.test_tensorboard import folders_in

needed("mlflow")
needed("tensorboard")


class Known:
    """A tracker that keeps what it is sent, or fails as it is told to."""

    target, option = "box here", "--box here"

    def __init__(self, fails: str = "", waits: threading.Event | None = None) -> None:
        self.runs, self.fails, self.waits, self.asked = [], fails, waits, 0

    def known(self, _study):
        self.asked += 1
        if self.fails:
            raise Unreachable(self.fails)
        return {run.run_id: run.stamp for run in self.runs}

    def send(self, run):
        if self.waits is not None:
            self.waits.wait(10)
        self.runs.append(run)


@pytest.fixture
def quick(monkeypatch):
    """Look every moment."""
    monkeypatch.setattr(following, "POLL_SECONDS", 0.02)


def until(there, seconds=20.0):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_has_finished_is_sent_before_the_training_ends(tiny, image_folder, quick):
    box, said = Known(), []
    follower = Following([box])
    with follower.during(tiny, tiny_study(image_folder), said.append):
        until(lambda: len(box.runs) == 2)
        # nothing new: nothing is asked or sent again
        time.sleep(0.2)
    assert (len(box.runs), box.asked, said) == (2, 1, [])
    assert follower.lines("tiny", tiny) == ["2 runs were sent to box here, 0 there before"]


def test_a_tracker_that_fails_is_remarked_once(tiny, image_folder, quick, monkeypatch):
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.05)
    box, said = Known(fails="no answer (Connection refused)"), []
    follower = Following([box])
    with follower.during(tiny, tiny_study(image_folder), said.append):
        until(lambda: box.asked > 2)
    assert said == [
        "runs are not sent to box here: no answer (Connection refused); the training goes on, they are tried again"
    ]
    assert follower.lines("tiny", tiny) == [
        "2 runs were not sent to box here: no answer (Connection refused); doubleread track tiny --box here --store"
        f" {tiny} sends them"
    ]
    # one that answers again gets what it lacks
    box.fails = ""
    follower = Following([box])
    with follower.during(tiny, tiny_study(image_folder), said.append):
        pass
    assert (len(box.runs), len(said)) == (2, 1)


def test_an_error_of_the_training_is_its_own(tiny, image_folder):
    box = Known()
    with pytest.raises(ValueError, match="mine"), Following([box]).during(tiny, tiny_study(image_folder), print):
        raise ValueError("mine")
    assert box.runs == []


def test_a_bug_in_a_tracker_ends_nothing(tiny, image_folder, monkeypatch):
    box = Known()
    monkeypatch.setattr(box, "known", lambda _study: 1 / 0)
    follower = Following([box])
    with follower.during(tiny, tiny_study(image_folder), print):
        pass
    assert follower.lines("tiny", tiny) == [
        f"runs were not sent to box here: division by zero; doubleread track tiny --box here --store {tiny} sends them"
    ]


def test_ctrl_c_leaves_what_is_left_to_send(tiny, image_folder, monkeypatch):
    monkeypatch.setattr(following, "SILENT_SECONDS", 0.1)
    release, said = threading.Event(), []
    follower = Following([Known(waits=release)])
    with follower.during(tiny, tiny_study(image_folder), said.append):
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    release.set()
    assert said == ["sending what is left to the trackers; Ctrl-C leaves it"]
    assert follower.lines("tiny", tiny) == [
        f"runs were not sent to box here: interrupted; doubleread track tiny --box here --store {tiny} sends them"
    ]


def test_no_store_yet_is_no_trouble(image_folder, tmp_path, quick):
    follower, said = Following([Known()]), []
    with suppress(KeyError), follower.during(tmp_path / "none", tiny_study(image_folder), said.append):
        time.sleep(0.1)
        raise KeyError
    assert said == []


def test_run_writes_for_tensorboard_and_goes_on_without_mlflow(image_folder, tmp_path, call, monkeypatch):
    """Nobody listens where MLflow should be."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(json.dumps(tiny_study(image_folder).raw))
    words = ["run", "tiny.yaml", "--tensorboard", "board", "--mlflow", "http://127.0.0.1:9", "--json"]
    code, out, err = call(*words)
    assert (code, json.loads(out)["runs"]["done"]) == (0, 2), err
    assert len(folders_in(tmp_path / "board")) == 2
    lines = err.splitlines()
    assert lines[-2:] == [
        "tiny: 2 runs were not sent to mlflow http://127.0.0.1:9: no answer (Connection refused); doubleread track tiny"
        " --mlflow http://127.0.0.1:9 --store runs sends them",
        "tiny: 2 runs were sent to tensorboard board, 0 there before",
    ]
    assert sum("the training goes on" in line for line in lines) == 1


def test_trackers_are_checked_before_anything_trains(image_folder, tmp_path, call, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(json.dumps(tiny_study(image_folder).raw))
    (tmp_path / "file").touch()
    store = tmp_path / "runs"
    for option, value, message in (
        ("--mlflow", "ftp://box", 'got "ftp://box"; expected http://…, https://…, sqlite:///FILE or a folder'),
        (
            "--tensorboard",
            tmp_path / "file",
            f"{tmp_path}/file is a file; expected a folder; give another path",
        ),
    ):
        code, out, err = call("run", tmp_path / "tiny.yaml", "--store", store, option, value)
        assert (code, out, err) == (2, "", f"doubleread: {option}: {message}\n")
    assert not store.exists()


def test_track_on_the_command_line(tiny, tmp_path, call):
    words = ["track", "tiny", "--store", tiny]
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert err == "doubleread: track: no tracker is named; expected --mlflow URI, --tensorboard DIR or both\n"
    board = tmp_path / "board"
    code, out, _ = call(*words, "--tensorboard", board)
    assert (code, out) == (0, f"tensorboard {board}: 2 sent, 0 already there, 0 failed\n")
    code, out, _ = call(*words, "--tensorboard", board, "--json")
    assert (code, json.loads(out)) == (
        0, {"study": "tiny", "targets": [{"target": f"tensorboard {board}", "sent": 0, "there": 2, "failed": 0}]}
    )  # fmt: skip
    assert trackers_of(None, board)[0].option == f"--tensorboard {board}"
