"""What the audit of a prepared set says, and how well its validation and test images can be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from doubleread.dataset import PreparedSet
from doubleread.dataset.audit import (
    FEATURES,
    Finding,
    Measured,
    Summary,
    classes_in_excess,
    findings_of,
    measured_of,
    summary_of,
)
from doubleread.seeds import stream
from doubleread.stats import Domain, domain_classifier

SUSPECTS = {
    "duplicates across splits": "duplicates",
    "near-duplicates across splits": "near-duplicates",
    "subjects in several splits": "shared subjects",
}
COMPARES_TEST = ("class balance", "differences between splits", "label issues")
"""Findings that tell something about the test images that a recipe could be chosen by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Audited:
    """One prepared set: its findings, what was measured, each split and class in a few numbers, the domain classifiers.

    `domains` has that of each class by name; where validation is redrawn for each seed, of the draw that is kept.

    `suspects` names what in the data could make validation and test differ: `duplicates`, `near-duplicates` and
    `shared subjects` across splits; `wrong labels`, where the labels of both classes are disputed more often in test,
    and `disputed labels`, where those of one class are: wrong, or harder to see.
    """

    data: PreparedSet
    measured: Measured
    findings: tuple[Finding, ...]
    summary: tuple[Summary, ...]
    domains: Mapping[str, Domain]
    suspects: tuple[str, ...]
    sealed: bool = False


def audited(data: PreparedSet, *, sealed: bool = False) -> Audited:
    """Return the audit of a set; nothing is written.

    Where the test images are `sealed`, nothing is said that compares them with others or disputes their labels: whoever
    chooses a recipe by it has looked at them. What is in two splits is said.
    """
    measured = measured_of(data)
    findings = tuple(f for f in findings_of(data, measured) if not (sealed and f.kind in COMPARES_TEST))
    if sealed:
        seen = tuple(row for row in summary_of(data, measured) if row.split != "test")
        return Audited(
            data=data,
            measured=measured,
            findings=findings,
            summary=seen,
            domains={},
            suspects=tuple(_leaks(findings)),
            sealed=True,
        )
    return Audited(
        data=data,
        measured=measured,
        findings=findings,
        summary=tuple(summary_of(data, measured)),
        domains={name: _domain(data, measured, label) for label, name in enumerate(data.classes)},
        suspects=(*_leaks(findings), *_labels(data, measured)),
    )


def _leaks(findings: tuple[Finding, ...]) -> list[str]:
    return [SUSPECTS[finding.kind] for finding in findings if finding.kind in SUSPECTS]


def _labels(data: PreparedSet, measured: Measured) -> list[str]:
    excess = classes_in_excess(data, measured)
    return [] if not excess else ["wrong labels" if len(excess) == len(data.classes) else "disputed labels"]


def _domain(data: PreparedSet, measured: Measured, label: int) -> Domain:
    rows = np.concatenate([data.rows("val"), data.rows("test")])
    rows = rows[data.labels[rows] == label]
    test_N = np.isin(rows, data.rows("test"))
    return domain_classifier(
        measured.features_NF[rows], test_N, data.subjects[rows], FEATURES, stream("domain", 0, label)
    )
