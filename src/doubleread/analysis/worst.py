"""The test cases that a study's runs get most wrong, and confusion matrices."""

# K runs, N cases

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doubleread.analysis.evidence import RunScores
from doubleread.metrics import probabilities


@dataclass(frozen=True, kw_only=True, slots=True)
class WorstCase:
    """One case: its label, in what share of the runs it is called wrong, and the mean chance of the positive class.

    `by_arm` has the share of each arm's runs that call it wrong.
    """

    case: str
    label: int
    wrong: float
    chance: float
    by_arm: dict[str, float]


def worst_cases(runs: Sequence[RunScores], most: int) -> list[WorstCase]:
    """Return up to `most` test cases that runs on the same cases call wrong, by mean log loss, the worst first."""
    if not runs:
        return []
    cases = runs[0].test[0]
    mine = [run for run in runs if run.test[0] is cases or run.test[0].key == cases.key]
    logits_KN = np.stack([run.test[1] for run in mine]).astype(np.float64)
    signs_N = np.where(cases.labels_N == 1, 1.0, -1.0)
    wrong_KN = (logits_KN > 0) != (cases.labels_N == 1)
    loss_N = np.logaddexp(0.0, -signs_N * logits_KN).mean(axis=0)
    chance_N = probabilities(logits_KN).mean(axis=0)
    arms = list(dict.fromkeys(run.arm for run in mine))
    of_arm = {arm: np.array([run.arm == arm for run in mine]) for arm in arms}
    ranked = [row for row in np.argsort(-loss_N, kind="stable").tolist() if wrong_KN[:, row].any()]
    return [
        WorstCase(
            case=cases.names[row],
            label=int(cases.labels_N[row]),
            wrong=float(wrong_KN[:, row].mean()),
            chance=float(chance_N[row]),
            by_arm={arm: float(wrong_KN[rows, row].mean()) for arm, rows in of_arm.items()},
        )
        for row in ranked[:most]
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """Calls at 0.5 against labels on one split: counts over an arm's seeds, mean, lowest and highest of each.

    The keys are `true_negative`, `false_positive`, `false_negative` and `true_positive`.
    """

    counts: dict[str, tuple[float, int, int]]


def confusion(runs: Sequence[RunScores], *, validation: bool) -> Confusion | None:
    """Return the confusion matrix of an arm's runs, None where there is none."""
    scored = [run.val if validation else run.test for run in runs]
    found: dict[str, list[int]] = {}
    for part in scored:
        if part is None:
            return None
        called, positive = part[1] > 0, part[0].labels_N == 1
        for name, mine in (
            ("true_negative", ~called & ~positive),
            ("false_positive", called & ~positive),
            ("false_negative", ~called & positive),
            ("true_positive", called & positive),
        ):
            found.setdefault(name, []).append(int(mine.sum()))
    if not found:
        return None
    return Confusion(counts={name: (float(np.mean(n)), min(n), max(n)) for name, n in found.items()})
