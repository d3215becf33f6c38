"""The test cases that a study's runs get most wrong, and confusion matrices."""

# K runs, N cases

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from doubleread.analysis.evidence import RunScores
from doubleread.late import late
from doubleread.metrics import calls, probabilities

special = late("scipy.special")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorstCase:
    """One case: its label, in what share of the runs it is called wrong, what most call it, and that class's mean
    chance.

    `by_arm` has the share of each arm's runs that call it wrong.
    """

    case: str
    label: int
    wrong: float
    called: int
    chance: float
    by_arm: dict[str, float]


def worst_cases(runs: Sequence[RunScores], most: int) -> list[WorstCase]:
    """Return up to `most` test cases that runs on the same cases call wrong, by mean log loss, the worst first."""
    if not runs:
        return []
    cases = runs[0].test[0]
    mine = [run for run in runs if run.test[0] is cases or run.test[0].key == cases.key]
    logits = np.stack([run.test[1] for run in mine]).astype(np.float64)
    wrong_KN = np.stack([calls(found) != cases.labels_N for found in logits])
    loss_N, chance_N = _loss(logits, cases.labels_N), _chance(logits)
    called_N = np.array([np.bincount(column).argmax() for column in np.stack([calls(found) for found in logits]).T])
    arms = list(dict.fromkeys(run.arm for run in mine))
    of_arm = {arm: np.array([run.arm == arm for run in mine]) for arm in arms}
    ranked = [row for row in np.argsort(-loss_N, kind="stable").tolist() if wrong_KN[:, row].any()]
    return [
        WorstCase(
            case=cases.names[row],
            label=int(cases.labels_N[row]),
            wrong=float(wrong_KN[:, row].mean()),
            called=int(called_N[row]),
            chance=float(chance_N[row, called_N[row]]),
            by_arm={arm: float(wrong_KN[rows, row].mean()) for arm, rows in of_arm.items()},
        )
        for row in ranked[:most]
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfidentCase:
    """One case and the run that is surest of a wrong class for it: label, class called, its probability."""

    case: str
    label: int
    called: int
    chance: float
    arm: str
    seed: int


def confident_cases(runs: Sequence[RunScores], most: int, without: Collection[str] = ()) -> list[ConfidentCase]:
    """Return up to `most` test cases with the run that is surest of a wrong class, the surest first.

    A run that collapsed is as sure of every case, and is left out; so are the cases named in `without`.
    """
    sound = [run for run in runs if not run.collapsed]
    if not sound:
        return []
    cases = sound[0].test[0]
    mine = [run for run in sound if run.test[0] is cases or run.test[0].key == cases.key]
    sure_N, called_N, surest_N = (
        np.zeros(len(cases.labels_N)),
        cases.labels_N.copy(),
        np.zeros(len(cases.labels_N), int),
    )
    # one run after the other: thousands of them at once are gigabytes
    for place, run in enumerate(mine):
        chance_NC = _chance(run.test[1][None].astype(np.float64))
        mine_N, most_N = chance_NC.argmax(axis=1), chance_NC.max(axis=1)
        better_N = (mine_N != cases.labels_N) & (most_N > sure_N)
        sure_N[better_N], called_N[better_N], surest_N[better_N] = most_N[better_N], mine_N[better_N], place
    ranked = [row for row in np.argsort(-sure_N, kind="stable").tolist() if sure_N[row] > 0]
    chosen = [row for row in ranked if cases.names[row] not in without][:most]
    return [
        ConfidentCase(
            case=cases.names[row],
            label=int(cases.labels_N[row]),
            called=int(called_N[row]),
            chance=float(sure_N[row]),
            arm=mine[surest_N[row]].arm,
            seed=mine[surest_N[row]].seed,
        )
        for row in chosen
    ]


def _loss(logits: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Return the mean log loss of each case over K runs' logits, (K, N) or (K, N, C)."""
    if logits.ndim == 3:
        return -special.log_softmax(logits, axis=2)[:, np.arange(len(labels_N)), labels_N].mean(axis=0)
    return np.logaddexp(0.0, np.where(labels_N == 1, -1.0, 1.0) * logits).mean(axis=0)


def _chance(logits: np.ndarray) -> np.ndarray:
    """Return the mean probability of each class over K runs, (N, C)."""
    if logits.ndim == 3:
        return special.softmax(logits, axis=2).mean(axis=0)
    positive_N = probabilities(logits).mean(axis=0)
    return np.stack([1 - positive_N, positive_N], axis=1)


def class_confusion(runs: Sequence[RunScores], classes: int, *, validation: bool) -> np.ndarray | None:
    """Return how many cases of each class are called each, (seeds, C, C), labels first; None where there is none."""
    scored = [run.val if validation else run.test for run in runs]
    counts = []
    for part in scored:
        if part is None or not len(part[1]):
            return None
        pairs = part[0].labels_N * classes + calls(part[1])
        counts.append(np.bincount(pairs, minlength=classes**2).reshape(classes, classes))
    return np.stack(counts) if counts else None
