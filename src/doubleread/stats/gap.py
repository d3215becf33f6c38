"""Why validation and test differ: the gap in parts that add up exactly, each with its interval.

With π the prevalence, A(t; π) = π · sensitivity(t) + (1 − π) · specificity(t), and t* the best threshold at the test
prevalence, cross-fitted over subjects:

    leakage     A_v(study's split; .5; π_v) − A_v(.5; π_v)
    prevalence  A_v(.5; π_v) − A_v(.5; π_t)
    threshold   [A_t(t_t*; π_t) − A_t(.5; π_t)] − [A_v(t_v*; π_t) − A_v(.5; π_t)]
    ranking     A_v(t_v*; π_t) − A_t(t_t*; π_t)

Where leakage is measured, A_v is of runs on a split by groups, else of the study's own runs. The order of the parts
matters: what a shift of prevalence would have done to the threshold counts as threshold.
"""

# R seeds, K of them redrawn, N cases, P subjects, B draws, Q the six accuracies that the parts are made of

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from doubleread.stats.contrast import Estimate, estimate
from doubleread.stats.redraw import REDRAWN, BothSplits, Redraws, Scored, between_seeds
from doubleread.stats.thresholds import most_accurate, weighted_rates
from doubleread.stats.verdict import FEWEST_SEEDS

PARTS = ("leakage", "prevalence", "threshold", "ranking")
_WEIGHTS = {
    # A_v of the study's split, A_v(.5; π_v), A_v(.5; π_t), A_v(t*; π_t), A_t(.5), A_t(t*)
    "gap": (1, 0, 0, 0, -1, 0),
    "leakage": (1, -1, 0, 0, 0, 0),
    "prevalence": (0, 1, -1, 0, 0, 0),
    "threshold": (0, 0, 1, -1, -1, 1),
    "ranking": (0, 0, 0, 1, 0, -1),
    "val": (1, 0, 0, 0, 0, 0),
    "test": (0, 0, 0, 0, 1, 0),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class GapDraws:
    """The accuracies that the parts of one arm's gap are made of.

    As measured, (R, 6), and in B redraws of the subjects for K of the seeds, (B, K, 6); `places_K` are their rows of
    the first.
    """

    measured_RQ: np.ndarray
    redrawn_BKQ: np.ndarray
    places_K: np.ndarray
    has_leakage: bool

    def at(self, places: Sequence[int]) -> GapDraws:
        """Return those of the seeds at `places`, in that order."""
        kept = [k for k, place in enumerate(self.places_K.tolist()) if place in places]
        return GapDraws(
            measured_RQ=self.measured_RQ[list(places)],
            redrawn_BKQ=self.redrawn_BKQ[:, kept],
            places_K=np.array([list(places).index(self.places_K[k]) for k in kept], dtype=np.int64),
            has_leakage=self.has_leakage,
        )

    def redrawn_at(self, places: Sequence[int]) -> np.ndarray:
        """Return the redraws of the seeds at `places`, (B, K, 6), all of which have some."""
        return self.redrawn_BKQ[:, [self.places_K.tolist().index(place) for place in places]]


@dataclass(frozen=True, kw_only=True, slots=True)
class GapVerdict:
    """What the gap is made of.

    `kind` is `mostly` (the first of `parts` is more than half of it), `mixed` (none is shown to be), `none` (no gap is
    shown), `reverse` (test is above validation) or `undecided` (too few seeds to say). `parts` are those shown to be
    above 0, the largest first; of a reverse gap, those shown to be below.
    """

    kind: str
    parts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """Validation minus test accuracy of an arm, or of the mean of several, in its parts.

    `leakage` is None where it was not measured; it then counts as 0, and what leaks is in `ranking`.
    """

    val: Estimate
    test: Estimate
    gap: Estimate
    leakage: Estimate | None
    prevalence: Estimate
    threshold: Estimate
    ranking: Estimate
    verdict: GapVerdict

    def parts(self) -> dict[str, Estimate]:
        """Return the measured parts by name; their values add up to the gap."""
        found = {name: getattr(self, name) for name in PARTS}
        return {name: part for name, part in found.items() if part is not None}


def gap_of(arms: Sequence[GapDraws]) -> Gap:
    """Return the gap of an arm, or of the mean of several that have the same seeds.

    An interval counts the seeds by the variance of their mean, and the cases by the mean covariance of two seeds over
    the redraws: Obuchowski & Rockette's form, degrees of freedom by Hillis. NaN where one seed says nothing of it.
    """
    measured_RQ = np.mean([draws.measured_RQ for draws in arms], axis=0)
    common = sorted(set.intersection(*(set(draws.places_K.tolist()) for draws in arms)))
    redrawn_BKQ = np.mean([draws.redrawn_at(common) for draws in arms], axis=0)
    has_leakage = all(draws.has_leakage for draws in arms)

    def part(weights_Q: np.ndarray) -> Estimate:
        return estimate(measured_RQ @ weights_Q, between_seeds(redrawn_BKQ @ weights_Q, len(measured_RQ)))

    weights = {name: np.array(weights_Q, dtype=np.float64) for name, weights_Q in _WEIGHTS.items()}
    found = {name: part(weights_Q) for name, weights_Q in weights.items()}
    beyond_half = {name: part(weights[name] - weights["gap"] / 2) for name in PARTS}
    measured = [name for name in PARTS if name != "leakage" or has_leakage]
    verdict = _verdict(found, beyond_half, measured, len(measured_RQ))
    return Gap(**{**found, "leakage": found["leakage"] if has_leakage else None}, verdict=verdict)


def _verdict(
    found: Mapping[str, Estimate], beyond_half: Mapping[str, Estimate], measured: Sequence[str], seeds: int
) -> GapVerdict:
    if seeds < FEWEST_SEEDS or math.isnan(found["gap"].lo):
        return GapVerdict(kind="undecided", parts=())
    if found["gap"].hi < 0:
        below = sorted((name for name in measured if found[name].hi < 0), key=lambda name: found[name].value)
        return GapVerdict(kind="reverse", parts=tuple(below))
    if not found["gap"].lo > 0:
        return GapVerdict(kind="none", parts=())
    shown = sorted((name for name in measured if found[name].lo > 0), key=lambda name: -found[name].value)
    main = [name for name in shown if beyond_half[name].lo > 0]
    return GapVerdict(kind="mostly" if main else "mixed", parts=tuple(dict.fromkeys([*main, *shown])))


def gap_draws(
    arms: Sequence[Sequence[BothSplits]], rng: np.random.Generator, draws: int, redrawn: int = REDRAWN
) -> list[GapDraws]:
    """Return what the gap of each arm is made of, for its seeds.

    Of the subjects' redraws, see `Redraws`; only the first `redrawn` seeds of an arm have them: what the seeds' chance
    has in common is the same for all. Leakage is measured in an arm where every run has a `grouped` one.
    """
    weigh = Redraws([run for runs in arms for run in runs], rng, draws)
    found = []
    for runs in arms:
        has_leakage = all(run.grouped is not None for run in runs)
        every = [_accuracies(run, weigh, has_leakage, place < redrawn) for place, run in enumerate(runs)]
        found.append(
            GapDraws(
                measured_RQ=np.array([accuracies[0] for accuracies in every]),
                redrawn_BKQ=np.stack([accuracies[1:] for accuracies in every[:redrawn]], axis=1),
                places_K=np.arange(len(every[:redrawn])),
                has_leakage=has_leakage,
            )
        )
    return found


def _accuracies(run: BothSplits, weigh: Redraws, has_leakage: bool, redrawn: bool) -> np.ndarray:
    """Return the six accuracies of a run, (1 + draws, 6), or just the measured ones, (1, 6)."""
    prevalence_v, prevalence_t = float(run.val.labels_N.mean()), float(run.test.labels_N.mean())
    val = run.grouped if has_leakage and run.grouped is not None else run.val
    own, test = (_at_half(scored, weigh, redrawn) for scored in (run.val, run.test))
    other = own if val is run.val else _at_half(val, weigh, redrawn)
    columns = [
        _accuracy(own, prevalence_v),
        _accuracy(other, prevalence_v),
        _accuracy(other, prevalence_t),
        _at_best(val, prevalence_t, weigh, redrawn),
        _accuracy(test, prevalence_t),
        _at_best(run.test, prevalence_t, weigh, redrawn),
    ]
    return np.stack(columns, axis=1)


def _accuracy(rates: tuple[np.ndarray, np.ndarray], prevalence: float) -> np.ndarray:
    sens, spec = rates
    return prevalence * sens + (1 - prevalence) * spec


def _at_half(scored: Scored, weigh: Redraws, redrawn: bool) -> tuple[np.ndarray, np.ndarray]:
    return weighted_rates(scored.logits_N[:, None] > 0, scored.labels_N == 1, weigh.weights(scored, redrawn))


def _at_best(scored: Scored, prevalence: float, weigh: Redraws, redrawn: bool) -> np.ndarray:
    return _accuracy(weigh.cross_fitted(scored, most_accurate(prevalence), redrawn), prevalence)
