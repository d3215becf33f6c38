"""Which measured features tell the classes, or the splits, apart: what a model could use instead of the finding."""

# N cases, F features

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu
from statsmodels.stats.multitest import multipletests

from doubleread.dataset.audit.pixels import FEATURES
from doubleread.dataset.prepared import PreparedSet

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
    negative, positive = data.classes
    pairs: list[tuple[str, tuple[str, str], np.ndarray, np.ndarray]] = [
        ("classes", (negative, positive), ~test_N & (data.labels == 0), ~test_N & (data.labels == 1))
    ]
    pairs += [
        (f"splits, {name}", ("training and validation", "test"), ~test_N & mine, test_N & mine)
        for name, mine in ((negative, data.labels == 0), (positive, data.labels == 1))
    ]
    found = [
        _difference(between, groups, feature, data, features_NF[:, column], first, second)
        for (between, groups, first, second), (column, feature) in product(pairs, enumerate(FEATURES))
    ]
    if not found:
        return []
    corrected: Any = multipletests([difference.p for difference in found], method="holm")[1]
    return sorted(
        (
            Difference(**{**_fields(difference), "p": float(p)})
            for difference, p in zip(found, corrected, strict=True)
            if p < ALPHA and abs(difference.auroc - 0.5) >= _least(difference) - 0.5
        ),
        key=lambda difference: -abs(difference.auroc - 0.5),
    )


def _least(difference: Difference) -> float:
    return CLASS_AUROC if difference.between == "classes" else SPLIT_AUROC


def _fields(difference: Difference) -> dict[str, Any]:
    return {name: getattr(difference, name) for name in Difference.__dataclass_fields__}


def _difference(
    between: str,
    groups: tuple[str, str],
    feature: str,
    data: PreparedSet,
    values_N: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
) -> Difference:
    a, b = (_by_subject(values_N[mine], data.subjects[mine]) for mine in (first, second))
    # of all equal values the test has none to order
    same = not len(a) or not len(b) or np.ptp(np.concatenate([a, b])) == 0
    result: Any = None if same else mannwhitneyu(b, a)
    return Difference(
        between=between,
        groups=groups,
        feature=feature,
        medians=(_median(values_N[first]), _median(values_N[second])),
        auroc=0.5 if same else float(result.statistic) / (len(a) * len(b)),
        p=1.0 if same else float(result.pvalue),
    )


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _by_subject(values_N: np.ndarray, subjects_N: np.ndarray) -> np.ndarray:
    _, subject_N = np.unique(subjects_N, return_inverse=True)
    return np.bincount(subject_N, weights=values_N) / np.bincount(subject_N)
