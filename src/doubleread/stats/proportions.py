"""What one run each can show: proportions of right answers on one test set, before any training."""

from __future__ import annotations

import math
from typing import Any

from scipy.stats import binom, binomtest, norm
from statsmodels.stats.contingency_tables import mcnemar

from doubleread.stats.verdict import ALPHA


def wilson(right: int, cases: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion (Wilson 1927)."""
    interval = binomtest(right, cases).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar_exact(table: tuple[tuple[int, int], tuple[int, int]]) -> float:
    """Return the two-sided p of McNemar's exact test; `table` is [[both right, only A], [only B, both wrong]]."""
    if table[0][1] + table[1][0] == 0:
        return 1.0
    result: Any = mcnemar(table, exact=True)
    return float(result.pvalue)


def unpaired_p(right_a: int, cases_a: int, right_b: int, cases_b: int) -> float:
    """Return the two-sided p of two proportions as if unpaired, with unpooled variances.

    1 where they are equal; NaN where one is all and the other nothing, which have no variance.
    """
    a, b = right_a / cases_a, right_b / cases_b
    if a == b:
        return 1.0
    se = math.sqrt(a * (1 - a) / cases_a + b * (1 - b) / cases_b)
    return float(2 * norm.sf(abs(a - b) / se)) if se > 0 else math.nan


def largest_discordant(difference: int) -> int | None:
    """Return the largest number of discordant images at which exact McNemar stays below .05.

    Discordant images are those that exactly one of the two runs gets right; one run is ahead by `difference` of them.
    None where even the smallest possible number, `difference` itself, is not enough. Whether the test set has so many
    cases is another question.
    """
    d = abs(difference)

    def below(losses: int) -> bool:
        return 2 * float(binom.cdf(losses, d + 2 * losses, 0.5)) < ALPHA

    if d == 0 or not below(0):
        return None
    low, high = 0, 1
    while below(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return d + 2 * low


def expected_discordant(right_a: int, right_b: int, cases: int) -> float:
    """Return the number of discordant images to be expected of two runs whose errors are independent."""
    a, b = right_a / cases, right_b / cases
    return cases * (a * (1 - b) + b * (1 - a))


def most_discordant(right_a: int, right_b: int, cases: int) -> int:
    """Return the largest number of discordant images that the two numbers of right answers allow."""
    both = max(0, right_a + right_b - cases)
    return (right_a - both) + (right_b - both)
