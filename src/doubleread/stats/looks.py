"""Looking at a study while it grows: what a p is worth when one claim is tested at several numbers of seeds."""

# K looks, G points of a grid

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from doubleread.late import late

special = late("scipy.special")

optimize = late("scipy.optimize")

MOST_LOOKS = 5
GRID = 401
FAR = 9.0
"""Standard normal values beyond this are as good as never seen."""


def look_seeds(fewest: int, most: int) -> tuple[int, ...]:
    """Return at how many seeds a study is looked at: at most five numbers, `fewest` and `most` included.

    They grow by equal factors: early looks cost little and come soon, late ones add enough seeds to change something.
    """
    steps = min(MOST_LOOKS, most - fewest + 1)
    if steps == 1:
        return (fewest,)
    numbers = {round(fewest * (most / fewest) ** (k / (steps - 1))) for k in range(steps)}
    return tuple(sorted(numbers | {fewest, most}))


@dataclass(frozen=True)
class Looks:
    """Looks at a study that grows from look to look to `seeds`, (K,), fixed beforehand.

    A hypothesis is rejected at the first look at which its p is small enough, and Pocock's bound is the same for all
    looks (Pocock 1977). `both_sides` and `one_side` turn a p into the chance that, were there nothing, some look would
    have shown one as small: these can be corrected for the number of claims like any p. Looks at a fixed test set
    depend on each other more than the seeds alone make them, so this is on the safe side.
    """

    seeds: tuple[int, ...]

    def both_sides(self, p: float) -> float:
        """Return a two-sided p corrected for looking."""
        return p if math.isnan(p) or len(self.seeds) == 1 else _crossing(self.seeds, -float(special.ndtri(p / 2)), True)

    def one_side(self, p: float) -> float:
        """Return a one-sided p corrected for looking."""
        return p if math.isnan(p) or len(self.seeds) == 1 else _crossing(self.seeds, -float(special.ndtri(p)), False)

    @cached_property
    def level(self) -> float:
        """The two-sided p that is worth .05: what intervals are made with, so that all looks' together hold in 95 %."""
        if len(self.seeds) == 1:
            return 0.05
        found: Any = optimize.brentq(lambda p: self.both_sides(p) - 0.05, 0.05 / (2 * len(self.seeds)), 0.05)
        return float(found)


@cache
def _crossing(seeds: Sequence[int], bound: float, both: bool) -> float:
    """Return the chance that some look's standard normal value reaches a bound, by integrating from look to look.

    With t_k the part of the seeds that look k has, Z_k √t_k is a Brownian motion (Armitage, McPherson & Rowe 1969).
    """
    if bound <= (0.0 if both else -FAR):
        return 1.0
    if bound >= FAR:
        return 0.0
    times = np.array(seeds) / seeds[-1]
    low = -bound if both else -FAR
    z_G = np.linspace(low, bound, GRID)
    weight_G = _simpson(GRID) * (bound - low) / (GRID - 1)
    # the density, over what was not yet rejected, of Z at the first look
    density_G = np.exp(-(z_G**2) / 2) / math.sqrt(2 * math.pi)
    stopped = 2 * float(special.ndtr(-bound)) if both else float(special.ndtr(-bound))
    for before, now in pairwise(times):
        spread = math.sqrt((now - before) / now)
        centre_G = z_G * math.sqrt(before / now)
        held_G = density_G * weight_G
        stopped += float(held_G @ special.ndtr((centre_G - bound) / spread))
        if both:
            stopped += float(held_G @ special.ndtr((-bound - centre_G) / spread))
        step_GG = np.exp(-(((z_G[:, None] - centre_G[None, :]) / spread) ** 2) / 2) / (spread * math.sqrt(2 * math.pi))
        density_G = step_GG @ held_G
    return min(1.0, stopped)


def _simpson(points: int) -> np.ndarray:
    """Return the weights of Simpson's rule for an odd number of points one apart."""
    weights = np.full(points, 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return weights / 3
