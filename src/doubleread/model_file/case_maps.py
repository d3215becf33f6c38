"""Saliency maps of a study's worst test cases, by the arm that is most often wrong about each, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doubleread.analysis import StudyResult
from doubleread.analysis.worst import WorstCase, worst_cases
from doubleread.errors import UserError
from doubleread.model_file.members import open_reader
from doubleread.model_file.methods import METHODS
from doubleread.model_file.predictor import Predictor
from doubleread.model_file.saliency import Saliency, check_method, saliency_of
from doubleread.store import Store

CASES = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class CaseMap:
    """A test case with the map of an arm's seeds towards the class that they call."""

    case: str
    label: str
    towards: str
    arm: str
    seeds: int
    pixels: np.ndarray
    saliency: Saliency


def maps_of_worst(result: StudyResult, store: Store, method: str) -> tuple[CaseMap, ...]:
    """Return maps of up to six of a study's worst test cases.

    Raises:
        UserError: they are sealed, no weights of an arm are kept, or see `check_method`.
    """
    if result.sealed:
        raise UserError("--explain", "the test images are sealed", "", "leave it out, or --unseal")
    if method not in METHODS:
        raise UserError("--explain", f'got "{method}"', f"expected one of {', '.join(METHODS)}")
    scores = {id(run.test[1]): run for arm in result.arms for run in arm.scores}
    rows = {data.data_hash: {case.case: row for row, case in enumerate(data.cases)} for data in result.data}
    sets = {data.data_hash: data for data in result.data}
    readers: dict[str, Predictor | None] = {}
    found = []
    for worst in worst_cases(list(scores.values()), CASES):
        reader = _reader(result, store, worst, readers)
        check_method(reader, method)
        # arms may have prepared sets of their own
        data = sets[reader.document.data_hash]
        if (row := rows[data.data_hash].get(worst.case)) is None:
            continue
        pixels = np.array(data.images[row])
        found.append(
            CaseMap(
                case=worst.case,
                label=data.classes[worst.label],
                towards=data.classes[worst.called],
                arm=reader.document.arm,
                seeds=len(reader.seeds),
                pixels=pixels,
                saliency=saliency_of(reader, pixels, worst.called, method),
            )
        )
    return tuple(found)


def _reader(result: StudyResult, store: Store, worst: WorstCase, readers: dict[str, Predictor | None]) -> Predictor:
    """Return the arm that is most often wrong about a case, of those whose weights are kept."""
    ranked: Sequence[str] = sorted(worst.by_arm, key=lambda arm: -worst.by_arm[arm])
    for arm in ranked:
        if arm not in readers:
            try:
                readers[arm] = open_reader(store, result.study.name, arm)
            except UserError:
                readers[arm] = None
        if (found := readers[arm]) is not None:
            return found
    raise UserError("--explain", "no weights of this study are kept", "", "train it with keep_weights: all")
