"""Runs on a cluster of Ray, or on one that is started on this machine; Ray places calls, and makes lost ones again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from doubleread.engines.engine import CallRaised, Engine, WorkerDied, told
from doubleread.engines.ray_connection import Cluster, NoCluster, connect
from doubleread.errors import WorkFailed

LOOK_SECONDS = 2.0
"""The time between two looks at the cluster."""
GRACE_SECONDS = 20.0
"""How long calls that are asked to stop may take to leave what they have."""
LAST_SECONDS = 10.0
"""How long Ray may take to end a call."""
MOST_AHEAD = 64
"""Calls that wait in Ray's queue beside those that can run, at most, so that no core waits for the driver."""
MOST_LETTERS = 300
WAIT_SECONDS = 0.1
"""How long a call that has just been made may wait until its end is waited for too."""
BOARD_THREADS = 16
_ASIDE = ThreadPoolExecutor(4, thread_name_prefix="board")
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a call takes: cores, a fraction of GPUs, bytes of memory; Ray makes it again up to `retries` times."""

    cpus: int = 1
    gpus: float = 0.0
    memory: int = 0
    retries: int = 3


@dataclass(frozen=True)
class Shared(Generic[T]):
    """A value that is in the cluster's memory once for each machine; in a call it stands for the value."""

    ref: Any


class Afar:
    """An actor beside the driver, as an object: its methods are called there, from any machine of the cluster."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        # in another thread: a task whose own thread waits for Ray gives its core away
        return lambda *args: _ASIDE.submit(ray.get, getattr(self._actor, method).remote(*args)).result()

    def __reduce__(self) -> tuple[type[Afar], tuple[Any]]:
        """Say how another process has the same one."""
        return Afar, (self._actor,)


class RayExecutor(Engine):
    """An executor whose calls are tasks of Ray: `fn(board, place, *args)`, where `place` names the machine.

    `board` makes the object that calls leave things with; it lives beside the driver, and must have `stop()`, which
    asks calls to end early, and `places()`, which says where each begun call is, and whether it has been heard of
    lately, by what `key_of` makes of its arguments. `most` bounds how many calls run at once; `remark` is told what a
    user should know.

    Raises:
        NoCluster: there is none, or it is this machine, which has not what a call needs.
        WorkFailed: later, where the board is gone.
    """

    def __init__(
        self,
        cluster: Cluster,
        needs: Needs,
        board: type[Any],
        *,
        key_of: Callable[..., Any],
        most: int | None = None,
        remark: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._needs, self._most, self._key_of, self._remark = needs, most, key_of, remark
        self._grows = cluster.address is not None
        self._ours = connect(cluster)
        self._actor: Any = None
        try:
            self._set_up(board)
        except BaseException:
            self._leave()
            raise

    def _set_up(self, board: type[Any]) -> None:
        node = ray.get_runtime_context().get_node_id()
        beside = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        actor = ray.remote(board).options(num_cpus=0, max_concurrency=BOARD_THREADS, scheduling_strategy=beside)
        self._actor = actor.remote()
        self.board = Afar(self._actor)
        # memory of a GPU is free again when the process is gone, and not before
        self._made = ray.remote(max_calls=1 if self._needs.gpus else 0)(_task)
        self._guard = threading.Condition()
        self._refs: dict[Any, Future[Any]] = {}
        self._calls: dict[Future[Any], tuple[Any, Any]] = {}
        self._closed = False
        self._looked = -math.inf
        self._alive: frozenset[str] = frozenset()
        self._places: Mapping[Any, tuple[str, bool]] = {}
        self._slots = 0
        self._room = self._said = False
        self._look()
        self._watch = threading.Thread(target=self._go, name="ray calls", daemon=True)
        self._watch.start()

    @property
    def capacity(self) -> int:
        """See `Engine`; it follows the cluster, which may grow and shrink."""
        self._look()
        # what is handed over ahead runs wherever a core is free: not where the user wants fewer at once
        if self._most is not None and (self._grows or self._most < self._slots):
            return self._most
        return self._slots + min(self._slots, MOST_AHEAD)

    def share(self, value: T) -> Shared[T]:
        """Put a value into the cluster's memory, where calls on one machine have it without a copy."""
        return Shared(ray.put(value))

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Let Ray call `fn(board, place, *args)` on some machine; a `Shared` argument stands for its value."""
        assert not kwargs, "a call is made by its arguments"
        future: Future[T] = Future()
        options = {
            "num_cpus": self._needs.cpus,
            "num_gpus": self._needs.gpus,
            "memory": self._needs.memory or None,
            "max_retries": self._needs.retries,
        }
        refs = [argument.ref if isinstance(argument, Shared) else argument for argument in args]
        future.set_running_or_notify_cancel()
        with self._guard:
            ref = self._made.options(**options).remote(fn, self.board, *refs)
            self._refs[ref] = future
            self._calls[future] = ref, self._key_of(*args)
            self._guard.notify_all()
        return future

    def end(self, future: Future[Any]) -> None:
        """See `Engine`."""
        with self._guard:
            found = self._calls.get(future)
        if found is not None:
            ray.cancel(found[0], force=True)

    def is_at_work(self, future: Future[Any]) -> bool:
        """See `Engine`: while the machine is there on which it was last begun, and it does not wait to be begun again,
        as one may that has not been heard of and for which there is no room."""
        self._look()
        with self._guard:
            found = self._calls.get(future)
        place, heard = self._places.get(found[1], ("", False)) if found is not None else ("", False)
        return place in self._alive and (heard or self._room)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor`; with `cancel_futures`, calls that run are asked to stop, and ended after
        `GRACE_SECONDS`."""
        if cancel_futures:
            self._stop(GRACE_SECONDS)
        if wait:
            with self._guard:
                while self._calls:
                    self._guard.wait()
                self._closed = True
                self._guard.notify_all()
            self._watch.join()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        # on an error nobody will take the results: do not wait for them
        if error is not None:
            self._stop(0.0)
        self.shutdown(wait=True)
        self._leave()

    def _leave(self) -> None:
        if self._actor is not None:
            ray.kill(self._actor)
        if self._ours:
            ray.shutdown()

    def _stop(self, grace: float) -> None:
        until = time.monotonic() + grace
        self._actor.stop.remote()
        begun: Mapping[Any, tuple[str, bool]] = {}
        with suppress(exceptions.RayError):
            begun = ray.get(self._actor.places.remote())
        with self._guard:
            waiting = [ref for ref, key in self._calls.values() if not begun.get(key, ("", False))[1]]
        for ref in waiting:
            ray.cancel(ref)
        with self._guard:
            self._guard.wait_for(lambda: not self._calls, timeout=max(0.0, until - time.monotonic()))
            left = [ref for ref, _ in self._calls.values()]
        for ref in left:
            ray.cancel(ref, force=True)
        with self._guard:
            self._guard.wait_for(lambda: not self._calls, timeout=LAST_SECONDS)
            lost = list(self._calls)
            self._calls.clear()
            self._refs.clear()
        for future in lost:
            # Ray does not say what became of it, and whoever waits for it must not wait for ever
            _give(future, WorkerDied("Ray did not say how the call ended"))

    def _go(self) -> None:
        """Settle calls as they end, until the executor is shut down."""
        while True:
            with self._guard:
                while not self._refs and not self._closed:
                    self._guard.wait()
                if self._closed:
                    return
                refs = list(self._refs)
            done, _ = ray.wait(refs, timeout=WAIT_SECONDS)
            for ref in done:
                self._settle(ref)

    def _settle(self, ref: Any) -> None:
        try:
            answer = ray.get(ref)
        except exceptions.RayError as error:
            answer = _ours(error)
        except Exception as error:
            # what cannot be read is no answer; the thread must go on for the others
            answer = WorkerDied(f"its answer cannot be read ({type(error).__name__}: {error})")
        with self._guard:
            if (future := self._refs.pop(ref, None)) is None:
                return
            self._calls.pop(future, None)
        _give(future, answer)
        with self._guard:
            self._guard.notify_all()

    def _look(self) -> None:
        """Look at the cluster, if it is some time since the last look."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        nodes = [node for node in ray.nodes() if node["Alive"]]
        alive = frozenset(node["NodeID"] for node in nodes)
        if gone := len(self._alive - alive):
            what = "a machine of the cluster is" if gone == 1 else f"{gone} machines of the cluster are"
            self._remark(f"{what} gone; Ray makes what was there again")
        self._alive = alive
        try:
            self._places = ray.get(self._actor.places.remote())
        except exceptions.RayError as error:
            raise WorkFailed(
                f"what runs leave cannot be taken any more: the process beside the driver is gone ({_brief(error)});"
                " what had finished is kept, and the same command goes on from here"
            ) from error
        self._say_what_is_wanted([node["Resources"] for node in nodes])
        there, free = ray.cluster_resources(), ray.available_resources()
        # whole cores over all machines: with as many free, some machine has enough of them
        self._room = free.get("CPU", 0) > len(nodes) * (self._needs.cpus - 1) and (
            free.get("GPU", 0) >= self._needs.gpus
        )
        slots = int(there.get("CPU", 0) // self._needs.cpus)
        if self._needs.gpus:
            slots = min(slots, int(there.get("GPU", 0) / self._needs.gpus + 1e-9))
        # one at least: where machines come when they are asked for, something has to ask
        self._slots = max(1, slots)

    def _say_what_is_wanted(self, machines: Sequence[Mapping[str, float]]) -> None:
        """Say once that no machine has what a call needs; on this machine alone none ever will."""
        needs = {"CPU": self._needs.cpus, "GPU": self._needs.gpus, "memory": self._needs.memory}
        if any(all(there.get(what, 0) >= much for what, much in needs.items()) for there in machines):
            self._said = False
            return
        words = [f"{self._needs.cpus} {'core' if self._needs.cpus == 1 else 'cores'}"]
        words += [f"{self._needs.gpus:g} GPU"] if self._needs.gpus else []
        words += [f"{self._needs.memory / 2**30:.1f} GiB"] if self._needs.memory else []
        wanted = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
        if not self._grows and self._ours:
            raise NoCluster(f"a run takes {wanted}, which this machine has not")
        if not self._said:
            self._said = True
            self._remark(f"no machine of the cluster has {wanted}, which a run takes; it waits until one comes")


def _task(fn: Callable[..., Any], board: Afar, *args: Any) -> Any:
    return fn(board, ray.get_runtime_context().get_node_id(), *args)


def _give(future: Future[Any], answer: Any) -> None:
    """Settle a future, unless that has happened."""
    with suppress(InvalidStateError):
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _ours(error: BaseException) -> Exception:
    """Return what went wrong with a call in the words of engines."""
    if isinstance(error, exceptions.RayTaskError):
        cause = error.cause if isinstance(error.cause, Exception) else error
        first, _, rest = told(cause).partition("\n")
        return CallRaised(f"{first}\n{getattr(error, 'traceback_str', '') or rest}")
    if isinstance(error, exceptions.TaskCancelledError):
        return WorkerDied("the call was cancelled")
    if isinstance(error, exceptions.OutOfMemoryError):
        return WorkerDied("its machine ran out of memory")
    if isinstance(error, exceptions.WorkerCrashedError):
        return WorkerDied("its process ended without an answer, again and again")
    if isinstance(error, exceptions.NodeDiedError | exceptions.ObjectLostError):
        return WorkerDied("its machine is gone")
    return WorkerDied(_brief(error))


def _brief(error: BaseException) -> str:
    """Return an error of Ray on one line, without what it says to whoever runs the cluster."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:MOST_LETTERS]}"
