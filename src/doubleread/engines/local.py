"""Runs on this machine: one process a run, forked from a server process that has torch loaded."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from typing import Any, ParamSpec, TypeVar

from doubleread.engines.engine import CallRaised, Engine, WorkerDied, told
from doubleread.processes import die_with_parent, heed_sigterm, main_module_hidden

HINTS = {"SIGKILL": ", perhaps out of memory"} | dict.fromkeys(
    ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE"), ", a crash in compiled code"
)
"""What usually stands behind the end of a process by a signal."""

ASK_SECONDS = 0.5
"""How long a process has to stop before it is asked again."""
P = ParamSpec("P")
T = TypeVar("T")


class LocalExecutor(Engine):
    """An executor that gives every call a process of its own, `workers` at a time.

    `preload` names the modules that the server imports once, before it forks. A call's function and arguments must
    be importable by name in a fresh process. `workers` is how many run at once; one process more is started ahead and
    waits for its turn, so that a core does not wait while a process is made. With `hold`, a turn lasts until the
    process is gone, for what it holds that the next one needs: a device's memory.
    """

    AHEAD = 1
    GRACE_SECONDS = 20.0
    """How long a process that is asked to stop may take to leave what it has."""

    def __init__(self, workers: int, preload: Sequence[str], *, hold: bool = False) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self.workers = workers
        self._hold = hold
        self._turns = threading.Semaphore(workers)
        self._slots = ThreadPoolExecutor(self.capacity, thread_name_prefix="run")
        self._guard = threading.Condition()
        self._alive: dict[Future[Any], BaseProcess] = {}
        self._stopped = False

    @property
    def capacity(self) -> int:
        """How many calls it can have in hand: those that run, and those that are started ahead."""
        return self.workers + self.AHEAD

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn(*args, **kwargs)` in a process of its own, when a slot is free."""
        future: Future[T] = Future()
        self._slots.submit(self._settle, future, fn, args, kwargs)
        return future

    def end(self, future: Future[Any]) -> None:
        """End the process of a call at once; its future then raises `WorkerDied`."""
        with self._guard:
            if (process := self._alive.get(future)) is not None:
                process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor`; with `cancel_futures`, calls that wait are not made, and processes that
        run are asked to stop, and ended after `GRACE_SECONDS`."""
        if cancel_futures:
            self._stop(self.GRACE_SECONDS)
        self._slots.shutdown(wait=wait, cancel_futures=False)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        # on an error nobody will take the results: do not wait for them
        if error is not None:
            self._stop(0.0)
        self.shutdown(wait=True)

    def _stop(self, grace: float) -> None:
        with self._guard:
            self._stopped = True
            until = time.monotonic() + grace
            while self._alive:
                # one that has just been forked does not heed it yet, so it is asked again
                for process in self._alive.values():
                    process.terminate()
                left = until - time.monotonic()
                if left <= 0 or self._guard.wait_for(lambda: not self._alive, timeout=min(ASK_SECONDS, left)):
                    break
            for process in self._alive.values():
                process.kill()

    def _settle(self, future: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Make a call and give its future what came of it."""
        if self._stopped or not future.set_running_or_notify_cancel():
            future.cancel()
            future.set_running_or_notify_cancel()
            return
        try:
            future.set_result(self._in_process(future, fn, args, kwargs))
        except BaseException as error:
            future.set_exception(error)

    def _in_process(self, future: Future[Any], fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_answer, args=(theirs,), daemon=True)
        with self._guard:
            if self._stopped:
                raise WorkerDied("stopped before it began")
            try:
                with main_module_hidden():
                    process.start()
            except (OSError, EOFError) as error:
                # EOFError: the server itself could not fork, and is gone
                ours.close()
                theirs.close()
                why = getattr(error, "strerror", None) or "the server that starts them is gone"
                raise WorkerDied(f"no process could be started ({why})") from error
            self._alive[future] = process
        theirs.close()
        try:
            answer = self._in_turn(ours, process, fn, args, kwargs)
        finally:
            ours.close()
            with self._guard:
                del self._alive[future]
                self._guard.notify_all()
        if answer is None:
            raise WorkerDied(_how_it_ended(process.exitcode))
        fine, value = answer
        if not fine:
            raise CallRaised(value)
        return value

    def _in_turn(
        self, pipe: Connection, process: BaseProcess, fn: Callable[..., Any], args: Any, kwargs: Any
    ) -> tuple[bool, Any] | None:
        with self._turns:
            if self._stopped:
                raise WorkerDied("stopped before it began")
            answer = _ask(pipe, fn, args, kwargs)
            # one that has answered has nothing left to do, and nobody waits until the system has taken it apart,
            # unless the next one needs what it holds
            if answer is None or self._hold:
                wait_for([process.sentinel])
                # starting a process polls all others too, and only one of two that poll gets the exit code
                with self._guard:
                    process.join()
            return answer


def _ask(pipe: Connection, fn: Callable[..., Any], args: Any, kwargs: Any) -> tuple[bool, Any] | None:
    """Send a process its call and return what it answers, or None if it ended without an answer."""
    with suppress(EOFError, OSError):
        pipe.send((fn, args, kwargs))
        return pipe.recv()
    return None


def _answer(pipe: Connection) -> None:
    """Wait in the new process for its call, make it, and send what came of it."""
    # Ctrl-C reaches the whole group; the driver decides what becomes of its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heed_sigterm()
    die_with_parent()
    try:
        fn, args, kwargs = pipe.recv()
        # nothing more is ever sent: what can be read from now on is the end of the driver
        threading.Thread(target=_end_with_driver, args=(pipe,), daemon=True).start()
    except EOFError:
        # the driver went away before the turn came
        os._exit(1)
    except Exception as error:
        pipe.send((False, told(error)))
    else:
        try:
            pipe.send((True, fn(*args, **kwargs)))
        except Exception as error:
            pipe.send((False, told(error)))
    pipe.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # the answer is given and what had to be written is: taking the interpreter apart would cost 10 ms of every run
    os._exit(0)


def _end_with_driver(pipe: Connection) -> None:
    """End this process when the driver's end of the pipe is closed, however that came about.

    The server cannot tell: as long as one of its processes lives, it takes the driver to be alive.
    """
    wait_for([pipe])
    os._exit(1)


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = HINTS.get(name, "")
        return f"the process was ended by {name}{hint}"
    return f"the process ended with exit code {exitcode} and no answer"
