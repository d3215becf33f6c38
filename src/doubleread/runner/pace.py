"""How long the rest of a study takes: from the work that was done since the first of it was, and not from the start."""

from __future__ import annotations

from doubleread.runner.live import Live

ENOUGH = 0.02
"""The share of all work that must have been done since the first of it was seen."""


class Pace:
    """Watches a study and says how long the rest takes.

    Until the first epoch is done nothing is: processes start, images are mapped, a routine is compiled. Of a short
    study that is a good part of its first tenth, and none of the rest.
    """

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def seconds_left(self, live: Live, elapsed: float) -> float | None:
        """Return the seconds that the rest takes, `elapsed` after training began; None where it cannot be told yet."""
        if live.work_done <= 0 or elapsed <= 0:
            return None
        if self._first is None:
            self._first = elapsed, live.work_done
        since, done = elapsed - self._first[0], live.work_done - self._first[1]
        if done < ENOUGH * live.work_total or since <= 0:
            # what was there at the first look may be older than this start: checkpoints that runs go on from
            return None
        return (live.work_total - live.work_done) * since / done
