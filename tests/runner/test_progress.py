"""Progress: a few lines that move on a terminal, few plain lines elsewhere."""

import io
import re
import time

import numpy as np
import pytest
from rich.console import Console

from doubleread.nouns import State
from doubleread.runner import Live, Progress, Silent, prepare_study, train_study
from doubleread.runner.pace import Pace
from doubleread.store import open_store
from doubleread.study import parse_study
from tests.conftest import small_study, write_folder

EPOCH = {"train_loss": 0.51234, "val_loss": 0.6}


def live(done=3, work=30.0):
    states = {f"r{i}": State.DONE if i < done else State.PLANNED for i in range(8)}
    states |= {"r6": State.RUNNING, "r7": State.FAILED}
    return Live(states=states, running={"r6": [EPOCH, EPOCH]}, work_done=work, work_total=90.0)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def plain():
    out = io.StringIO()
    progress = Progress(Console(file=out, width=200), "study")
    progress._clock = Clock()
    return progress, out


def test_plain_lines_come_at_most_once_in_ten_seconds(plain):
    progress, out = plain
    with progress:
        progress.planned({"r6": ("batch/8, seed 1", 30)})
        for second in range(1, 32):
            progress._clock.now = float(second)
            progress.study(live())
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0] == ("study: 3 of 8 runs done, 1 running, 1 failed, unknown time left; last training loss 0.5123")
    assert "\x1b" not in out.getvalue()
    assert "\r" not in out.getvalue()


def test_a_terminal_sees_each_worker():
    out = io.StringIO()
    with Progress(Console(file=out, width=120, force_terminal=True), "study") as progress:
        progress.planned({"r6": ("batch/8, seed 1", 30)})
        progress.study(live())
        progress._live.refresh()
        shown = out.getvalue()
    assert "batch/8, seed 1" in shown
    assert "epoch 2 of 30" in shown
    assert "loss 0.5123 train, 0.6000 val" in shown


def test_a_name_in_brackets_is_shown_as_it_is(plain):
    progress, out = plain
    with progress:
        progress.remark("runs[/old] is :cat: here")
        progress.reading("sending to logs[/b]:x:", 1, 2)
    assert out.getvalue() == "study: runs[/old] is :cat: here\nstudy: sending to logs[/b]:x:, 1 of 2\n"
    out = io.StringIO()
    with Progress(Console(file=out, width=120, force_terminal=True), "study") as progress:
        progress.planned({"r6": ("model/[64][/b], seed 1", 30)})
        progress.study(live())
        progress._live.refresh()
    assert "  model/[64][/b], seed 1  epoch 2 of 30" in out.getvalue()


def test_reading_is_shown(plain):
    progress, out = plain
    with progress:
        progress.reading("reading images", 500, 5840)
    assert out.getvalue() == "study: reading images, 500 of 5,840\n"


def test_time_left():
    pace = Pace()
    assert pace.seconds_left(live(work=0.0), 5.0) is None
    assert pace.seconds_left(live(work=30.0), 10.0) is None
    assert pace.seconds_left(live(work=40.0), 15.0) == 25.0


def test_what_comes_before_the_first_epoch_is_not_taken_for_work():
    pace = Pace()
    # 50 s until the first work is seen, then a unit a second
    assert [pace.seconds_left(live(work=done), 49.0 + done) for done in (1.0, 2.0, 11.0, 41.0)] == [
        None,
        None,
        pytest.approx(79.0),
        pytest.approx(49.0),
    ]


@pytest.mark.parametrize("name", ["NO_COLOR", "TERM"])
def test_without_colour(monkeypatch, name):
    monkeypatch.setenv(name, "1" if name == "NO_COLOR" else "dumb")
    out = io.StringIO()
    with Progress(Console(file=out, width=120, force_terminal=True), "study") as progress:
        progress.planned({"r6": ("batch/8, seed 1", 30)})
        progress.study(live())
        progress._live.refresh()
    coloured = re.findall(r"\x1b\[(?:3[0-9]|4[0-9]|9[0-7]|38;|48;)[0-9;]*m", out.getvalue())
    assert coloured == []


class Watch(Silent):
    """Writes down when it was told what, and the time that it would say is left."""

    def __init__(self):
        self.pace, self.said, self.began, self.first, self.last = Pace(), [], 0.0, 0.0, 0.0

    def planned(self, names):
        self.began = time.monotonic()

    def study(self, live):
        now = time.monotonic()
        left = self.pace.seconds_left(live, now - self.began)
        if left is not None:
            self.said.append((now, live.work_done / live.work_total, left))
        self.last = now


@pytest.mark.slow
def test_after_a_tenth_of_a_study_the_time_left_is_right_within_a_fifth(tmp_path):
    """Arms of unlike cost: batches of 4 take several times as long as those of 32."""
    raw = small_study(write_folder(tmp_path / "images", train=300, size=64), seeds=8)
    raw["data"] = {**raw["data"], "image_size": 64}
    raw["base"] = {**raw["base"], "epochs": 12, "model": {"name": "mlp", "hidden": [64, 64]}}
    raw["experiments"] = {"batch": {"factors": {"batch_size": [4, 8, 16, 32]}}}
    study, off = parse_study(raw, place="s"), []
    # the machine is others' too, and they come and go: one of three studies shows what the pace is worth
    for attempt in range(3):
        watch = Watch()
        with open_store(tmp_path / f"runs-{attempt}", write=True) as store:
            train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=watch)
        wrong = [left / (watch.last - now) - 1 for now, done, left in watch.said if 0.1 <= done <= 0.8]
        assert len(wrong) > 10
        off.append(float(np.median(np.abs(wrong))))
        if off[-1] < 0.2:
            return
    raise AssertionError(off)
