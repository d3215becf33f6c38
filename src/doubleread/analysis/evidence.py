"""What the statistics see of runs: a value of each metric, and logits of cases; nothing of where they come from."""

# K runs, T arms, R seeds, N cases

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from doubleread.metrics import GAP_METRICS, RUN_METRICS, SCORES, calls, curve_metric
from doubleread.stats import covariance_of, difference_covariance


class Unpaired(Exception):
    """Runs were not scored on the same cases, so their metrics have no covariance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CaseSet:
    """Cases in one order: names, labels (N,) from 0, subjects (N,)."""

    names: tuple[str, ...]
    labels_N: np.ndarray
    subjects_N: np.ndarray

    @cached_property
    def key(self) -> int:
        """The same for the same cases in the same order."""
        return hash((self.names, self.labels_N.tobytes()))


@dataclass(frozen=True, kw_only=True, eq=False)
class RunScores:
    """One finished run: its metrics by name, and its logits of the validation and test cases, where known.

    Logits are (N,) of two classes, (N, C) of more.
    """

    arm: str
    seed: int
    collapsed: bool
    metrics: Mapping[str, float]
    test: tuple[CaseSet, np.ndarray]
    val: tuple[CaseSet, np.ndarray] | None


def case_covariance(metric: str, runs: Sequence[RunScores]) -> np.ndarray | None:
    """Return the covariance (K, K) of a metric over another draw of subjects; None where it depends on no such draw.

    Validation sets that are redrawn for each seed count as the seeds' chance, so there it is None too.

    Raises:
        Unpaired: the runs were not scored on the same cases.
    """
    if metric in RUN_METRICS or curve_metric(metric) is not None:
        return None
    if metric in GAP_METRICS:
        return _gap_covariance(metric, runs)
    name = metric.removeprefix("val_")
    scored = _scored(runs, validation=metric != name)
    if metric != name and _redrawn(runs, scored):
        return None
    cases = _shared(scored)
    return covariance_of(name, np.stack([logits for _, logits in scored]), cases.labels_N, cases.subjects_N)


def _gap_covariance(metric: str, runs: Sequence[RunScores]) -> np.ndarray:
    test = _scored(runs, validation=False)
    cases, logits_KN = _shared(test), np.stack([logits for _, logits in test])
    val = _scored(runs, validation=True) if metric == "gap" else []
    if metric != "gap" or _redrawn(runs, val):
        return covariance_of("accuracy", logits_KN, cases.labels_N, cases.subjects_N)
    before = _shared(val)
    val_KM = np.stack([logits for _, logits in val])
    return difference_covariance(
        val_KM, before.labels_N, before.subjects_N, logits_KN, cases.labels_N, cases.subjects_N
    )


def cases_behind(metric: str, run: RunScores) -> int:
    """Return how many cases a metric is computed from, 0 for a metric of training alone."""
    name = metric.removeprefix("val_")
    if name not in SCORES:
        return len(run.test[1]) if metric in GAP_METRICS else 0
    return len(_scored([run], validation=metric != name)[0][1])


def agreed_cases(metric: str, arms: Sequence[Sequence[RunScores]]) -> int | None:
    """Return on how many cases of a metric several arms agree, each with its runs, a seed after the other.

    None where some case is called otherwise by an arm in some seed, or there is one arm alone; 0 for a metric of
    training.
    """
    cases = cases_behind(metric, arms[0][0])
    splits = {True, False} if metric == "gap" else {metric.startswith("val_")}
    for same_seed in zip(*arms, strict=True):
        for validation in splits if cases else ():
            first, *others = (calls(logits) for _, logits in _scored(same_seed, validation=validation))
            if not others or not all(np.array_equal(first, other) for other in others):
                return None
    return cases


def _scored(runs: Iterable[RunScores], *, validation: bool) -> list[tuple[CaseSet, np.ndarray]]:
    found = [run.val if validation else run.test for run in runs]
    if any(scored is None for scored in found):
        raise Unpaired
    return [scored for scored in found if scored is not None]


def _shared(scored: Sequence[tuple[CaseSet, np.ndarray]]) -> CaseSet:
    first = scored[0][0]
    if any(cases is not first and cases.key != first.key for cases, _ in scored):
        raise Unpaired
    return first


def _redrawn(runs: Sequence[RunScores], scored: Sequence[tuple[CaseSet, np.ndarray]]) -> bool:
    """Tell whether every seed has cases of its own, the same for all its arms."""
    keys: dict[int, set[int]] = {}
    for run, (cases, _) in zip(runs, scored, strict=True):
        keys.setdefault(run.seed, set()).add(cases.key)
    one_each = all(len(found) == 1 for found in keys.values())
    return one_each and len({next(iter(found)) for found in keys.values()}) > 1


class Evidence:
    """All finished runs of a study, and how many of each arm diverged; covariances are computed once."""

    def __init__(self, runs: Iterable[RunScores], diverged: Mapping[str, int] | None = None) -> None:
        self.runs = {(run.arm, run.seed): run for run in runs}
        self.diverged = dict(diverged or {})
        self._covariances: dict[tuple[str, tuple[str, ...]], tuple[dict[tuple[str, int], int], np.ndarray | None]] = {}

    def up_to(self, seeds: int) -> Evidence:
        """Return the runs of the first seeds alone: those below `seeds`."""
        return Evidence((run for run in self.runs.values() if run.seed < seeds), self.diverged)

    @property
    def arms(self) -> list[str]:
        """The arms that have finished runs, in order."""
        return list(dict.fromkeys(arm for arm, _ in self.runs))

    def seeds_of(self, arm: str) -> list[int]:
        """Return the seeds of an arm's finished runs, in order."""
        return sorted(seed for name, seed in self.runs if name == arm)

    def shared_seeds(self, metric: str, arms: Sequence[str]) -> list[int]:
        """Return the seeds for which every arm has a value of the metric."""
        seeds = set.intersection(*(set(self.seeds_of(arm)) for arm in arms))
        return sorted(
            seed
            for seed in seeds
            if all(not np.isnan(self.runs[arm, seed].metrics.get(metric, np.nan)) for arm in arms)
        )

    def values(self, metric: str, arms: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """Return a metric, (T, R)."""
        return np.array([[self.runs[arm, seed].metrics[metric] for seed in seeds] for arm in arms])

    def covariance(self, metric: str, arms: Sequence[str], seeds: Sequence[int]) -> np.ndarray | None:
        """Return the covariance of a metric over cases, (T, R, T, R), or None; see `case_covariance`.

        Raises:
            Unpaired: the arms were not scored on the same cases.
        """
        index, covariance_KK = self._of_everything(metric, tuple(sorted(arms)))
        if covariance_KK is None:
            return None
        rows = [index[arm, seed] for arm in arms for seed in seeds]
        shape = (len(arms), len(seeds)) * 2
        return covariance_KK[np.ix_(rows, rows)].reshape(shape)

    def _of_everything(
        self, metric: str, arms: tuple[str, ...]
    ) -> tuple[dict[tuple[str, int], int], np.ndarray | None]:
        """Return the covariance of all runs, or, where they have different cases, of those of `arms`."""
        for group in ((), arms):
            key = (metric, group)
            if key not in self._covariances:
                chosen = {k: run for k, run in self.runs.items() if not group or run.arm in group}
                try:
                    found = case_covariance(metric, list(chosen.values()))
                except Unpaired:
                    continue
                self._covariances[key] = ({k: i for i, k in enumerate(chosen)}, found)
            return self._covariances[key]
        raise Unpaired
