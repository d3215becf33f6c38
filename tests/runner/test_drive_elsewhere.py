"""A study whose runs are trained elsewhere: calls of an earlier driver, machines that are taken away, that differ."""

import json
import sqlite3
from concurrent.futures import Future
from dataclasses import replace
from importlib import import_module

import pytest

from doubleread.engines import Engine, WorkerDied
from doubleread.nouns import State
from doubleread.runner import Care, Silent, prepare_study
from doubleread.runner.drive import drive
from doubleread.runner.resume import tell_kinds
from doubleread.store import (
    Store,
    attempt_folder,
    make_attempt,
    newest_checkpoint,
    open_store,
    recover,
    run_folder,
    write_checkpoint,
)
from doubleread.study import parse_study
from doubleread.worker import execute
from doubleread.worker.desk import Pauses
from tests.conftest import small_study
from tests.reliability.stores import assert_equal, content_of

DIED = "its machine is gone"
AGAIN = f"loss/bce, seed 0: {DIED}; it is tried again at the end"


@pytest.fixture
def one_run(image_folder):
    """The small study with one of its runs, six epochs of it."""
    raw = small_study(image_folder, experiments={"loss": {"factors": {"loss": ["bce"]}}}, seeds=1)
    raw["base"] |= {"epochs": 6}
    return raw


def go(raw, root, executor, at_work=(), **more):
    """Drive a study; return the counts, its rows by arm and seed, and what was remarked."""
    study, remarks = parse_study(raw, place="s"), []
    with open_store(root, write=True) as store:
        ready = prepare_study(study, store.data_folder, Silent(), device="cpu")
        recover(store, at_work)
        store.save_plan(study.name, {}, [run.row() for run in ready.plan.runs], ready.plan.run_of, {})
        counts = drive(ready.plan, ready.sets, store, executor, keep_weights="all", remark=remarks.append, **more)
        return counts, {(row["arm"], row["seed"]): row for row in store.runs_of(study.name)}, remarks


def record_of(root, run_id):
    return json.loads((run_folder(root, run_id) / "run.json").read_text())


class Here(Engine):
    """Makes calls at once, in this process; `begun` are the attempts that it was given, by the names of folders."""

    capacity = 1

    def __init__(self):
        self.begun = []

    def submit(self, fn, /, *args, **kwargs):
        (tasks,) = args
        self.begun += [task.folder.name for task in tasks]
        future = Future()
        try:
            future.set_result(self.make(fn, tasks))
        except WorkerDied as error:
            future.set_exception(error)
        return future

    def make(self, fn, tasks):
        return fn(tasks)

    def end(self, future):
        """What has been made has ended."""


class DriverDied(Exception):
    """What stands for the end of the driver."""


class Leaves(Here):
    """A queue that takes some calls and begins none; with the next one the driver dies."""

    capacity = 100

    def __init__(self, number):
        super().__init__()
        self.number, self.calls = number, {}

    def submit(self, fn, /, *args, **kwargs):
        (tasks,) = args
        if len(self.calls) == self.number:
            raise DriverDied
        (task,) = tasks
        self.calls[task.folder.name] = tasks
        return Future()


class Takes(Here):
    """A queue with calls of an earlier driver, which end when it is first given another one, or asked how many."""

    def __init__(self, calls, capacity=1):
        super().__init__()
        self.left = {Future(): name for name in calls}
        self._calls = dict(calls)
        self._capacity = capacity
        self.asked = 0

    @property
    def capacity(self):
        """As many as it is made with; what it had in hand ends after a few looks."""
        self.asked += 1
        if self.asked == 3:
            for future, name in self.left.items():
                self.answer(future, self._calls[name])
        return self._capacity

    def in_hand(self, names):
        self.names = set(names)
        self.left = {future: name for future, name in self.left.items() if name in names}
        return dict(self.left)

    def answer(self, future, tasks):
        future.set_result(execute(tasks))


@pytest.fixture
def recorded(monkeypatch):
    """The runs that are recorded, in their order."""
    found, record = [], Store.record

    def noted(self, run_id, attempt):
        found.append(f"{run_id}.attempt-{attempt}")
        return record(self, run_id, attempt)

    monkeypatch.setattr(Store, "record", noted)
    return found


def left_behind(raw, root, number):
    """Drive a study until the driver dies; return the calls that the queue has then."""
    queue = Leaves(number)
    with pytest.raises(DriverDied):
        go(raw, root, queue)
    return queue.calls


def test_calls_of_an_earlier_driver_are_taken_over_and_not_begun_again(study_dict, new_store, recorded):
    calm, root = new_store("calm"), new_store()
    go(study_dict, calm, Here())
    recorded.clear()
    calls = left_behind(study_dict, root, 3)
    assert len(calls) == 3
    queue = Takes(calls)
    counts, rows, remarks = go(study_dict, root, queue, at_work=calls)
    assert (counts.planned, counts.done, counts.reused) == (8, 8, 0)
    assert remarks == ["3 runs of an earlier start are still at work"]
    assert not set(queue.begun) & set(calls)
    # the one that the driver died with had begun, and begins again
    attempts = {row["run_id"]: row["attempts"] for row in rows.values()}
    assert sorted(attempts.values()) == [1] * 7 + [2]
    assert len(recorded) == len(set(recorded)) == 8
    assert set(calls) <= set(recorded)
    assert_equal(content_of(root), content_of(calm))
    assert sorted(path.name for path in (root / "artifacts").iterdir()) == sorted(attempts)


def test_what_is_in_hand_takes_its_place_among_what_the_engine_can_have(study_dict, new_store):
    root = new_store()
    calls = left_behind(study_dict, root, 3)

    class Full(Takes):
        def submit(self, fn, /, *args, **kwargs):
            assert all(future.done() for future in self.left)
            return super().submit(fn, *args, **kwargs)

    queue = Full(calls, capacity=3)
    counts, _, _ = go(study_dict, root, queue, at_work=calls)
    assert counts.done == 8
    assert len(queue.begun) == 5


def test_one_call_that_is_left_is_one_run(one_run, new_store, recorded):
    root = new_store()
    one_run["seeds"] = 2
    calls = left_behind(one_run, root, 1)
    counts, _, remarks = go(one_run, root, Takes(calls), at_work=calls)
    assert counts.done == 2
    assert remarks == ["1 run of an earlier start is still at work"]


def test_a_call_of_an_earlier_driver_that_died_is_tried_again(one_run, new_store):
    root = new_store()
    one_run["seeds"] = 2
    calls = left_behind(one_run, root, 1)

    class Dies(Takes):
        def answer(self, future, tasks):
            future.set_exception(WorkerDied(DIED))

    queue = Dies(calls)
    counts, rows, remarks = go(one_run, root, queue, at_work=calls)
    assert counts.done == 2
    assert rows["loss/bce", 0]["attempts"] == 2
    assert remarks[1:] == [AGAIN]
    assert queue.begun[-1] == attempt_folder(root, rows["loss/bce", 0]["run_id"], 2).name


def test_a_call_that_ended_while_no_driver_was_there_is_taken_over_whole(one_run, new_store, recorded):
    root = new_store()
    one_run["seeds"] = 2
    calls = left_behind(one_run, root, 1)
    ((name, tasks),) = calls.items()
    execute(tasks)
    # the queue has not seen its end yet
    queue = Takes(calls)
    counts, rows, remarks = go(one_run, root, queue, at_work=calls)
    assert (counts.done, counts.reused) == (2, 1)
    assert remarks == []
    assert recorded.count(name) == 1
    assert rows["loss/bce", 0]["attempts"] == 1


def test_a_call_about_another_study_is_left_alone(one_run, study_dict, new_store):
    root = new_store()
    one_run["seeds"] = 2
    one_run["study"] = "other"
    calls = left_behind(one_run, root, 1)
    ((name, tasks),) = calls.items()
    queue = Takes(calls)
    counts, _, remarks = go(study_dict, root, queue, at_work=calls)
    assert (counts.planned, counts.done) == (8, 8)
    assert (queue.names, remarks) == (set(), [])
    with open_store(root) as store:
        assert store.states([tasks[0].run_id]) == {tasks[0].run_id: State.RUNNING}
    # it has ended since, and the next driver of its own study takes it over
    execute(tasks)
    counts, _, _ = go(one_run, root, Here())
    assert (counts.done, counts.reused) == (2, 1)
    assert not (root / "artifacts" / name).exists()


def test_of_two_attempts_at_a_run_only_the_last_is_taken_over(one_run, new_store):
    root = new_store()
    one_run["seeds"] = 2
    calls = left_behind(one_run, root, 1)
    ((first, tasks),) = calls.items()
    run_id = tasks[0].run_id
    # it died, and a driver that has died since had it tried again; other jobs of the first submission go on, so that
    # what came of it is still there
    with open_store(root, write=True) as store:
        assert store.begin(run_id) == 2
        make_attempt(root, run_id, 2, None)
    second = tuple(replace(task, attempt=2) for task in tasks)
    both = {first: tasks, second[0].folder.name: second}

    class OneDied(Takes):
        def answer(self, future, tasks):
            if tasks[0].attempt == 1:
                future.set_exception(WorkerDied(DIED))
            else:
                super().answer(future, tasks)

    queue = OneDied(both)
    counts, rows, remarks = go(one_run, root, queue, at_work=both)
    assert counts.done == 2
    assert rows["loss/bce", 0]["attempts"] == 2
    assert remarks == ["1 run of an earlier start is still at work"]


def test_a_call_that_ends_while_the_driver_prepares_is_not_lost(one_run, new_store, recorded):
    root = new_store()
    one_run["seeds"] = 2
    calls = left_behind(one_run, root, 1)
    ((name, tasks),) = calls.items()

    class Over(Takes):
        def in_hand(self, names):
            # its job has ended since the queue was first asked, and the queue knows no more of it
            execute(tasks)
            return {}

    queue = Over({})
    counts, rows, _ = go(one_run, root, queue, at_work=calls)
    assert counts.done == 2
    assert rows["loss/bce", 0]["attempts"] == 1
    assert len(queue.begun) == 1
    assert recorded.count(name) == 1


def test_runs_at_work_are_left_as_they_are(one_run, new_store):
    root = new_store()
    one_run["seeds"] = 3
    calls = left_behind(one_run, root, 2)
    working, waiting = (tasks[0] for tasks in calls.values())
    leftover = working.folder / ".logits.npz.0.tmp"
    for name in ("progress.jsonl", "beat"):
        (working.folder / name).write_text("")
    leftover.write_text("half of it")
    with open_store(root, write=True) as store:
        assert recover(store, list(calls)) == []
        states = store.states([working.run_id, waiting.run_id])
        assert states == {working.run_id: State.RUNNING, waiting.run_id: State.RUNNING}
        assert sorted(path.name for path in (root / "artifacts").iterdir()) == sorted(calls)
        assert leftover.read_text() == "half of it"
        # one of them has gone from the queue without a word
        assert recover(store, [waiting.folder.name]) == []
        states = store.states([working.run_id, waiting.run_id])
        assert states == {working.run_id: State.INTERRUPTED, waiting.run_id: State.RUNNING}
        assert [path.name for path in (root / "artifacts").iterdir()] == [waiting.folder.name]
        execute([waiting])
        assert recover(store, [waiting.folder.name]) == [waiting.run_id]
        assert store.states([waiting.run_id]) == {waiting.run_id: State.DONE}


class Killed(BaseException):
    """What stands for the end of a process in the midst of a run."""


class TakenAway(Here):
    """Machines that are taken away: what comes of each call in turn, `further` after an epoch and a checkpoint,
    `nothing` before that, the end of the run where there are no more of them."""

    def __init__(self, monkeypatch, *moves):
        super().__init__()
        self._patch, self._moves = monkeypatch, list(moves)

    def make(self, fn, tasks):
        move = self._moves.pop(0) if self._moves else "done"
        if move == "nothing":
            raise WorkerDied(DIED)
        if move == "done":
            return super().make(fn, tasks)

        def between(_self, takes):
            for desk, take in takes:
                desk.save(take)
            raise Killed

        with self._patch.context() as patched:
            patched.setattr(Pauses, "between", between)
            try:
                return super().make(fn, tasks)
            except Killed:
                raise WorkerDied(DIED) from None


def test_a_run_that_gets_further_each_time_is_tried_until_it_is_done(one_run, new_store, monkeypatch):
    calm, root = new_store("calm"), new_store()
    go(one_run, calm, Here())
    counts, rows, remarks = go(one_run, root, TakenAway(monkeypatch, *["further"] * 5))
    assert (counts.done, counts.failed) == (1, 0)
    (row,) = rows.values()
    assert row["attempts"] == 6
    assert remarks == [AGAIN] * 5
    assert record_of(root, row["run_id"])["resumed"] == [{"epoch": epoch, "step": 0} for epoch in range(1, 6)]
    assert_equal(content_of(root), content_of(calm))


@pytest.mark.parametrize(
    ("moves", "attempts"),
    [
        (["nothing"] * 9, 2),
        (["further", *["nothing"] * 9], 2),
        (["nothing", "further", *["nothing"] * 9], 3),
        (["further", "further", *["nothing"] * 9], 3),
        (["further", "nothing", "further"], 2),
    ],
    ids=["never", "once", "later", "twice", "not twice in a row"],
)
def test_a_run_that_gets_no_further_has_failed(one_run, new_store, monkeypatch, moves, attempts):
    root = new_store()
    counts, rows, remarks = go(one_run, root, TakenAway(monkeypatch, *moves))
    (row,) = rows.values()
    assert (counts.failed, row["attempts"]) == (1, attempts)
    assert row["reason"] == f"{DIED}, 2 times"
    assert remarks == [AGAIN] * (attempts - 1)
    # the same command goes on from what there is
    counts, _, _ = go(one_run, root, Here())
    assert counts.done == 1


class Hangs(Here):
    """A call that gives one sign of life and no other; it ends after it has been asked for twenty times."""

    def __init__(self, is_there):
        super().__init__()
        self.is_there, self.asked, self.ended = is_there, 0, 0
        self._tasks = {}

    def submit(self, fn, /, *args, **kwargs):
        (tasks,) = args
        (tasks[0].folder / "progress.jsonl").write_text("")
        future = Future()
        self._tasks[future] = tasks
        return future

    def is_at_work(self, future):
        self.asked += 1
        if self.asked == 20 and not self.is_there:
            future.set_result(execute(self._tasks[future]))
        return self.is_there

    def end(self, future):
        self.ended += 1
        future.set_exception(WorkerDied("ended"))


@pytest.fixture
def impatient(monkeypatch):
    """A driver that looks often, and soon gives up."""
    # the package has a function of the module's name
    module = import_module("doubleread.runner.drive")
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(module, "LOOK_SHARE", 1.0)
    return Care(give_up_after=0.05)


def test_a_run_that_nobody_is_at_is_not_ended_for_its_silence(one_run, new_store, impatient):
    queue = Hangs(is_there=False)
    counts, rows, remarks = go(one_run, new_store(), queue, care=impatient)
    assert counts.done == 1
    assert (queue.ended, remarks) == (0, [])
    assert [row["attempts"] for row in rows.values()] == [1]
    assert queue.asked >= 20


def test_a_run_that_should_be_heard_of_is_ended_for_its_silence(one_run, new_store, impatient):
    queue = Hangs(is_there=True)
    counts, rows, _ = go(one_run, new_store(), queue, care=impatient)
    assert (counts.failed, queue.ended) == (1, 2)
    (row,) = rows.values()
    assert row["reason"] == "no sign of life for 0.05 s (--give-up-after), so the process was ended, 2 times"


def on_another_machine(root, run_ids, **changes):
    """Let the store say that runs were trained elsewhere; return what it says of the others."""
    connection = sqlite3.connect(root / "store.sqlite")
    ((text,),) = connection.execute("SELECT document FROM environments").fetchall()
    connection.execute("INSERT INTO environments VALUES ('other', ?)", (json.dumps({**json.loads(text), **changes}),))
    for run_id in run_ids:
        connection.execute("UPDATE runs SET environment = 'other' WHERE run_id = ?", (run_id,))
    connection.commit()
    connection.close()
    return json.loads(text)


def told(raw, root):
    study, remarks = parse_study(raw, place="s"), []
    with open_store(root) as store:
        ready = prepare_study(study, store.data_folder, Silent(), device="cpu")
        tell_kinds(ready.plan, store, remarks.append)
    return remarks


def test_it_is_told_in_what_machines_differed(one_run, new_store):
    root = new_store()
    raw = {**one_run, "seeds": 5}
    _, rows, _ = go(raw, root, Here())
    assert told(raw, root) == []
    ids = [row["run_id"] for row in rows.values()]
    now = on_another_machine(root, ids[:2], processor="another one", vector_instructions="NONE")
    here = (
        f"processor another one, most others {now['processor']};"
        f" vector_instructions NONE, most others {now['vector_instructions']}"
    )
    assert told(raw, root) == [f"2 runs that are done had {here}: a difference between arms may come from that too"]
    # of the runs of this study
    assert told({**raw, "seeds": [2, 3]}, root) == []
    assert told({**raw, "seeds": [1, 2, 3]}, root) == [
        f"1 run that is done had {here}: a difference between arms may come from that too"
    ]


def test_machines_with_more_cores_do_not_differ(one_run, new_store):
    root = new_store()
    raw = {**one_run, "seeds": 2}
    _, rows, _ = go(raw, root, Here())
    on_another_machine(root, [rows["loss/bce", 0]["run_id"]], cores=1000)
    assert told(raw, root) == []


def test_nothing_is_told_where_nothing_is_done(one_run, new_store):
    root = new_store()
    left_behind(one_run, root, 0)
    assert told(one_run, root) == []


def test_a_checkpoint_of_another_processor_is_not_used_and_the_worker_says_why(one_run, new_store, monkeypatch):
    calm, root = new_store("calm"), new_store()
    _, rows, _ = go(one_run, calm, Here())
    ((key, undisturbed),) = rows.items()

    class Elsewhere(TakenAway):
        def make(self, fn, tasks):
            if len(self.begun) > 1:
                return super().make(fn, tasks)
            with monkeypatch.context() as patched:
                # the package has a function of the module's name
                patched.setattr(import_module("doubleread.worker.environment"), "processor", lambda: "another one")
                return super().make(fn, tasks)

    counts, rows, remarks = go(one_run, root, Elsewhere(monkeypatch, "further"))
    assert counts.done == 1
    row = rows[key]
    record = record_of(root, row["run_id"])
    why = f"it had processor another one, now {record['environment']['processor']}"
    assert record["checkpoint_unusable"] == why
    assert record["resumed"] == []
    assert remarks == [AGAIN, f"loss/bce, seed 0 began again, not from its checkpoint: {why}"]
    assert row["weights_hash"] == undisturbed["weights_hash"]
    assert [epoch["epoch"] for epoch in record["epochs"]] == list(range(6))


@pytest.mark.parametrize(
    "part",
    [
        "tensors",
        pytest.param(
            "header",
        ),
    ],
)
def test_a_checkpoint_that_is_damaged_is_not_used_and_the_worker_says_why(one_run, new_store, monkeypatch, part):
    root = new_store()
    _, rows, _ = go(one_run, root, TakenAway(monkeypatch, "further", "nothing"))
    ((_, row),) = rows.items()
    folder = newest_checkpoint(root, row["run_id"], row["attempts"])
    spoiled = bytearray((folder / "checkpoint.safetensors").read_bytes())
    spoiled[-1 if part == "tensors" else spoiled.index(b"processor")] ^= 1
    (folder / "checkpoint.safetensors").write_bytes(spoiled)
    counts, _, remarks = go(one_run, root, Here())
    assert counts.done == 1
    why = {
        "tensors": "its tensors are not those that were written",
        "header": "its header is not the one that was written",
    }[part]
    assert remarks == [f"loss/bce, seed 0 began again, not from its checkpoint: {why}"]
    assert record_of(root, row["run_id"])["resumed"] == []


def test_a_checkpoint_without_a_step_is_no_progress(one_run, new_store, monkeypatch):
    root = new_store()

    class Older(Here):
        def make(self, fn, tasks):
            write_checkpoint(tasks[0].folder, {"environment": {}, "epochs": [1, 2, 3]}, {})
            raise WorkerDied(DIED)

    counts, rows, _ = go(one_run, root, Older())
    assert counts.failed == 1
    assert [row["attempts"] for row in rows.values()] == [2]
