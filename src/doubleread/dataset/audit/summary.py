"""Each split and class in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from doubleread.dataset.audit.measured import Measured
from doubleread.dataset.audit.pixels import FEATURES
from doubleread.dataset.prepared import PreparedSet


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One split and class: how many cases and subjects, modes in the source, the median of each of `FEATURES`."""

    split: str
    class_name: str
    cases: int
    subjects: int
    modes: tuple[str, ...]
    medians: dict[str, float]


def summary_of(data: PreparedSet, measured: Measured) -> list[Summary]:
    """Return every split and class of a set, in the order of its counts."""
    found = []
    for row in data.counts():
        rows = data.rows(row["split"])
        mine = rows[data.labels[rows] == data.classes.index(row["class"])]
        medians = np.median(measured.features_NF[mine], axis=0).tolist()
        found.append(
            Summary(
                split=row["split"],
                class_name=row["class"],
                cases=row["cases"],
                subjects=row["subjects"],
                modes=tuple(sorted({data.cases[case].mode or "not known" for case in mine})),
                medians=dict(zip(FEATURES, medians, strict=True)),
            )
        )
    return found
