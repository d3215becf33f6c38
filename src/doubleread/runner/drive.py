"""The driver: what is missing goes to an engine, what comes back goes to the store. The only writer."""

from __future__ import annotations

import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

from doubleread.dataset import PreparedSet
from doubleread.disk import FULL
from doubleread.engines import CallRaised, Engine, WorkerDied
from doubleread.nouns import State
from doubleread.runner.care import Care, Hearing
from doubleread.runner.counts import Counts
from doubleread.runner.live import Live
from doubleread.runner.resume import position, positions
from doubleread.runner.stop import StopRequest
from doubleread.runner.units import Unit, units_of
from doubleread.store import (
    Store,
    attempt_folder,
    attempt_of,
    has_begun,
    is_whole,
    make_attempt,
    newest_checkpoint,
    read_beat,
    read_progress,
    read_record,
    run_folder,
)
from doubleread.study import Plan, PlannedRun
from doubleread.training.model import Size, size_of
from doubleread.worker import Ending, Task, execute

# Diverged is a result of the recipe: the same seed would diverge again.
FINISHED = frozenset({State.DONE, State.DIVERGED})
POLL_SECONDS = 0.5
LOOK_SHARE = 0.1
"""The most of its time that the driver spends on looking at runs under way: with hundreds of them a look takes long."""
TRIES = 2
"""How often a run is begun, in one call, whose process ended without a word and without getting further than the one
before: something outside it may have ended it."""
SPARE_BYTES = 2**20


def drive(
    plan: Plan,
    prepared: Mapping[str, PreparedSet],
    store: Store,
    executor: Executor,
    *,
    keep_weights: str,
    room: int = 0,
    care: Care | None = None,
    show: Callable[[Live], None] = lambda _live: None,
    remark: Callable[[str], None] = lambda _text: None,
) -> Counts:
    """Train what the store does not have of a plan; return how the study stands.

    `prepared` maps data hashes to prepared sets; `room` is how many bytes a stack may take on its device. On Ctrl-C or
    SIGTERM, or where the disk is full, running runs leave checkpoints and are marked as interrupted, and the counts are
    returned; the same call goes on from there.
    """
    driver = _Driver(plan, prepared, store, executor, keep_weights, room, care or Care(), show, remark)
    with StopRequest() as stop:
        try:
            driver.go(stop)
        except OSError as error:
            if error.errno not in FULL:
                raise
            driver.full = True
        if stop.asked or driver.full:
            driver.interrupt("the disk is full" if driver.full else "interrupted by the user")
    return driver.counts()


def work_of(run: PlannedRun, n_train: int, data: PreparedSet) -> float:
    """Return a number proportional to the seconds of a run: products of the cases trained, and of every update.

    The update of a weight takes about as long as 12 products (MLP on 256 × 256 pixels).
    """
    size, steps = _size(run, data), -(-n_train // run.recipe.batch_size)
    return float(run.recipe.epochs * (n_train * size.products + 12 * steps * size.parameters))


def _size(run: PlannedRun, data: PreparedSet) -> Size:
    return size_of(run.recipe, data.shape, len(data.classes))


class _Driver:
    def __init__(
        self,
        plan: Plan,
        prepared: Mapping[str, PreparedSet],
        store: Store,
        executor: Executor,
        keep_weights: str,
        room: int,
        care: Care,
        show: Callable[[Live], None],
        remark: Callable[[str], None],
    ) -> None:
        self.plan, self.store, self.executor, self.show, self.remark = plan, store, executor, show, remark
        self.keep_weights, self.care, self.full = keep_weights, care, False
        self.run_ids = [run.run_id for run in plan.runs]
        self.states = store.states(self.run_ids)
        self.reused = sum(state is State.DONE for state in self.states.values())
        n_train = {key: len(data.rows("train")) for key, data in prepared.items()}
        missing = [run for run in plan.runs if self.states[run.run_id] not in FINISHED]
        self.missing = {run.run_id: run for run in missing}
        self.work = {run.run_id: work_of(run, n_train[run.data_hash], prepared[run.data_hash]) for run in missing}
        self.bytes = {run.run_id: 4 * _size(run, prepared[run.data_hash]).parameters for run in missing}
        self.tasks: dict[Future[Ending], tuple[Task, ...]] = {}
        self.ended: SimpleQueue[Future[Ending]] = SimpleQueue()
        self.reserved = 0
        self.began_at: dict[str, tuple[int, int]] = {}
        self.deaths: Counter[str] = Counter()
        self.hearing = Hearing(care.give_up_after)
        self.resumed: set[str] = set()
        self.silent: set[Future[Ending]] = set()
        self.look_again = 0.0
        taken = self._taken_over()
        rest = [run for run in missing if run.run_id not in taken]
        self.waiting = deque(units_of(rest, prepared, room, positions(rest, store)))

    def go(self, stop: StopRequest) -> None:
        """Keep every slot busy until nothing is missing, or until it is to stop."""
        self._fill(stop)
        while self.tasks and not stop.asked and not self.full:
            # first what is next, then what has been: a core does not wait while a result is written down
            done = [(future, self._let_go(future)) for future in self._next_ended()]
            self._fill(stop)
            for future, tasks in done:
                self._take(future, tasks)
            # what was to be tried again had no place in the first filling
            self._fill(stop)
            if time.monotonic() >= self.look_again:
                self._look()
        self._look()

    def _next_ended(self) -> list[Future[Ending]]:
        """Return the calls that have ended; it takes no longer with 10,000 of them in hand than with 10."""
        found: list[Future[Ending]] = []
        with suppress(Empty):
            found.append(self.ended.get(timeout=POLL_SECONDS))
            while True:
                found.append(self.ended.get_nowait())
        return found

    def interrupt(self, why: str) -> None:
        """Stop what is running and say so in the store; what had finished by then is taken over."""
        self.executor.shutdown(wait=True, cancel_futures=True)
        for future, tasks in list(self.tasks.items()):
            # on a full disk even a state may find no room: the next call sets it
            with _unless_full():
                self._take(future, tasks, why)
        self.tasks.clear()

    def live(self) -> Live:
        """Return the present moment."""
        # what is handed over but waits for its turn is not running yet
        begun = [task for tasks in self.tasks.values() for task in tasks if has_begun(task.folder)]
        running = {task.run_id: read_progress(task.folder) for task in begun}
        waiting = (State.PLANNED, State.RUNNING, State.INTERRUPTED)
        done = sum(work for run_id, work in self.work.items() if self.states[run_id] not in waiting)
        done += sum(
            self.work[run_id] * len(epochs) / self.missing[run_id].recipe.epochs for run_id, epochs in running.items()
        )
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
            halted=f"the disk of {self.store.root} is full" if self.full else "",
        )

    def _look(self) -> None:
        """Look at the runs under way, and show them."""
        began = time.monotonic()
        self._listen()
        self.show(self.live())
        now = time.monotonic()
        self.look_again = now + (now - began) * (1 / LOOK_SHARE - 1)

    def _taken_over(self) -> set[str]:
        """Take over the runs of this plan that an earlier driver left with the engine; return them."""
        under_way = [run_id for run_id in self.missing if self.states[run_id] is State.RUNNING]
        names = {attempt_folder(self.store.root, *last).name for last in self.store.attempts_of(under_way).items()}
        in_hand = self.executor.in_hand(names) if isinstance(self.executor, Engine) else {}
        for future, name in in_hand.items():
            run_id, attempt = attempt_of(name)
            self._hold(future, (self._task_of(self.missing[run_id], attempt),))
        taken = {task.run_id for tasks in self.tasks.values() for task in tasks}
        if taken:
            what = "1 run of an earlier start is" if len(taken) == 1 else f"{len(taken)} runs of an earlier start are"
            self.remark(f"{what} still at work")
        return taken | self._ended_meanwhile(set(under_way) - taken)

    def _ended_meanwhile(self, run_ids: set[str]) -> set[str]:
        """Take what the last attempts of runs have left whose call ended while images were read; return those runs."""
        done = set()
        for run_id, attempt in self.store.attempts_of(run_ids).items():
            if is_whole(attempt_folder(self.store.root, run_id, attempt)):
                self.states[run_id] = self.store.record(run_id, attempt)
                done.add(run_id)
        return done

    def _fill(self, stop: StopRequest) -> None:
        """Hand over as much as the engine can have in hand; the last of it only waits, and counts as running."""
        while self.waiting and len(self.tasks) < _capacity(self.executor) and not stop.asked and not self.full:
            unit = self.waiting[0]
            if not self._has_room(unit):
                # before the work, not after it: what could not be written would be trained for nothing; those in
                # hand have their room, and end first
                self.full = not self.tasks
                return
            self.waiting.popleft()
            self._begin(unit)

    def _has_room(self, unit: Unit) -> bool:
        coming = self.reserved + sum(self.bytes[run.run_id] for run in unit)
        needed = SPARE_BYTES + (coming if self.keep_weights != "none" else 0)
        return shutil.disk_usage(self.store.root).free >= needed

    def _begin(self, unit: Unit) -> None:
        tasks = tuple(self._task(run) for run in unit)
        self._hold(self.executor.submit(execute, tasks), tasks)

    def _hold(self, future: Future[Ending], tasks: tuple[Task, ...]) -> None:
        """Remember a call that is in the engine's hands."""
        self.tasks[future] = tasks
        self.reserved += sum(self.bytes[task.run_id] for task in tasks)
        future.add_done_callback(self.ended.put)

    def _let_go(self, future: Future[Ending]) -> tuple[Task, ...]:
        tasks = self.tasks.pop(future)
        self.reserved -= sum(self.bytes[task.run_id] for task in tasks)
        return tasks

    def _task(self, run: PlannedRun) -> Task:
        attempt = self.store.begin(run.run_id)
        self.states[run.run_id] = State.RUNNING
        start = newest_checkpoint(self.store.root, run.run_id, attempt - 1)
        make_attempt(self.store.root, run.run_id, attempt, start)
        return self._task_of(run, attempt)

    def _task_of(self, run: PlannedRun, attempt: int) -> Task:
        """Return the task of an attempt whose folder is there."""
        start = newest_checkpoint(self.store.root, run.run_id, attempt)
        self.began_at[run.run_id] = position(start)
        if start is not None:
            self.resumed.add(run.run_id)
        return Task(
            # another process may have another present folder
            root=self.store.root.resolve(),
            run_id=run.run_id,
            attempt=attempt,
            recipe=run.recipe,
            intensity=run.intensity,
            seed=run.seed,
            data_hash=run.data_hash,
            compute=run.compute,
            identity=run.identity,
            keep_weights=self.keep_weights != "none",
            checkpoint_seconds=self.care.checkpoint_every,
        )

    def _listen(self) -> None:
        """End what has given no sign of life for too long, while it should have."""
        if not isinstance(self.executor, Engine):
            return
        for future, tasks in self.tasks.items():
            if not self.executor.is_at_work(future) or not all(has_begun(task.folder) for task in tasks):
                self.hearing.forget(future)
                continue
            if self.hearing.is_silent(future, "".join(read_beat(task.folder) for task in tasks)):
                self.silent.add(future)
                self.executor.end(future)
                # it may take a while, and asking at every look does not make it shorter
                self.hearing.forget(future)

    def _take(self, future: Future[Ending], tasks: Sequence[Task], stopping: str = "") -> None:
        """Take what came of tasks; `stopping` is why those without a record are interrupted, where the driver stops."""
        self.hearing.forget(future)
        try:
            ending = "stopped" if future.cancelled() else future.result()
        except WorkerDied as error:
            reason = self._silence() if future in self.silent else str(error)
            self._give_up(tasks, State.INTERRUPTED if stopping else State.FAILED, stopping or reason, died=True)
            return
        except CallRaised as error:
            self._give_up(tasks, State.FAILED, str(error).splitlines()[0])
            return
        if ending == "full":
            self.full = True
            self._give_up(tasks, State.INTERRUPTED, "the disk is full")
        elif ending == "stopped":
            reason = stopping or "the process was asked to stop"
            self._give_up(tasks, State.INTERRUPTED if stopping else State.FAILED, reason, died=True)
        else:
            for task in tasks:
                self._record(task)

    def _record(self, task: Task) -> None:
        self.states[task.run_id] = self.store.record(task.run_id, task.attempt)
        record = read_record(run_folder(self.store.root, task.run_id)) if task.run_id in self.resumed else None
        if record is not None and record["checkpoint_unusable"]:
            self.remark(
                f"{_name(self.missing[task.run_id])} began again, not from its checkpoint:"
                f" {record['checkpoint_unusable']}"
            )

    def _give_up(self, tasks: Sequence[Task], state: State, reason: str, *, died: bool = False) -> None:
        """Set the state of runs without an end; what had been written down of a stack by then is taken over.

        One whose process died is tried again, after all others, before it counts as failed; and again for as long as it
        gets further each time, as one does whose machine is taken away now and then.
        """
        again: list[PlannedRun] = []
        for task in tasks:
            run_id = task.run_id
            if is_whole(task.folder):
                self._record(task)
            elif died and state is State.FAILED:
                here = position(newest_checkpoint(self.store.root, run_id, task.attempt))
                self.deaths[run_id] = 1 if here > self.began_at[run_id] else self.deaths[run_id] + 1
                if self.deaths[run_id] < TRIES:
                    self._set(run_id, State.INTERRUPTED, reason)
                    again.append(self.missing[run_id])
                    self.remark(f"{_name(self.missing[run_id])}: {reason}; it is tried again at the end")
                else:
                    self._set(run_id, State.FAILED, f"{reason}, {TRIES} times")
            else:
                self._set(run_id, state, reason)
        if again:
            self.waiting.append(tuple(again))

    def _silence(self) -> str:
        return f"no sign of life for {self.care.give_up_after:g} s (--give-up-after), so the process was ended"

    def _set(self, run_id: str, state: State, reason: str) -> None:
        self.states[run_id] = state
        self.store.set_state(run_id, state, reason)


@contextmanager
def _unless_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise


def _name(run: PlannedRun) -> str:
    return f"{run.uses[0]}, seed {run.seed}"


def _capacity(executor: Executor) -> int:
    return executor.capacity if isinstance(executor, Engine) else 1
