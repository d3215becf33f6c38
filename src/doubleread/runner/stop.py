"""Ctrl-C and SIGTERM as a wish."""

from __future__ import annotations

import signal
import threading
from typing import Any, Self


class StopRequest:
    """Turns Ctrl-C and SIGTERM into a wish that the driver heeds between two writes; a second one ends it at once.

    An exception out of a signal would come in the middle of a transaction, or between a rename and its rows.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # only the main thread of a program may ask for signals
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _signal: int, _frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
