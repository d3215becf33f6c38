"""What every engine is: an executor, and the little that the driver asks of it beyond that."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from concurrent.futures import Executor, Future
from typing import Any


class WorkerDied(Exception):
    """The process of a call ended without an answer: killed, out of memory, crashed, or its machine is gone."""


class CallRaised(Exception):
    """The call itself raised; the text is the error, with its traceback after the first line."""


class Engine(Executor, ABC):
    """A `concurrent.futures.Executor` of runs.

    The future of a call raises `CallRaised` where the call did, and `WorkerDied` where it has no answer.
    """

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many calls it can have in hand: those that run, and those that wait for their turn."""

    @abstractmethod
    def end(self, future: Future[Any]) -> None:
        """End the process of a call at once; its future then raises `WorkerDied`."""

    def is_at_work(self, future: Future[Any]) -> bool:
        """Tell whether a call that has begun should be giving signs of life, as far as is known.

        It should not while it waits in a queue once more, or while its machine is gone and nobody has begun it again.
        """
        return True

    def in_hand(self, names: Collection[str]) -> Mapping[Future[Any], str]:
        """Take over those calls of an earlier driver that go by one of `names`; return their names by their futures."""
        return {}


def told(error: BaseException) -> str:
    """Return an error as `CallRaised` has it."""
    return f"{type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}"
