"""The driver: what is missing goes to an engine, what comes back goes to the store. The only writer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass
from typing import Any, Self

from doubleread.dataset import PreparedSet
from doubleread.engines import WorkerDied
from doubleread.nouns import State
from doubleread.runner.live import Live
from doubleread.runner.units import Unit, units_of
from doubleread.store import Store, has_begun, is_whole, read_progress
from doubleread.study import Plan, PlannedRun
from doubleread.worker import Task, execute

# Diverged is a result of the recipe: the same seed would diverge again.
FINISHED = frozenset({State.DONE, State.DIVERGED})
POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How a study stands after a `run`; the keys of its JSON."""

    planned: int
    done: int
    reused: int
    failed: int
    diverged: int
    interrupted: int

    @property
    def finished(self) -> bool:
        """Whether every run has an end, good or bad."""
        return self.done + self.failed + self.diverged == self.planned

    def as_dict(self) -> dict[str, int]:
        """Return the counts for JSON."""
        return asdict(self)


def drive(
    plan: Plan,
    prepared: Mapping[str, PreparedSet],
    store: Store,
    executor: Executor,
    *,
    keep_weights: str,
    room: int = 0,
    show: Callable[[Live], None] = lambda _live: None,
) -> Counts:
    """Train what the store does not have of a plan; return how the study stands.

    `prepared` maps data hashes to prepared sets; `room` is how many bytes a stack may take on its device. On Ctrl-C or
    SIGTERM running runs are ended and marked as interrupted, and the counts are returned; the same call goes on from
    there.
    """
    driver = _Driver(plan, prepared, store, executor, keep_weights, room, show)
    with StopRequest() as stop:
        driver.go(stop)
        if stop.asked:
            driver.interrupt()
    return driver.counts()


def work_of(run: PlannedRun, n_train: int) -> float:
    """Return a number proportional to the seconds of a run: cases trained, plus a fixed cost of every step.

    The update of the weights takes about as long as 12 cases take forward and backward (MLP on 256 × 256 pixels).
    """
    batch = run.recipe.batch_size
    return run.recipe.epochs * (n_train + 12 * -(-n_train // batch))


class _Driver:
    def __init__(
        self,
        plan: Plan,
        prepared: Mapping[str, PreparedSet],
        store: Store,
        executor: Executor,
        keep_weights: str,
        room: int,
        show: Callable[[Live], None],
    ) -> None:
        self.plan, self.store, self.executor, self.show = plan, store, executor, show
        self.keep_weights = keep_weights
        self.run_ids = [run.run_id for run in plan.runs]
        self.states = store.states(self.run_ids)
        self.reused = sum(state is State.DONE for state in self.states.values())
        n_train = {key: len(data.rows("train")) for key, data in prepared.items()}
        self.missing = [run for run in plan.runs if self.states[run.run_id] not in FINISHED]
        self.work = {run.run_id: work_of(run, n_train[run.data_hash]) for run in self.missing}
        self.epochs = {run.run_id: run.recipe.epochs for run in self.missing}
        self.units = units_of(self.missing, prepared, room)
        self.tasks: dict[Future[None], tuple[Task, ...]] = {}

    def go(self, stop: StopRequest) -> None:
        """Keep every slot busy until nothing is missing, or until it is to stop."""
        waiting = iter(self.units)
        self._fill(waiting, stop)
        while self.tasks and not stop.asked:
            finished, _ = wait(self.tasks, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            # first what is next, then what has been: a core does not wait while a result is written down
            done = [(future, self.tasks.pop(future)) for future in finished]
            self._fill(waiting, stop)
            for future, tasks in done:
                self._take(future, tasks)
            self.show(self.live())

    def interrupt(self) -> None:
        """End what is running and say so in the store; what had finished by then is taken over."""
        self.executor.shutdown(wait=True, cancel_futures=True)
        for future, tasks in list(self.tasks.items()):
            if future.done() and not future.cancelled() and future.exception() is None:
                self._take(future, tasks)
                continue
            self._give_up(tasks, State.INTERRUPTED, "interrupted by the user")
        self.tasks.clear()

    def live(self) -> Live:
        """Return the present moment."""
        # what is handed over but waits for its turn is not running yet
        begun = [task for tasks in self.tasks.values() for task in tasks if has_begun(task.folder)]
        running = {task.run_id: read_progress(task.folder) for task in begun}
        waiting = (State.PLANNED, State.RUNNING)
        done = sum(work for run_id, work in self.work.items() if self.states[run_id] not in waiting)
        done += sum(self.work[run_id] * len(epochs) / self.epochs[run_id] for run_id, epochs in running.items())
        return Live(
            states=dict(self.states),
            running=running,
            work_done=done,
            work_total=sum(self.work.values()),
        )

    def counts(self) -> Counts:
        """Return how the study stands."""
        found = [self.states[run_id] for run_id in self.run_ids]
        return Counts(
            planned=len(found),
            done=found.count(State.DONE),
            reused=self.reused,
            failed=found.count(State.FAILED),
            diverged=found.count(State.DIVERGED),
            interrupted=found.count(State.INTERRUPTED),
        )

    def _fill(self, waiting: Iterator[Unit], stop: StopRequest) -> None:
        """Hand over as much as the engine can have in hand; the last of it only waits, and counts as running."""
        while len(self.tasks) < _capacity(self.executor) and not stop.asked:
            if (unit := next(waiting, None)) is None:
                return
            self._begin(unit)

    def _begin(self, unit: Unit) -> None:
        tasks = tuple(self._task(run) for run in unit)
        self.tasks[self.executor.submit(execute, tasks)] = tasks

    def _task(self, run: PlannedRun) -> Task:
        attempt = self.store.begin(run.run_id)
        self.states[run.run_id] = State.RUNNING
        return Task(
            root=self.store.root,
            run_id=run.run_id,
            attempt=attempt,
            recipe=run.recipe,
            intensity=run.intensity,
            seed=run.seed,
            data_hash=run.data_hash,
            compute=run.compute,
            identity=run.identity,
            keep_weights=self.keep_weights != "none",
        )

    def _take(self, future: Future[None], tasks: Sequence[Task]) -> None:
        try:
            future.result()
        except WorkerDied as error:
            self._give_up(tasks, State.FAILED, str(error).splitlines()[0])
            return
        for task in tasks:
            self.states[task.run_id] = self.store.record(task.run_id, task.attempt)

    def _give_up(self, tasks: Sequence[Task], state: State, reason: str) -> None:
        """Set the state of runs whose process is gone; what it had written down of a stack by then is taken over."""
        for task in tasks:
            if is_whole(task.folder):
                self.states[task.run_id] = self.store.record(task.run_id, task.attempt)
            else:
                self._set(task.run_id, state, reason)

    def _set(self, run_id: str, state: State, reason: str) -> None:
        self.states[run_id] = state
        self.store.set_state(run_id, state, reason)


def _capacity(executor: Executor) -> int:
    return int(getattr(executor, "capacity", 1))


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
