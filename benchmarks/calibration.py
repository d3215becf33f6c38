"""Is the tool itself right? Studies with a known truth: coverage, false verdicts, power at the printed MDD.

Every cell simulates studies of two arms with the same seeds and test cases from a model with normal parts:

    logit = ±(m_arm + τ z_seed,arm) + shift_arm + σ_s z'_seed,arm + u_case + v_case,arm + e_seed,arm,case

where ± is the case's class. Cases of one subject share part of u and v. The true accuracy and AUROC of an arm, over
all seeds and all cases, are normal integrals. Run: OMP_NUM_THREADS=1 python benchmarks/calibration.py [studies]; the
table goes to standard output in Markdown.
"""

# A 2 arms, R seeds, N cases

from __future__ import annotations

import math
import multiprocessing
import os
import sys
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from doubleread.metrics import CASE_METRICS
from doubleread.stats import CASE_COVARIANCES, Question, contrast, decide, detectable

MARGIN = 0.02


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One scenario; the arm that collapses, if one does, is the second."""

    name: str
    metric: str
    seeds: int
    cases: int = 400
    per_subject: int = 1
    signal: float = 0.8
    signal_noise: float = 0.15
    shift_noise: float = 0.15
    shift: tuple[float, float] = (0.0, 0.0)
    shared: float = 0.8
    own: float = 0.35
    single: float = 0.35
    collapse: float = 0.0


CELLS = (
    Cell(name="accuracy, seed noise small", metric="accuracy", seeds=10, signal_noise=0.03, shift_noise=0.03),
    Cell(name="accuracy, seed noise large", metric="accuracy", seeds=10, signal_noise=0.25, shift_noise=0.4),
    Cell(name="accuracy, 6 seeds", metric="accuracy", seeds=6),
    Cell(name="accuracy, 30 seeds", metric="accuracy", seeds=30),
    Cell(name="accuracy, arms at different thresholds", metric="accuracy", seeds=10, shift=(0.9, -0.2)),
    Cell(name="accuracy, three images a subject", metric="accuracy", seeds=10, cases=402, per_subject=3),
    Cell(name="AUROC, seed noise small", metric="auroc", seeds=10, signal_noise=0.03),
    Cell(name="AUROC, seed noise large", metric="auroc", seeds=10, signal_noise=0.25),
    Cell(name="AUROC, 6 seeds", metric="auroc", seeds=6),
    Cell(name="AUROC, 30 seeds", metric="auroc", seeds=30),
    Cell(name="AUROC, three images a subject", metric="auroc", seeds=10, cases=402, per_subject=3),
    Cell(name="AUROC, arms at different thresholds", metric="auroc", seeds=10, shift=(0.9, -0.2)),
    Cell(name="accuracy, one arm collapses in 10 % of seeds, 6 seeds", metric="accuracy", seeds=6, collapse=0.1),
    Cell(name="accuracy, one arm collapses in 10 % of seeds, 10 seeds", metric="accuracy", seeds=10, collapse=0.1),
    Cell(name="accuracy, one arm collapses in 10 % of seeds, 30 seeds", metric="accuracy", seeds=30, collapse=0.1),
)


def truth(cell: Cell, arm: int, signal: float) -> float:
    """Return the metric of an arm over all seeds and cases."""
    noise = cell.shared**2 + cell.own**2 + cell.single**2
    if cell.metric == "auroc":
        value = float(ndtr(2 * signal / math.sqrt(2 * noise + 4 * cell.signal_noise**2)))
    else:
        sd = math.sqrt(noise + cell.signal_noise**2 + cell.shift_noise**2)
        t = cell.shift[arm]
        value = float((ndtr((signal + t) / sd) + ndtr((signal - t) / sd)) / 2)
    return (1 - cell.collapse) * value + cell.collapse * 0.5 if arm == 1 else value


def signals(cell: Cell, gap: float) -> tuple[float, float]:
    """Return both arms' signals so that the first is truly better by `gap`, half above and half below the middle.

    Raises:
        ValueError: no signal is strong enough for such a difference.
    """
    middle = truth(cell, 1, cell.signal)
    reach = ((truth(cell, arm, 0.0), truth(cell, arm, 30.0)) for arm in (0, 1))
    for (low, high), wanted in zip(reach, (middle + gap / 2, middle - gap / 2), strict=True):
        if not low < wanted < high:
            raise ValueError(f"{wanted:.3f} is beyond reach")
    first = brentq(lambda s: truth(cell, 0, s) - middle - gap / 2, 0.0, 30.0)
    second = brentq(lambda s: truth(cell, 1, s) - middle + gap / 2, 0.0, 30.0)
    return float(first), float(second)


def simulate(cell: Cell, means: tuple[float, float], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return logits (2, R, N), labels, subjects and which runs collapsed (2, R)."""
    n, r, k = cell.cases, cell.seeds, cell.per_subject
    labels = np.repeat(np.arange(n // k) % 2, k)
    subjects = np.repeat(np.arange(n // k), k)
    sign = 2 * labels - 1

    def of_cases(sd: float, *shape: int) -> np.ndarray:
        """Half of the variance belongs to the subject where a subject has several cases."""
        part = 0.5 if k > 1 else 0.0
        whole = rng.normal(size=(*shape, n // k))[..., subjects] * math.sqrt(part)
        return sd * (whole + rng.normal(size=(*shape, n)) * math.sqrt(1 - part))

    strength = np.array(means)[:, None] + cell.signal_noise * rng.normal(size=(2, r))
    shift = np.array(cell.shift)[:, None] + cell.shift_noise * rng.normal(size=(2, r))
    logits = strength[:, :, None] * sign + shift[:, :, None]
    logits = logits + of_cases(cell.shared) + of_cases(cell.own, 2)[:, None, :]
    logits = logits + cell.single * rng.normal(size=(2, r, n))
    collapsed = np.zeros((2, r), dtype=bool)
    collapsed[1] = rng.random(r) < cell.collapse
    logits[collapsed] = 1.0
    return logits, labels, subjects, collapsed


def analyse(cell: Cell, logits: np.ndarray, labels: np.ndarray, subjects: np.ndarray, collapsed: np.ndarray):
    """Return the estimate, the verdict (with and without collapsed seeds, as the tool decides) and the MDD."""
    r = cell.seeds
    flat = logits.reshape(2 * r, -1)
    theta = np.array([CASE_METRICS[cell.metric](labels, row) for row in flat]).reshape(2, r)
    cov = CASE_COVARIANCES[cell.metric](flat, labels, subjects).reshape(2, r, 2, r)
    weights = np.array([1.0, -1.0])
    found = contrast(theta, weights, cov)
    verdict = decide([Question(gains=(found,), margin=MARGIN, seeds=r)])[0].verdict
    sound = ~collapsed.any(axis=0)
    if not sound.all():
        part = contrast(theta[:, sound], weights, cov[:, sound][:, :, :, sound]) if sound.sum() > 1 else found
        again = decide([Question(gains=(part,), margin=MARGIN, seeds=int(sound.sum()))])[0].verdict
        verdict = verdict if verdict is again else "undecided"
    return found, verdict, detectable(found.seed_var * r, found.case_var, r)


def measure(job: tuple[Cell, int, int]) -> dict[str, float | str]:
    """Return coverage and false verdicts at no difference, coverage and power at the MDD that is printed there.

    The true difference is the one that studies of that very truth print as their MDD on average: an arm that is
    better has another variance, so the MDD of equal arms would be that of another study.
    """
    cell, studies, seed = job
    rng = np.random.default_rng(seed)
    null, mdd = _many(cell, 0.0, studies, rng)
    row: dict[str, float | str] = {"name": cell.name, "null_coverage": null["covered"], "false": null["decided"]}
    try:
        for _ in range(3):
            _, mdd = _many(cell, mdd, max(50, studies // 4), rng)
        there, printed = _many(cell, mdd, studies, rng)
    except ValueError:
        return row
    return row | {"mdd": printed, "coverage": there["covered"], "power": there["right"]}


def _many(cell: Cell, gap: float, studies: int, rng: np.random.Generator) -> tuple[dict[str, float], float]:
    means = signals(cell, gap)
    true = truth(cell, 0, means[0]) - truth(cell, 1, means[1])
    counts = {"covered": 0, "decided": 0, "right": 0, "wrong": 0}
    mdds = []
    for _ in range(studies):
        found, verdict, mdd = analyse(cell, *simulate(cell, means, rng))
        counts["covered"] += found.lo <= true <= found.hi
        counts["right"] += verdict == "supported"
        counts["wrong"] += verdict == "contradicted"
        mdds.append(mdd)
    counts["decided"] = counts["right"] + counts["wrong"]
    return {key: count / studies for key, count in counts.items()}, float(np.mean(mdds))


def main() -> None:
    """Print the table."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    jobs = [(cell, studies, 1000 + index) for index, cell in enumerate(CELLS)]
    print("| cell | coverage, no difference | false verdicts | printed MDD | coverage at it | power at it |")
    print("|---|---|---|---|---|---|")
    with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
        for row in pool.imap(measure, jobs):
            numbers = [f"{100 * row[key]:.1f} %" for key in ("null_coverage", "false")]
            if "mdd" in row:
                numbers += [f"{100 * row['mdd']:.2f} points"]
                numbers += [f"{100 * row[key]:.1f} %" for key in ("coverage", "power")]
            else:
                numbers += ["beyond what the arm can reach", "–", "–"]
            print(f"| {row['name']} | {' | '.join(numbers)} |", flush=True)


if __name__ == "__main__":
    main()
