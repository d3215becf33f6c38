"""How often a quick model disagrees with the labels of each split and class, and whether that is more often in test."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from doubleread.dataset.audit.labels import label_issues
from doubleread.dataset.audit.measured import Measured
from doubleread.dataset.prepared import PreparedSet
from doubleread.nouns import SPLITS
from doubleread.seeds import stream

ALPHA = 0.05
PERMUTATIONS = 1999
Rates = Mapping[tuple[str, str], tuple[int, int]]
"""Confident disagreements and cases, by split and class."""


def issue_rates(data: PreparedSet, measured: Measured) -> Rates:
    """Return how many labels of each split and class the quick model confidently disagrees with, of how many."""
    issue_N = np.zeros(len(data.cases), dtype=bool)
    issue_N[label_issues(measured.chance_N, data.labels)] = True
    found = {}
    for split in SPLITS:
        rows = data.rows(split)
        for label, name in enumerate(data.classes):
            mine = rows[data.labels[rows] == label]
            found[split, name] = (int(issue_N[mine].sum()), len(mine))
    return found


def classes_in_excess(data: PreparedSet, measured: Measured) -> list[str]:
    """Return the classes whose labels are disputed more often in test than in training and validation.

    A one-sided permutation test of which subjects are in test, each class at half of .05: the images of a subject are
    disputed together.
    """
    issue_N = np.zeros(len(data.cases), dtype=bool)
    issue_N[label_issues(measured.chance_N, data.labels)] = True
    if not issue_N.any():
        return []
    test_N = np.array([case.split == "test" for case in data.cases])
    return [
        name
        for label, name in enumerate(data.classes)
        if _p_of_excess(*(column[data.labels == label] for column in (issue_N, test_N, data.subjects)))
        < ALPHA / len(data.classes)
    ]


def _p_of_excess(issue_N: np.ndarray, test_N: np.ndarray, subjects_N: np.ndarray) -> float:
    """Return the p of a higher rate of issues in test, a subject's cases of a split moving together."""
    _, unit_N = np.unique(np.char.add(subjects_N.astype(str), np.where(test_N, "\x1ft", "\x1fd")), return_inverse=True)
    issues_U, cases_U = np.bincount(unit_N, weights=issue_N), np.bincount(unit_N)
    test_U = np.zeros(len(cases_U), dtype=bool)
    test_U[unit_N] = test_N
    rng = stream("label-issues", 0)
    members_BU = np.stack([test_U, *(rng.permutation(test_U) for _ in range(PERMUTATIONS))])
    total = np.array([issues_U.sum(), cases_U.sum()])
    in_test = np.stack([members_BU @ issues_U, members_BU @ cases_U])
    in_rest = total[:, None] - in_test
    excess_B = in_test[0] / np.maximum(in_test[1], 1) - in_rest[0] / np.maximum(in_rest[1], 1)
    return float((1 + (excess_B[1:] >= excess_B[0] - 1e-12).sum()) / (1 + PERMUTATIONS))


def excess_of_issues(data: PreparedSet, measured: Measured) -> list[str]:
    """Return a sentence for each class whose labels are disputed more often in test."""
    rates, sentences = issue_rates(data, measured), []
    for name in classes_in_excess(data, measured):
        test, of_test = rates["test", name]
        others = [rates[split, name] for split in ("train", "val")]
        before, of_before = sum(n for n, _ in others), sum(n for _, n in others)
        sentences.append(
            f"of {name}, {test:,} of {of_test:,} in test and {before:,} of {of_before:,} in training and validation"
        )
    return sentences
