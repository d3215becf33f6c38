"""A process for each call, one started ahead, and never more at work than there are workers."""

import os
import time
from itertools import pairwise

import pytest

from doubleread.engines import CallRaised, LocalExecutor

# what a fresh process can be asked without a module of the tests: built-in functions
AT_WORK = "(lambda os, time, s: (os.getpid(), time.monotonic(), time.sleep(s), time.monotonic()))"


def at_work(executor, seconds):
    """Submit a call that gives its process, when it began, and when it ended."""
    return executor.submit(eval, f"{AT_WORK}(__import__('os'), __import__('time'), {seconds})")


def wait_until_begun(executor, processes):
    """Wait until so many processes are there, and a moment more: on a busy machine the first takes seconds."""
    until = time.monotonic() + 60
    while len(executor._alive) < processes and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(1.0)


def test_one_is_started_ahead_and_waits_for_its_turn():
    with LocalExecutor(1, []) as executor:
        assert executor.capacity == 2
        futures = [at_work(executor, 0.3) for _ in range(4)]
        spans = [future.result() for future in futures]
    assert len({pid for pid, *_ in spans}) == 4
    by_time = sorted((began, ended) for _, began, _, ended in spans)
    gaps = [later[0] - earlier[1] for earlier, later in pairwise(by_time)]
    assert all(gap >= 0 for gap in gaps)


def test_with_hold_the_next_begins_when_the_process_is_gone():
    with LocalExecutor(1, [], hold=True) as executor:
        first, second = at_work(executor, 0.1), executor.submit(os.listdir, "/")
        pid = first.result()[0]
        second.result()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_waits_for_its_turn_is_ended_with_the_rest(monkeypatch):
    monkeypatch.setattr(LocalExecutor, "GRACE_SECONDS", 0.5)
    executor = LocalExecutor(1, [])
    futures = [at_work(executor, 60) for _ in range(3)]
    wait_until_begun(executor, 2)
    began = time.monotonic()
    executor.shutdown(wait=True, cancel_futures=True)
    assert time.monotonic() - began < 10
    reasons = [None if future.cancelled() else str(future.exception()) for future in futures]
    # which of the first two has its process sooner, and so the turn, is the system's choice
    working, ahead = sorted(reasons[:2], reverse=True)
    assert working.startswith("the process was ended by SIGKILL")
    assert ahead == "stopped before it began"
    assert reasons[2] is None


DEAF = """
import signal, time
heard, until = [], time.monotonic() + 15
signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
while len(heard) < 2 and time.monotonic() < until:
    time.sleep(0.02)
assert len(heard) == 2
"""


def test_one_that_does_not_heed_the_first_wish_to_stop_is_asked_again():
    """A process that has just been forked is deaf for a moment."""
    executor = LocalExecutor(1, [])
    future = executor.submit(exec, DEAF, {})
    wait_until_begun(executor, 1)
    began = time.monotonic()
    executor.shutdown(wait=True, cancel_futures=True)
    assert future.result() is None
    assert time.monotonic() - began < 15


class NoMeaning:
    """Cannot be sent to another process."""

    def __reduce__(self):
        raise TypeError("it stays here")


def test_a_call_that_cannot_be_sent_is_the_callers_error():
    with LocalExecutor(1, []) as executor:
        with pytest.raises(TypeError, match="it stays here"):
            executor.submit(print, NoMeaning()).result()
        assert executor.submit(int, "7").result() == 7


def test_an_error_of_the_call_is_not_taken_for_the_drivers_end():
    with LocalExecutor(1, []) as executor, pytest.raises(CallRaised, match="EOFError: a file ended"):
        executor.submit(eval, "(_ for _ in ()).throw(EOFError('a file ended'))").result()
