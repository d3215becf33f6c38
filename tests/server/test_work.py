"""Work beside the pages: computed once, errors given once, trainings that are asked to stop once."""

import json
import signal
import time
from concurrent.futures import Future

import pytest

from doubleread.errors import UserError
from doubleread.server.context import Context
from doubleread.server.heavy import MOST_KEPT, Later, read_image
from doubleread.server.jobs import Job, Jobs
from doubleread.server.serving import is_loopback
from doubleread.store import open_store
from tests.refusals import refusal


class Counted(Later):
    """Hands out futures that the test ends, and counts them."""

    def __init__(self):
        super().__init__()
        self.made: list[Future] = []

    def _submit(self, work, *arguments):
        self.made.append(Future())
        return self.made[-1]


def work():
    """Stand for something that takes long."""


def test_what_is_computed_is_not_asked_for_again_until_something_changes():
    later = Counted()
    first = later.ask(work, "a", version="1")
    assert all(later.ask(work, "a", version=version) is first for version in "123")
    first.set_result("done")
    assert later.ask(work, "a", version="3").result() == "done", "whoever waited gets it"
    second = later.ask(work, "a", version="3")
    assert second is not first
    second.set_result("newer")
    assert later.ask(work, "a", version="3") is later.ask(work, "a", version="3") is second
    assert len(later.made) == 2


def test_an_error_is_given_once_and_then_tried_anew():
    later = Counted()
    first = later.ask(work, "a")
    first.set_exception(UserError("x", "y"))
    assert later.ask(work, "a").exception().found == "y"
    assert later.ask(work, "a") is later.made[1]


def test_what_is_under_way_is_never_forgotten():
    later = Counted()
    asked = [later.ask(work, number) for number in range(3 * MOST_KEPT)]
    assert all(later.ask(work, number) is future for number, future in enumerate(asked))
    for future in asked:
        future.set_result(None)
    later.ask(work, "one more")
    assert len(later._asked) <= MOST_KEPT + 1


class Process:
    def __init__(self):
        self.signals = []

    def poll(self):
        return None

    def send_signal(self, number):
        self.signals.append(number)


def test_a_training_is_asked_to_stop_once(tmp_path):
    jobs, process = Jobs(tmp_path), Process()
    jobs._jobs["small"] = Job(study="small", process=process)
    jobs.stop("small")
    jobs.stop("small")
    assert process.signals == [signal.SIGINT]
    said = "start other: small is being trained; one study at a time; stop it, or wait"
    assert refusal(jobs.start, "other", "other") == said
    with pytest.raises(UserError, match="stop other: this server is not training it"):
        jobs.stop("other")


def test_a_study_of_the_store_goes_on_as_the_store_has_it(served_store, tmp_path):
    with open_store(served_store) as store:
        raw = store.study_document("small")["file"]
    (tmp_path / "changed.yaml").write_text(json.dumps({**raw, "seeds": 1}))
    (tmp_path / "new.yaml").write_text(json.dumps({**raw, "study": "new"}))
    found = Context(root=served_store, studies_folder=tmp_path, jobs=Jobs(served_store)).startable()
    assert found["small"] == "small"
    assert found["new"] == str(tmp_path / "new.yaml")
    assert found["report-a"] == "report-a"


def test_an_error_survives_the_way_from_another_process(served_store):
    later = Later()
    try:
        future = later.run(read_image, served_store, "nope", "batch/8", "", b"", False)
        with pytest.raises(UserError, match="study nope: not in the store"):
            future.result(timeout=60)
    finally:
        later.restart()


def test_a_restart_ends_what_runs():
    later = Later()
    future = later.run(time.sleep, 600)
    time.sleep(0.5)
    began = time.monotonic()
    later.restart()
    with pytest.raises(BaseException):  # noqa: B017
        future.result(timeout=30)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(("host", "alone"), [("127.0.0.2", True), ("localhost", True), ("::1", True), ("box", False)])
def test_addresses_of_this_machine_alone(host, alone):
    assert is_loopback(host) == alone
