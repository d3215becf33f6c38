"""Two studies side by side: the arms that both have, and by how much they differ where the test images are the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from doubleread.analysis.evidence import Evidence, Unpaired
from doubleread.analysis.results import ArmResult, StudyResult
from doubleread.analysis.runs import RunResult
from doubleread.dataset import Case
from doubleread.stats import Estimate, contrast


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedArm:
    """One arm of two studies: by metric the first study's less the second's, over the seeds that both have.

    `differences` is empty where `why` says that nothing can be said: other test images or labels, fewer than two
    seeds.
    """

    first: ArmResult
    second: ArmResult
    seeds: tuple[int, ...]
    differences: dict[str, Estimate]
    why: str | None


def compare_arms(first: StudyResult, second: StudyResult, metrics: tuple[str, ...]) -> list[ComparedArm]:
    """Return the arms of the same name that both studies have, in the order of the first."""
    names = {arm.arm.name for arm in second.arms}
    return [_compared(arm, second.of(arm.arm.name), metrics) for arm in first.arms if arm.arm.name in names]


def _compared(first: ArmResult, second: ArmResult, metrics: tuple[str, ...]) -> ComparedArm:
    evidence = Evidence(
        replace(scores, arm=name) for name, arm in (("first", first), ("second", second)) for scores in arm.scores
    )
    seeds = sorted(set(evidence.seeds_of("first")) & set(evidence.seeds_of("second")))
    differences, why = dict[str, Estimate](), None
    if not metrics:
        why = "the test images of one are sealed"
    elif len(seeds) < 2:
        why = "fewer than two seeds in common"
    elif _images(first.done) != _images(second.done):
        why = "scored on other images"
    else:
        try:
            differences = {metric: _difference(evidence, metric, seeds) for metric in metrics}
        except Unpaired:
            same = _labels(first.done) == _labels(second.done)
            why = "the images have other names" if same else "scored with other labels"
    return ComparedArm(first=first, second=second, seeds=tuple(seeds), differences=differences, why=why)


def _images(runs: tuple[RunResult, ...]) -> set[tuple[str, ...]]:
    """Return the images that runs were scored on by what is in them: two sources may call other images the same."""
    return {tuple(case.digest for case in _scored(run)) for run in runs}


def _labels(runs: tuple[RunResult, ...]) -> set[tuple[int, ...]]:
    return {tuple(case.label for case in _scored(run)) for run in runs}


def _scored(run: RunResult) -> list[Case]:
    assert run.logits is not None, "a finished run has logits"
    # of a sealed study the validation images
    rows = run.logits.test_rows if len(run.logits.test_rows) else run.logits.val_rows
    return [run.data.cases[row] for row in rows]


def _difference(evidence: Evidence, metric: str, seeds: list[int]) -> Estimate:
    """Return the mean difference over paired seeds, with the interval of `contrast`.

    Raises:
        Unpaired: the two have other names or labels of the images.
    """
    arms = ("first", "second")
    covariance = evidence.covariance(metric, arms, seeds)
    return contrast(evidence.values(metric, arms, seeds), np.array([1.0, -1.0]), covariance)
