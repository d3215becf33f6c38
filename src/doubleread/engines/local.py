"""Runs on this machine: one process a run, forked from a server process that has torch loaded."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class WorkerDied(Exception):
    """The process of a task ended without an answer: killed, out of memory, or crashed."""


class LocalExecutor(Executor):
    """An executor that gives every call a process of its own, `workers` at a time.

    `preload` names the modules that the server imports once, before it forks. A call's function and arguments must
    be importable by name in a fresh process. `workers` is how many run at once.
    """

    def __init__(self, workers: int, preload: Sequence[str]) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self.workers = workers
        self._slots = ThreadPoolExecutor(workers, thread_name_prefix="run")
        self._guard = threading.Lock()
        self._alive: set[BaseProcess] = set()
        self._stopped = False

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
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_answer, args=(sender, fn, args, kwargs), daemon=True)
        with self._guard:
            if self._stopped:
                raise WorkerDied("stopped before it began")
            try:
                with _main_module_hidden():
                    process.start()
            except OSError as error:
                receiver.close()
                sender.close()
                raise WorkerDied(f"no process could be started ({error.strerror})") from error
            self._alive.add(process)
        sender.close()
        try:
            answer = None
            with suppress(EOFError):
                answer = receiver.recv()
            if answer is None:
                process.join()
            # one that has answered has nothing left to do: its slot need not wait until the system has taken it apart
        finally:
            receiver.close()
            with self._guard:
                self._alive.discard(process)
        if answer is None:
            raise WorkerDied(_how_it_ended(process.exitcode))
        fine, value = answer
        if not fine:
            raise WorkerDied(value)
        return value


def _answer(sender: Connection, fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """Call the function in the new process and send what came of it."""
    # Ctrl-C reaches the whole group; the driver decides what becomes of its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sender.send((True, fn(*args, **kwargs)))
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        sender.send((False, f"{type(error).__name__}: {error}\n{trace}"))
    sender.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # the answer is given and what had to be written is: taking the interpreter apart would cost 10 ms of every run
    os._exit(0)


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", perhaps out of memory" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
    return f"the process ended with exit code {exitcode} and no answer"


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep the new process from importing the user's script again: what it runs is never defined there."""
    main = sys.modules["__main__"]
    kept = {name: main.__dict__.pop(name) for name in ("__spec__", "__file__") if name in main.__dict__}
    main.__dict__["__spec__"] = None
    try:
        yield
    finally:
        main.__dict__.update(kept)
