"""What a driver writes down of the calls it gives to a queue, what the queue says of them, and how they share jobs."""

import stat
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleread.engines.manifest import (
    Manifest,
    begun_path,
    manifests,
    new_manifest,
    outcome_path,
    read_outcome,
)
from doubleread.engines.squeue import OVER, Queued, Unanswered, Waiting, ask, cancel, jobs_of, left_in_queue
from doubleread.files import write_json
from tests.conftest import needed

FAKE = """#!/bin/sh
echo "$0 $*" >> {folder}/calls
{body}
"""


@pytest.fixture
def queue(monkeypatch, tmp_path):
    """Return a function that puts a `squeue` and a `scancel` of our own on the path; they do what `body` says."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def fake(body):
        for name in ("squeue", "scancel"):
            path = folder / name
            path.write_text(FAKE.format(folder=folder, body=body))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def calls():
        path = folder / "calls"
        return path.read_text().splitlines() if path.is_file() else []

    fake.calls = calls
    fake.folder = folder
    return fake


def says(*lines):
    return "cat <<'END'\n" + "\n".join(lines) + "\nEND"


def message(work, *arguments):
    with pytest.raises(Unanswered) as error:
        work(*arguments)
    return str(error.value)


def test_a_manifest_is_read_back_as_it_was_written(tmp_path):
    made = new_manifest(tmp_path / "jobs", [["a.attempt-1", "b.attempt-2"], ["c.attempt-1"]])
    assert made.batches == (("a.attempt-1", "b.attempt-2"), ("c.attempt-1",))
    assert made.job is None
    assert manifests(tmp_path / "jobs") == [made]
    numbered = made.submitted("17")
    assert numbered == Manifest(folder=made.folder, batches=made.batches, job="17")
    assert manifests(tmp_path / "jobs") == [numbered]


def test_its_name_in_the_queue_is_its_own(tmp_path):
    one, other = (new_manifest(tmp_path, [["a"]]) for _ in range(2))
    assert one.token != other.token
    for made in (one, other):
        assert made.token == made.folder.name
        assert made.token.startswith("doubleread-")
        assert made.logs == tmp_path / made.token / "submitit"
    assert {made.token for made in manifests(tmp_path)} == {one.token, other.token}


def test_what_is_removed_is_gone_with_all_that_is_beside_it(tmp_path):
    made, other = new_manifest(tmp_path, [["a"]]), new_manifest(tmp_path, [["b"]])
    made.logs.mkdir()
    write_json(outcome_path(made.folder, 0, 0), {"value": "finished"})
    made.remove()
    assert manifests(tmp_path) == [other]
    assert list(tmp_path.iterdir()) == [other.folder]
    made.remove()


def test_there_is_none_in_a_folder_that_is_not_there(tmp_path):
    assert manifests(tmp_path / "jobs") == []


def test_the_queue_s_name_of_a_job(tmp_path):
    several = Manifest(folder=tmp_path, batches=(("a",), ("b", "c"), ("d",)), job="17")
    assert [several.job_of(number) for number in range(3)] == ["17_0", "17_1", "17_2"]
    assert Manifest(folder=tmp_path, batches=(("a", "b"),), job="17").job_of(0) == "17"
    assert Manifest(folder=tmp_path, batches=(("a",), ("b",))).job_of(1) is None


DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"5",
    b'{"version": 1, "job": "17"}',
    b'{"version": 1, "batches": [["a"]]}',
    b'{"version": 1, "job": "17", "batches": 5}',
    b'{"version": 1, "job": "17", "batches": [5]}',
    pytest.param(
        b"\xff\xfe",
    ),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_one_that_is_damaged_is_passed_over(tmp_path, content):
    good = new_manifest(tmp_path, [["a"]])
    bad = tmp_path / "doubleread-000000000000"
    bad.mkdir()
    (bad / "manifest.json").write_bytes(content)
    assert manifests(tmp_path) == [good]


def test_what_came_of_a_call(tmp_path):
    path = outcome_path(tmp_path, 3, 14)
    assert path == tmp_path / "3-14.json"
    assert begun_path(tmp_path, 3, 14) == tmp_path / "3-14.begun"
    assert read_outcome(path) is None
    for outcome in ({"value": "finished"}, {"raised": "ValueError: no\ntrace"}, {"died": "by SIGKILL"}):
        write_json(path, outcome)
        assert read_outcome(path) == outcome


def queued(token="doubleread-a", job="17", state="PENDING", reason="Priority", starts="N/A"):
    return Queued(token=token, job=job, state=state, reason=reason, starts=starts)


def test_what_the_queue_says_is_read(queue):
    queue(
        says(
            "doubleread-a|17|0|RUNNING|None|2026-01-02T03:04:05",
            "doubleread-a|17|3|PENDING|JobArrayTaskLimit|N/A",
            "  doubleread-b|18|N/A|COMPLETED|None|2026-01-02T03:04:05  ",
            "doubleread-c|19|N/A|PENDING|Nodes required for job are DOWN, DRAINED or reserved|N/A",
            "",
            "slurm_load_jobs: a remark of some version",
            "two|fields",
        )
    )
    since = "2026-01-02T03:04:05"
    assert ask(["doubleread-a", "doubleread-b", "doubleread-c"]) == {
        "17_0": queued(job="17_0", state="RUNNING", reason="None", starts=since),
        "17_3": queued(job="17_3", reason="JobArrayTaskLimit"),
        "18": queued("doubleread-b", "18", "COMPLETED", "None", since),
        "19": queued("doubleread-c", "19", reason="Nodes required for job are DOWN, DRAINED or reserved"),
    }
    assert queue.calls() == [
        f"{queue.folder}/squeue --noheader --array --states=all --format=%j|%F|%K|%T|%r|%S"
        " --name=doubleread-a,doubleread-b,doubleread-c"
    ]


def test_a_queue_that_knows_none(queue):
    queue("true")
    assert ask(["doubleread-a"]) == {}


def test_without_a_name_nothing_is_asked(queue):
    queue("exit 1")
    assert ask([]) == {}
    cancel([])
    assert queue.calls() == []


def test_a_job_that_is_over_one_that_runs_and_one_that_waits():
    states = ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", *sorted(OVER))
    assert {state for state in states if queued(state=state).is_over} == OVER
    assert {state for state in states if queued(state=state).runs} == {"RUNNING", "COMPLETING"}


def test_a_queue_that_does_not_answer(queue):
    queue("echo 'slurm_load_jobs error:' >&2; echo '  Unable to contact slurm controller' >&2; exit 1")
    why = "slurm_load_jobs error: Unable to contact slurm controller"
    assert message(ask, ["doubleread-a"]) == f"squeue: {why}"
    assert message(cancel, ["17"]) == f"scancel: {why}"
    queue("exit 3")
    assert message(ask, ["doubleread-a"]) == "squeue: exit code 3"


def test_a_machine_without_a_queue(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert message(ask, ["doubleread-a"]) == "there is no squeue on this machine"
    assert message(cancel, ["17"]) == "there is no scancel on this machine"


def test_a_queue_that_takes_too_long(queue, monkeypatch):
    monkeypatch.setattr("doubleread.engines.squeue.ASK_SECONDS", 0.2)
    queue("exec sleep 20")
    told = message(ask, ["doubleread-a"])
    assert told.startswith("squeue gives no answer (Command '['squeue', ")
    assert told.endswith("timed out after 0.2 seconds)")


def test_jobs_are_cancelled_by_their_names(queue):
    queue("true")
    cancel(["17_3", "18"])
    assert queue.calls() == [f"{queue.folder}/scancel 17_3 18"]


def test_the_jobs_of_a_submission(tmp_path):
    several = Manifest(folder=tmp_path / "doubleread-a", batches=(("a",), ("b",), ("c",)), job="17")
    single = Manifest(folder=tmp_path / "doubleread-b", batches=(("d", "e"),), job="18")
    second, alone = queued(job="17_2"), queued("doubleread-b", "18")
    found = {job.job: job for job in (second, alone, queued("doubleread-c", "19"))}
    assert jobs_of(several, found) == {2: second}
    assert jobs_of(single, found) == {0: alone}
    assert jobs_of(single, {}) == {}


def test_what_is_left_in_the_queue_are_the_calls_that_are_open(queue, tmp_path):
    jobs = tmp_path / "jobs"
    several = new_manifest(jobs, [["a", "b", "c"], ["d"], ["e"]]).submitted("17")
    single = new_manifest(jobs, [["f", "g"]]).submitted("18")
    over = new_manifest(jobs, [["h"]]).submitted("19")
    gone = new_manifest(jobs, [["i"]]).submitted("20")
    write_json(outcome_path(several.folder, 0, 1), {"value": "finished"})
    write_json(outcome_path(single.folder, 0, 0), {"died": "by SIGKILL"})
    queue(
        says(
            f"{several.token}|17|0|RUNNING|None|2026-01-02T03:04:05",
            f"{several.token}|17|1|COMPLETED|None|2026-01-02T03:04:05",
            f"{several.token}|17|2|PENDING|Resources|2026-01-02T05:00:00",
            f"{single.token}|18|N/A|PENDING|Priority|N/A",
            f"{over.token}|19|N/A|TIMEOUT|TimeLimit|2026-01-02T03:04:05",
        )
    )
    found = sorted(left_in_queue(jobs), key=lambda waiting: waiting.job)
    assert found == [
        Waiting(job="17_0", state="RUNNING", reason="None", starts="2026-01-02T03:04:05", calls=("a", "c")),
        Waiting(job="17_2", state="PENDING", reason="Resources", starts="2026-01-02T05:00:00", calls=("e",)),
        Waiting(job="18", state="PENDING", reason="Priority", starts="N/A", calls=("g",)),
    ]
    (asked,) = queue.calls()
    names = asked.partition("--name=")[2].split(",")
    assert sorted(names) == sorted(made.token for made in (several, single, over, gone))


def test_where_nothing_was_submitted_the_queue_is_not_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert left_in_queue(tmp_path / "jobs") == []


def test_where_something_was_submitted_the_queue_must_answer(queue, tmp_path):
    new_manifest(tmp_path / "jobs", [["a"]])
    queue("echo down >&2; exit 1")
    assert message(left_in_queue, tmp_path / "jobs") == "squeue: down"


def test_a_driver_that_died_before_it_knew_the_number_left_the_name(queue, tmp_path):
    made = new_manifest(tmp_path / "jobs", [["a"], ["b"]])
    queue(says(f"{made.token}|17|0|PENDING|None|N/A", f"{made.token}|17|1|PENDING|None|N/A"))
    assert [(waiting.job, waiting.calls) for waiting in left_in_queue(tmp_path / "jobs")] == [
        ("17_0", ("a",)),
        ("17_1", ("b",)),
    ]


@pytest.fixture(scope="module")
def in_hand():
    """The module that groups calls, which takes submitit."""
    needed("submitit")
    return import_module("doubleread.engines.in_hand")


def grouped(in_hand, seconds, **how):
    """Return the places of calls that take so long, job by job."""
    entries = [in_hand.InHand(None, str(place), None, one) for place, one in enumerate(seconds)]
    batches = in_hand.batches_of(entries, in_hand.Jobs(sbatch={}, **how))
    return [[int(entry.name) for entry in batch] for batch in batches]


def test_short_calls_share_a_job_and_long_ones_have_their_own(in_hand):
    assert grouped(in_hand, [], batch_seconds=60.0) == []
    assert grouped(in_hand, [20.0] * 7, batch_seconds=60.0) == [[0, 1, 2], [3, 4, 5], [6]]
    assert grouped(in_hand, [100.0, 20.0, 20.0, 100.0], batch_seconds=60.0) == [[0], [1, 2], [3]]
    assert grouped(in_hand, [20.0] * 3, batch_seconds=0.0) == [[0], [1], [2]]


def test_a_job_that_makes_several_calls_at_once_has_more_of_them(in_hand):
    assert grouped(in_hand, [20.0] * 7, batch_seconds=60.0, workers=2) == [[0, 1, 2, 3, 4, 5], [6]]


def test_there_are_as_many_jobs_as_may_run_at_once(in_hand):
    assert grouped(in_hand, [1.0] * 8, batch_seconds=600.0) == [[0, 1, 2, 3, 4, 5, 6, 7]]
    assert grouped(in_hand, [1.0] * 8, batch_seconds=600.0, at_once=4) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert grouped(in_hand, [1.0] * 3, batch_seconds=600.0, at_once=4) == [[0], [1], [2]]
    # as long as they are short: no job grows beyond its seconds because few may run
    assert grouped(in_hand, [50.0] * 4, batch_seconds=60.0, at_once=1) == [[0], [1], [2], [3]]


# torch, in this process for other tests, takes the smallest floats for zero
SECONDS = st.lists(st.one_of(st.integers(1, 1000).map(float), st.floats(1e-3, 1e5, allow_subnormal=False)), max_size=40)


@settings(deadline=None)
@given(SECONDS, st.floats(0.0, 1e4, allow_subnormal=False), st.integers(1, 8), st.one_of(st.none(), st.integers(1, 20)))
def test_every_call_is_in_one_job_in_order_and_no_job_is_too_long(in_hand, seconds, batch_seconds, workers, at_once):
    batches = grouped(in_hand, seconds, batch_seconds=batch_seconds, workers=workers, at_once=at_once)
    assert [place for batch in batches for place in batch] == list(range(len(seconds)))
    assert all(batches)
    most = batch_seconds * workers
    for batch in batches:
        assert len(batch) == 1 or sum(seconds[place] for place in batch) <= most * (1 + 1e-9)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 1000), st.integers(1, 20))
def test_equal_calls_fill_as_many_jobs_as_may_run_at_once(in_hand, number, seconds, at_once):
    batches = grouped(in_hand, [float(seconds)] * number, batch_seconds=1e9, at_once=at_once)
    assert len(batches) >= min(number, at_once)
    assert max(map(len, batches)) <= max(1, number // at_once)
