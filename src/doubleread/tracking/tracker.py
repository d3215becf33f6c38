"""What a tracker can do, and how it says that it could not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from doubleread.tracking.tracked import TrackedRun


class NotSent(Exception):
    """One run could not be sent; the text is the reason."""


class Unreachable(NotSent):
    """Nothing can be sent now; the text is the reason."""


class Tracker(Protocol):
    """A place where finished runs are shown, each once."""

    @property
    def target(self) -> str:
        """What it is and where, for messages; without a password."""
        ...

    @property
    def option(self) -> str:
        """The option of the command line that names it."""
        ...

    def known(self, study: str) -> Mapping[str, str]:
        """Return the stamps of the runs of a study that are there as a whole, by run id.

        Raises:
            NotSent: it cannot be asked.
        """
        ...

    def send(self, run: TrackedRun) -> None:
        """Send one run, in the place of what is there of it: another stamp, or a part that a cut-off export left.

        `known` has been asked about its study before.

        Raises:
            NotSent: it could not be sent; the next call sends it anew.
        """
        ...
