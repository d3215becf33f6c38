"""What takes more than a page may: reports, verdicts, audits and readings, computed in a process of their own."""

from __future__ import annotations

import math
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from doubleread import model_file
from doubleread.analysis import StudyResult, analyse, audited
from doubleread.dataset import open_prepared
from doubleread.errors import UserError
from doubleread.processes import main_module_hidden
from doubleread.report import page
from doubleread.report.data_section import data_section
from doubleread.report.saliency_section import NO_EVIDENCE, check_text
from doubleread.report.thumbnails import thumbnail
from doubleread.report.verdict_section import verdict_section
from doubleread.store import open_store
from doubleread.study import study_of

if TYPE_CHECKING:
    from doubleread.model_file import Predictor

MOST_KEPT = 16
"""Results that are kept."""
MOST_READERS = 2
SHOWN_PIXELS = 320


@dataclass
class _Asked:
    """A question that was asked: for which version, its answer to come, and whether someone has had it."""

    version: str
    future: Future[Any]
    given: bool = False


class Later:
    """Computes in one other process, one thing at a time, and keeps the latest results."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._asked: OrderedDict[tuple[Any, ...], _Asked] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, work: Callable[..., Any], *arguments: Any, version: str = "") -> Future[Any]:
        """Return the future of `work(*arguments)`; asked again with the same `version`, the same one.

        While it is computed, it is not asked for a second time, whatever has changed meanwhile: whoever waits gets it,
        and who asks after that a new one. What failed is given once, and then computed anew.
        """
        key = (work.__name__, arguments)
        with self._lock:
            asked = self._asked.get(key)
            if asked is not None and asked.future.done() and asked.given:
                failed = asked.future.cancelled() or asked.future.exception() is not None
                asked = None if failed or asked.version != version else asked
            if asked is None:
                asked = self._asked[key] = _Asked(version, self._submit(work, *arguments))
                self._forget()
            asked.given = asked.future.done()
            self._asked.move_to_end(key)
            return asked.future

    def _forget(self) -> None:
        finished = [key for key, asked in self._asked.items() if asked.future.done()]
        for key in finished[: max(0, len(self._asked) - MOST_KEPT)]:
            del self._asked[key]

    def run(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Return the future of `work(*arguments)`, which is not kept."""
        with self._lock:
            return self._submit(work, *arguments)

    def restart(self) -> None:
        """End the process, whatever it is at; the next question starts another."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        for _ in range(2):
            if self._pool is None:
                self._pool = ProcessPoolExecutor(1, get_context("spawn"))
            try:
                with main_module_hidden(), _deaf_to_ctrl_c():
                    return self._pool.submit(work, *arguments)
            except BrokenProcessPool:
                # it was ended, perhaps out of memory
                self._pool = None
        raise UserError("the server", "its process for long work cannot be started")


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Let processes started in the block not hear Ctrl-C, which a terminal sends to all: the server ends them."""
    # it hears again whatever it was told before, where it starts the first of its processes
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _result(root: Path, study: str) -> StudyResult:
    with open_store(root) as store:
        document = store.study_document(study)
        assert document is not None, "a listed study has a document"
        return analyse(study_of(document), store)


def report_page(root: Path, study: str) -> str:
    """Return the report of a study as one HTML file."""
    return page([_result(root, study)])


def verdicts(root: Path, study: str) -> dict[str, Any]:
    """Return the verdicts of a study as its report shows them."""
    return verdict_section(_result(root, study))


def data_of(root: Path, data_hash: str, sealed: bool) -> dict[str, Any]:
    """Return what the report says of a prepared set: counts, audit, images."""
    return data_section(audited(open_prepared(root / "data" / data_hash), sealed=sealed))


@lru_cache(maxsize=MOST_READERS)
def _reader(root: Path, study: str, arm: str, _version: str) -> Predictor:
    with open_store(root) as store:
        return model_file.open_reader(store, study, arm)


def read_image(root: Path, study: str, arm: str, version: str, content: bytes, explain: bool) -> dict[str, Any]:
    """Return what an arm's seeds say of an image file, as JSON has it; pictures are `data:` addresses.

    Raises:
        UserError: there is no such arm, or no weights of it.
        UnreadableImage: the file is no image that can be read.
    """
    reader = _reader(root, study, arm, version)
    pixels = reader.prepared(content)
    found = reader.predictions(pixels[None])
    called = int(found.called_N[0])
    said: dict[str, Any] = {
        "study": study,
        "arm": arm,
        "classes": list(reader.classes),
        "seeds": list(reader.seeds),
        "chances": found.chances_RNC[:, 0].tolist(),
        "mean": found.mean_NC[0].tolist(),
        "lo": [None if value != value else value for value in found.lo_NC[0].tolist()],
        "hi": [None if value != value else value for value in found.hi_NC[0].tolist()],
        "called": reader.classes[called],
        "threshold": 0.5 if len(reader.classes) == 2 else None,
        "image": thumbnail(pixels, SHOWN_PIXELS),
        "saliency": None,
    }
    if explain and model_file.can_explain():
        said["saliency"] = _pictures(reader, pixels, 1 if len(reader.classes) == 2 else called, "integrated-gradients")
    return said


@lru_cache(maxsize=1)
def _model(path: Path) -> Predictor:
    return model_file.load_model(path)


def predict_with(path: Path, contents: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """Return what a saved model says of image files, each a name and its content, as JSON has it."""
    predictor = _model(path)
    return [
        _said(predictor, answer.image, answer.facts, answer.error)
        for answer in model_file.read_contents(predictor, contents)
    ]


def _said(predictor: Predictor, name: str, facts: dict[str, Any], error: str | None) -> dict[str, Any]:
    rest = {key: value for key, value in facts.items() if key != "class" and not key.startswith("p_")}
    each = None
    if error is None and len(predictor.classes) == 2:
        each = dict(zip(predictor.classes, (1 - facts["probability"], facts["probability"]), strict=True))
    elif error is None:
        each = {one: facts[f"p_{one}"] for one in predictor.classes}
    return {"image": name, "called": facts["class"], "probabilities": each, "error": error, **rest}


def explain_with(path: Path, content: bytes, method: str, towards: str | None) -> dict[str, Any]:
    """Return pictures of what moved a saved model in an image file, as JSON has it.

    Raises:
        UnreadableImage: the file is no image that can be read.
        UserError: the method does not suit the model.
    """
    predictor = _model(path)
    pixels = predictor.prepared(content)
    called = int(predictor.predictions(pixels[None]).called_N[0])
    target = called if towards is None else predictor.classes.index(towards)
    pictures = _pictures(predictor, pixels, target, method)
    agreement = pictures["agreement"]
    return pictures | {
        "called": predictor.classes[called],
        "method": method,
        "image": thumbnail(pixels, SHOWN_PIXELS),
        "check": check_text(math.nan if agreement is None else agreement),
        "no_evidence": NO_EVIDENCE,
    }


def _pictures(predictor: Predictor, pixels: np.ndarray, target: int, method: str) -> dict[str, Any]:
    maps = model_file.saliency_of(predictor, pixels, target, method)
    return {
        "towards": predictor.classes[target],
        "trained": thumbnail((255 * maps.trained).astype("uint8"), SHOWN_PIXELS),
        "untrained": thumbnail((255 * maps.untrained).astype("uint8"), SHOWN_PIXELS),
        "agreement": None if maps.agreement != maps.agreement else maps.agreement,
    }
