"""How often a quick model disagrees with the labels of each split and class, and whether that is more often in test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import fisher_exact

from doubleread.dataset.audit.labels import label_issues
from doubleread.dataset.audit.measured import Measured
from doubleread.dataset.prepared import PreparedSet
from doubleread.nouns import SPLITS

ALPHA = 0.05
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


def classes_in_excess(rates: Rates, classes: Sequence[str]) -> list[str]:
    """Return the classes whose labels are disputed more often in test than in training and validation.

    Fisher's exact test, one-sided, each class at half of .05.
    """
    found = []
    for name in classes:
        test, of_test = rates["test", name]
        others = [rates[split, name] for split in ("train", "val")]
        before, of_before = sum(n for n, _ in others), sum(n for _, n in others)
        table = [[test, of_test - test], [before, of_before - before]]
        result: Any = fisher_exact(table, alternative="greater")
        if float(result.pvalue) < ALPHA / len(classes):
            found.append(name)
    return found


def excess_of_issues(rates: Rates, classes: Sequence[str]) -> list[str]:
    """Return a sentence for each class whose labels are disputed more often in test."""
    sentences = []
    for name in classes_in_excess(rates, classes):
        test, of_test = rates["test", name]
        others = [rates[split, name] for split in ("train", "val")]
        before, of_before = sum(n for n, _ in others), sum(n for _, n in others)
        sentences.append(
            f"of {name}, {test:,} of {of_test:,} in test and {before:,} of {of_before:,} in training and validation"
        )
    return sentences
