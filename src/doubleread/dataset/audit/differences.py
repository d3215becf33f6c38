"""Which measured features tell the classes, or the splits, apart: what a model could use instead of the finding."""

# N cases, F features

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from doubleread.dataset.audit.pixels import FEATURES
from doubleread.dataset.prepared import PreparedSet
from doubleread.late import late
from doubleread.stats import holm, subject_means

scipy_stats = late("scipy.stats")

CLASS_AUROC = 0.75
SPLIT_AUROC = 0.65
"""From here on a difference matters: of classes, which may well differ in their greys; of splits of one class, which
should not differ at all."""
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A feature that differs between two groups of cases, `between` classes or splits.

    `auroc` is the chance that a case of the second group has the higher value, `p` is corrected by Holm's method over
    all features and pairs of groups; a subject counts once.
    """

    between: str
    groups: tuple[str, str]
    feature: str
    medians: tuple[float, float]
    auroc: float
    p: float


def differences_of(data: PreparedSet, features_NF: np.ndarray) -> list[Difference]:
    """Return the differences that matter, the largest first.

    Classes are compared in training and validation together; the test split with these, within each class.
    """
    test_N = np.array([case.split == "test" for case in data.cases])
    both = ("training and validation", "test")
    pairs: list[tuple[str, tuple[str, str], np.ndarray, np.ndarray]] = []
    if len(data.classes) == 2:
        negative, positive = data.labels == 0, data.labels == 1
        pairs.append(("classes", (data.classes[0], data.classes[1]), ~test_N & negative, ~test_N & positive))
    for label, name in enumerate(data.classes):
        mine = data.labels == label
        if len(data.classes) > 2:
            pairs.append(("classes", ("the other classes", name), ~test_N & ~mine, ~test_N & mine))
        pairs.append((f"splits, {name}", both, ~test_N & mine, test_N & mine))
    found = [
        _difference(between, groups, feature, (values_N[mine] for mine in parts), [data.subjects[m] for m in parts])
        for between, groups, *parts in pairs
        for feature, values_N in zip(FEATURES, features_NF.T, strict=True)
    ]
    corrected = holm([difference.p for difference in found])
    found = [replace(difference, p=p) for difference, p in zip(found, corrected, strict=True)]
    matter = [difference for difference in found if difference.p < ALPHA and _size(difference) >= _least(difference)]
    return sorted(matter, key=_size, reverse=True)


def _size(difference: Difference) -> float:
    return max(difference.auroc, 1 - difference.auroc)


def _least(difference: Difference) -> float:
    return CLASS_AUROC if difference.between == "classes" else SPLIT_AUROC


def _difference(
    between: str,
    groups: tuple[str, str],
    feature: str,
    values: Iterable[np.ndarray],
    subjects: Sequence[np.ndarray],
) -> Difference:
    first, second = values
    a, b = subject_means(first, subjects[0]), subject_means(second, subjects[1])
    # of all equal values the test has none to order
    same = np.ptp(np.concatenate([a, b])) == 0
    result: Any = None if same else scipy_stats.mannwhitneyu(b, a)
    return Difference(
        between=between,
        groups=groups,
        feature=feature,
        medians=(float(np.median(first)), float(np.median(second))),
        auroc=0.5 if same else float(result.statistic) / (len(a) * len(b)),
        p=1.0 if same else float(result.pvalue),
    )
