"""What a user may set about how runs are looked after; none of it changes a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from doubleread.errors import UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class Care:
    """How runs are looked after, in seconds.

    A run leaves a checkpoint every `checkpoint_every` seconds; one that gives no sign of life for `give_up_after`
    seconds is ended.
    """

    checkpoint_every: float = 60.0
    give_up_after: float = 600.0

    def __post_init__(self) -> None:
        for option, value in (("--checkpoint-every", self.checkpoint_every), ("--give-up-after", self.give_up_after)):
            if not 0 < value < float("inf"):
                raise UserError(option, f"got {value:g}", "expected a number of seconds above 0")


class Hearing:
    """Tells who has been silent for `limit` seconds, by a clock that nobody can set."""

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._heard: dict[Hashable, tuple[str, float]] = {}

    def is_silent(self, who: Hashable, beat: str) -> bool:
        """Take the latest sign of life; tell whether it has been the same for the limit."""
        now = self._clock()
        last, since = self._heard.setdefault(who, (beat, now))
        if beat != last:
            self._heard[who] = (beat, now)
            return False
        return now - since >= self._limit

    def forget(self, who: Hashable) -> None:
        """Listen no longer."""
        self._heard.pop(who, None)
