"""Progress: a few lines that move on a terminal, few plain lines elsewhere."""

import io

import pytest
from rich.console import Console

from doubleread.nouns import State
from doubleread.runner import Live, Progress
from doubleread.runner.progress import time_left

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
    assert lines[0] == ("study: 3 of 8 runs done, 1 running, 1 failed, 2 s left; last training loss 0.5123")
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


def test_reading_is_shown(plain):
    progress, out = plain
    with progress:
        progress.reading("reading images", 500, 5840)
    assert out.getvalue() == "study: reading images, 500 of 5,840\n"


def test_time_left():
    assert time_left(live(work=30.0), 10.0) == "20 s"
    assert time_left(live(work=0.0), 10.0) == "unknown time"
