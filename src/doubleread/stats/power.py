"""What a study could have found: the smallest difference it detects, and the seeds or test cases it would take."""

from __future__ import annotations

import math
from collections.abc import Callable

from doubleread.stats.contrast import t_quantile
from doubleread.stats.verdict import ALPHA, FEWEST_SEEDS

POWER = 0.8
MOST_SEEDS, MOST_CASES = 1_000_000, 100_000_000


def detectable(difference_var: float, case_var: float, seeds: int, family: int = 1) -> float:
    """Return the minimum detectable difference: the true difference that 80 % of such studies would find.

    (t_{1 − α/2m, df} + t_{.80, df}) · √(s_d²/R + b), α = .05, m claims in the family (Holm's first step).
    `difference_var` is s_d², the variance over seeds of the contrast ψ_j, `case_var` is b. NaN with one seed.
    """
    if seeds < 2 or math.isnan(difference_var) or math.isnan(case_var):
        return math.nan
    a = difference_var / seeds
    df = (a + case_var) ** 2 / (a**2 / (seeds - 1)) if a > 0 else math.inf
    return (t_quantile(1 - ALPHA / (2 * family), df) + t_quantile(POWER, df)) * math.sqrt(a + case_var)


def seeds_needed(difference_var: float, case_var: float, margin: float, family: int = 1) -> int | None:
    """Return the fewest seeds (at least 6) with which a difference of `margin` is detectable.

    None where no number of seeds is enough, for the test set's part alone hides it: √b > δ / 2.8 at m = 1. It takes
    more test images then, not more seeds.
    """
    if math.isnan(difference_var) or math.isnan(case_var):
        return None
    return _fewest(lambda r: detectable(difference_var, case_var, r, family) <= margin, FEWEST_SEEDS, MOST_SEEDS)


def seeds_could_decide(gain: float, case_var: float, margin: float, level: float, family: int = 1) -> bool:
    """Tell whether a gain that stays as it is would be decided by ever more seeds: the test set's part is what is left.

    It would be shown to differ from 0, or to lie below the margin, at `level` over the `family`. Never where a part is
    unknown.
    """
    if math.isnan(gain) or math.isnan(case_var):
        return False
    if case_var == 0:
        return True
    se = math.sqrt(case_var)
    shown = abs(gain) / se > t_quantile(1 - level / (2 * family), math.inf)
    return shown or (margin - gain) / se > t_quantile(1 - level / family, math.inf)


def cases_needed(
    difference_var: float, case_var: float, seeds: int, cases: int, margin: float, family: int = 1
) -> int | None:
    """Return the fewest test cases with which `seeds` seeds detect `margin`, b shrinking as 1/n from `cases`.

    None where the seeds' part alone hides it (it takes more seeds then), or where the cases have no part in it.
    """
    if math.isnan(difference_var) or math.isnan(case_var) or seeds < 2 or case_var == 0:
        return None
    return _fewest(lambda n: detectable(difference_var, case_var * cases / n, seeds, family) <= margin, 2, MOST_CASES)


def _fewest(enough: Callable[[int], bool], least: int, most: int) -> int | None:
    """Return the smallest whole number in [least, most] that is enough, found by doubling, then halving.

    With very many cases the degrees of freedom are those of the seeds alone, so the most need not be enough.
    """
    low, high = least, least
    while not enough(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
