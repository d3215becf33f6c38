"""Does looking at a growing study make false verdicts? Studies with a known truth, looked at up to five times.

Each cell simulates studies of two arms with 6 to 30 seeds from the model of `calibration.py`, and looks at them as
`seeds: {min: 6, max: 30, until: decided}` does: a claim that one arm is better by accuracy or AUROC, with a margin of
two points, is judged with 6, 9, 13, 20 and 30 seeds until it is decided or more seeds cannot help. Run:
OMP_NUM_THREADS=1 python benchmarks/looking.py [studies]; the table goes to standard output in Markdown.
"""

# A 2 arms, R seeds, N cases

from __future__ import annotations

import math
import multiprocessing
import os
import sys
from dataclasses import replace

import numpy as np
from calibration import CELLS, MARGIN, Cell, signals, simulate, truth

from doubleread.metrics import CASE_METRICS
from doubleread.stats import (
    CASE_COVARIANCES,
    Looks,
    Question,
    contrast,
    decide,
    look_seeds,
    seeds_could_decide,
    seeds_needed,
    widened,
)

LOOKS = Looks(look_seeds(6, 30))
NAMES = (
    "accuracy, seed noise small",
    "accuracy, seed noise large",
    "AUROC, seed noise small",
    "AUROC, seed noise large",
    "AUROC, three images a subject",
)
WRONG = {
    "no difference": ("supported", "contradicted"),
    "a difference of the margin": ("contradicted", "not supported"),
    "twice the margin": ("contradicted", "not supported"),
}
"""Verdicts that are false."""
GAPS = {"no difference": 0.0, "a difference of the margin": MARGIN, "twice the margin": 2 * MARGIN}


def study(cell: Cell, means: tuple[float, float], rng: np.random.Generator, looks: Looks) -> tuple[str, int, bool]:
    """Return the verdict of one study, with how many seeds it ended, and whether the last interval held the truth."""
    logits, labels, subjects, _ = simulate(cell, means, rng)
    flat = logits.reshape(2 * cell.seeds, -1)
    theta = np.array([CASE_METRICS[cell.metric](labels, row) for row in flat]).reshape(2, cell.seeds)
    cov = CASE_COVARIANCES[cell.metric](flat, labels, subjects).reshape(2, cell.seeds, 2, cell.seeds)
    verdict, seeds, found = "undecided", 0, None
    for seeds in looks.seeds:
        part = contrast(theta[:, :seeds], np.array([1.0, -1.0]), cov[:, :seeds, :, :seeds])
        found = widened(part, looks.level)
        verdict = decide([Question(gains=(found,), margin=MARGIN, seeds=seeds)], looks)[0].verdict.value
        needed = seeds_needed(found.seed_var * seeds, found.case_var, MARGIN)
        helps = needed is not None or seeds_could_decide(found.value, found.case_var, MARGIN, looks.level)
        if verdict != "undecided" or not helps:
            break
    assert found is not None, "there is one look at least"
    return verdict, seeds, found.lo <= means_gap(cell, means) <= found.hi


def means_gap(cell: Cell, means: tuple[float, float]) -> float:
    """Return the true difference of two arms."""
    return truth(cell, 0, means[0]) - truth(cell, 1, means[1])


def measure(job: tuple[str, str, int]) -> str:
    """Return a line of the table: of one cell at one true difference."""
    name, gap, studies = job
    cell = replace(next(cell for cell in CELLS if cell.name == name), seeds=LOOKS.seeds[-1])
    means = signals(cell, GAPS[gap])
    rng = np.random.Generator(np.random.PCG64([20261127, NAMES.index(name), list(GAPS).index(gap)]))
    found = [study(cell, means, rng, LOOKS) for _ in range(studies)]
    verdicts = [verdict for verdict, _, _ in found]
    share = {verdict: 100 * verdicts.count(verdict) / studies for verdict in sorted(set(verdicts))}
    decided = ", ".join(f"{part:.1f} % {verdict}" for verdict, part in share.items())
    wrong = WRONG[gap]
    false = sum(share.get(verdict, 0.0) for verdict in wrong)
    error = 100 * math.sqrt(max(false, 0.1) / 100 * (1 - false / 100) / studies)
    seeds, held = np.mean([n for _, n, _ in found]), 100 * np.mean([hit for _, _, hit in found])
    return f"| {name} | {gap} | {decided} | {false:.1f} ± {2 * error:.1f} | {held:.1f} | {seeds:.1f} |"


def main() -> None:
    """Measure and print."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    jobs = [(name, gap, studies) for name in NAMES for gap in GAPS]
    print("| cell | truth | verdicts | false verdicts, % | intervals that hold, % | seeds |\n|---|---|---|---|---|---|")
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for line in pool.imap(measure, jobs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
