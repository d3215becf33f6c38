"""Live progress: a few lines that keep themselves up to date on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from doubleread.nouns import State
from doubleread.runner.live import Live
from doubleread.runner.pace import Pace

PLAIN_SECONDS = 10.0


class Show(Protocol):
    """Where progress goes: reading of images, and a study under way."""

    def reading(self, what: str, done: int, total: int) -> None:
        """Take the progress of reading."""
        ...

    def remark(self, text: str) -> None:
        """Take something that a user should know before anything trains."""
        ...

    def planned(self, names: Mapping[str, tuple[str, int]]) -> None:
        """Take what the runs that are about to be trained are called, and how many epochs each has."""
        ...

    def study(self, live: Live) -> None:
        """Take one moment of the training."""
        ...


class Silent:
    """Shows nothing."""

    def reading(self, what: str, done: int, total: int) -> None:
        """Take the progress of reading."""

    def remark(self, text: str) -> None:
        """Take a remark."""

    def planned(self, names: Mapping[str, tuple[str, int]]) -> None:
        """Take what the runs are called."""

    def study(self, live: Live) -> None:
        """Take one moment of the training."""


class Progress:
    """Shows progress on `console`, with `title` before each line; used as a context manager."""

    def __init__(self, console: Console, title: str) -> None:
        self._console, self._title = console, title
        self._names: dict[str, tuple[str, int]] = {}
        # in a notebook lines that keep themselves up to date are a widget
        self._fancy = console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
        self._live = RichLive(console=console, refresh_per_second=4, transient=True) if self._fancy else None
        self._clock: Callable[[], float] = time.monotonic
        self._began, self._pace = self._clock(), Pace()
        self._spoken = -math.inf

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def reading(self, what: str, done: int, total: int) -> None:
        """Take the progress of reading."""
        line = f"{self._title}: {what}, {done:,} of {total:,}"
        self._put(lambda: Text(line), line)

    def remark(self, text: str) -> None:
        """Print a remark above whatever moves."""
        self._say(f"{self._title}: {text}")

    def planned(self, names: Mapping[str, tuple[str, int]]) -> None:
        """Take what the runs are called, and begin to count the time that they take."""
        self._names = dict(names)
        self._began, self._pace = self._clock(), Pace()

    def study(self, live: Live) -> None:
        """Take one moment of the training."""
        self._put(lambda: self._picture(live), self._line(live))

    def _put(self, picture: Callable[[], Text | Group], line: str) -> None:
        if self._live is not None:
            self._live.update(picture())
            return
        moment = self._clock()
        # a log wants few lines: at most one in ten seconds
        if moment - self._spoken >= PLAIN_SECONDS:
            self._spoken = moment
            self._say(line)

    def _say(self, line: str) -> None:
        # as it is: a name in brackets is no markup
        self._console.print(Text(line), soft_wrap=True)

    def _summary(self, live: Live) -> str:
        finished = sum(state in (State.DONE, State.DIVERGED) for state in live.states.values())
        parts = [f"{finished} of {len(live.states)} runs done", f"{len(live.running)} running"]
        for state in (State.FAILED, State.DIVERGED):
            if number := sum(s is state for s in live.states.values()):
                parts.append(f"{number} {state.value}")
        left = self._pace.seconds_left(live, self._clock() - self._began)
        parts.append(f"{'unknown time' if left is None else in_words(left)} left")
        return ", ".join(parts)

    def _line(self, live: Live) -> str:
        return f"{self._title}: {self._summary(live)}{self._last_loss(live)}"

    def _last_loss(self, live: Live) -> str:
        epochs = [rows[-1] for rows in live.running.values() if rows]
        return f"; last training loss {epochs[-1]['train_loss']:.4f}" if epochs else ""

    def _picture(self, live: Live) -> Group:
        bar = ProgressBar(total=live.work_total or 1.0, completed=live.work_done, width=40)
        table = Table.grid(padding=(0, 2))
        for run_id, epochs in live.running.items():
            name, of = self._names.get(run_id, (run_id[:8], 0))
            losses = (
                f"loss {epochs[-1]['train_loss']:.4f} train, {epochs[-1]['val_loss']:.4f} val" if epochs else "starting"
            )
            table.add_row(Text(f"  {name}"), f"epoch {len(epochs)} of {of}", losses)
        return Group(Text(f"{self._title}: {self._summary(live)}"), bar, table)


def in_words(seconds: float) -> str:
    """Return a duration for people: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"
