"""Runs on this machine: one process a run, forked from a server process that has torch loaded."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, ParamSpec, TypeVar

from doubleread.processes import main_module_hidden

P = ParamSpec("P")
T = TypeVar("T")


class WorkerDied(Exception):
    """The process of a task ended without an answer: killed, out of memory, or crashed."""


class LocalExecutor(Executor):
    """An executor that gives every call a process of its own, `workers` at a time.

    `preload` names the modules that the server imports once, before it forks. A call's function and arguments must
    be importable by name in a fresh process. `workers` is how many run at once; one process more is started ahead and
    waits for its turn, so that a core does not wait while a process is made. With `hold`, a turn lasts until the
    process is gone, for what it holds that the next one needs: a device's memory.
    """

    AHEAD = 1

    def __init__(self, workers: int, preload: Sequence[str], *, hold: bool = False) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self.workers = workers
        self._hold = hold
        self._turns = threading.Semaphore(workers)
        self._slots = ThreadPoolExecutor(self.capacity, thread_name_prefix="run")
        self._guard = threading.Lock()
        self._alive: set[BaseProcess] = set()
        self._stopped = False

    @property
    def capacity(self) -> int:
        """How many calls it can have in hand: those that run, and those that are started ahead."""
        return self.workers + self.AHEAD

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn(*args, **kwargs)` in a process of its own, when a slot is free."""
        return self._slots.submit(self._in_process, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor`; with `cancel_futures`, running processes are ended too."""
        if cancel_futures:
            with self._guard:
                self._stopped = True
                for process in self._alive:
                    process.kill()
        self._slots.shutdown(wait=wait, cancel_futures=cancel_futures)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        # on an error nobody will take the results: do not wait for them
        self.shutdown(wait=True, cancel_futures=error is not None)

    def _in_process(self, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
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
            self._alive.add(process)
        theirs.close()
        try:
            with self._turns:
                answer = _ask(ours, fn, args, kwargs)
                # one that has answered has nothing left to do, and nobody waits until the system has taken it apart,
                # unless the next one needs what it holds
                if answer is None or self._hold:
                    process.join()
        finally:
            ours.close()
            with self._guard:
                self._alive.discard(process)
        if answer is None:
            raise WorkerDied(_how_it_ended(process.exitcode))
        fine, value = answer
        if not fine:
            raise WorkerDied(value)
        return value


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
    try:
        fn, args, kwargs = pipe.recv()
    except EOFError:
        # the driver went away before the turn came
        os._exit(1)
    except Exception as error:
        pipe.send((False, _told(error)))
    else:
        try:
            pipe.send((True, fn(*args, **kwargs)))
        except Exception as error:
            pipe.send((False, _told(error)))
    pipe.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # the answer is given and what had to be written is: taking the interpreter apart would cost 10 ms of every run
    os._exit(0)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}"


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", perhaps out of memory" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
    return f"the process ended with exit code {exitcode} and no answer"
