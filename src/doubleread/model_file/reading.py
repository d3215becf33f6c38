"""Many images read by a model: decoded on all cores while it computes, bad ones reported and the rest done."""

# N images, C classes

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from doubleread.errors import UnreadableImage, printable
from doubleread.images.image_file import read_image_file
from doubleread.images.pixels import check_pixels
from doubleread.model_file.likeness import Unlike
from doubleread.model_file.predictor import Predictions, Predictor
from doubleread.processes import usable_cores
from doubleread.training.evaluation import EVALUATION_BATCH

AHEAD = 2
"""Batches that are decoded before the model asks for them."""

Given = str | Path | np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a model says of one image that it was given as `image`, or why it could not be read.

    `facts` are the columns of its row: see `columns_of`.
    """

    image: str
    facts: dict[str, Any]
    error: str | None


def read_images(
    predictor: Predictor,
    given: Sequence[Given],
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Iterator[Answer]:
    """Yield what a model says of each image, in order: of files, or of arrays, (height, width[, 3]).

    `progress` is told how many are done, and of how many.
    """
    batches = [given[start : start + EVALUATION_BATCH] for start in range(0, len(given), EVALUATION_BATCH)]
    done = 0
    with ThreadPoolExecutor(usable_cores()) as pool:
        waiting: list[list[Future[_Ready | str]]] = []
        for place in range(len(batches)):
            while len(waiting) < AHEAD and place + len(waiting) < len(batches):
                following = batches[place + len(waiting)]
                waiting.append([pool.submit(_ready, predictor, one) for one in following])
            prepared = [future.result() for future in waiting.pop(0)]
            yield from _answers(predictor, batches[place], prepared, done, threads)
            done += len(prepared)
            progress(done, len(given))


def read_contents(predictor: Predictor, contents: Sequence[tuple[str, bytes]]) -> list[Answer]:
    """Return what a model says of image files, each given as a name and its content.

    Two are decoded at a time: others wait for the memory of a large one.
    """
    with ThreadPoolExecutor(2) as pool:
        prepared = list(pool.map(partial(_ready, predictor), [content for _, content in contents]))
    return list(_answers(predictor, [name for name, _ in contents], prepared, 0, None))


def columns_of(predictor: Predictor) -> list[str]:
    """Return the columns of an answer's facts.

    `class` is called; `probability` is that of the positive class, of more than two classes that of the one that is
    called; `calibrated` the same over the temperature; `threshold` what `probability` was held against; `sd`, `lo` and
    `hi` its spread over the seeds; `unlike` whether the image is unlike the training images, with its `distance`, the
    `limit` and the `basis`. Of more than two classes, `p_CLASS` for each.
    """
    each = [f"p_{name}" for name in predictor.classes] if len(predictor.classes) > 2 else []
    head = ["class", "probability", "calibrated", "threshold", "sd", "lo", "hi", "seeds"]
    return [*head, "unlike", "distance", "limit", "basis", *each]


@dataclass(frozen=True, slots=True)
class _Ready:
    """An image that the model can read: prepared pixels, and how far they are from the training images."""

    pixels: np.ndarray
    unlike: Unlike | None


def _ready(predictor: Predictor, given: Given | bytes) -> _Ready | str:
    """Return an image prepared, on one of several threads; or why it cannot be read."""
    try:
        if isinstance(given, np.ndarray):
            pixels = predictor.resized(check_pixels(given, colour=len(predictor.shape) == 3))
        else:
            pixels = predictor.prepared(given if isinstance(given, bytes) else read_image_file(Path(given)))
        return _Ready(pixels, predictor.unlike(pixels))
    except UnreadableImage as error:
        return str(error)


def _answers(
    predictor: Predictor, given: Sequence[Given], prepared: Sequence[_Ready | str], first: int, threads: int | None
) -> Iterator[Answer]:
    names = [f"array {first + place}" if isinstance(one, np.ndarray) else str(one) for place, one in enumerate(given)]
    good = [one for one in prepared if isinstance(one, _Ready)]
    found = None
    if good:
        pixels = np.stack([one.pixels for one in good])
        found = predictor.predictions(pixels, threads, unlike_N=[one.unlike for one in good])
    row = 0
    for name, one in zip(names, prepared, strict=True):
        if isinstance(one, str):
            yield Answer(image=printable(name), facts=dict.fromkeys(columns_of(predictor)), error=one)
        else:
            assert found is not None, "there is a good one"
            yield Answer(image=printable(name), facts=_facts(predictor, found, row), error=None)
            row += 1


def _facts(predictor: Predictor, found: Predictions, row: int) -> dict[str, Any]:
    called = int(found.called_N[row])
    shown = 1 if len(predictor.classes) == 2 else called
    cut, unlike = predictor.document.threshold, found.unlike_N[row]
    likeness = predictor.document.likeness
    facts: dict[str, Any] = {
        "class": predictor.classes[called],
        "probability": float(found.mean_NC[row, shown]),
        "calibrated": None if found.calibrated_NC is None else float(found.calibrated_NC[row, shown]),
        "threshold": None if cut is None else cut.probability,
        "sd": _number(found.sd_NC[row, shown]),
        "lo": _number(found.lo_NC[row, shown]),
        "hi": _number(found.hi_NC[row, shown]),
        "seeds": len(predictor.seeds),
        "unlike": None if unlike is None else unlike.flagged,
        "distance": None if unlike is None else unlike.distance,
        "limit": None if likeness is None else likeness.limit,
        "basis": None if unlike is None else unlike.basis,
    }
    if len(predictor.classes) > 2:
        facts |= {f"p_{name}": float(p) for name, p in zip(predictor.classes, found.mean_NC[row], strict=True)}
    return facts


def _number(value: float) -> float | None:
    return None if value != value else float(value)
