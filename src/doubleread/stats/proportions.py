"""What one run each can show: proportions of right answers on one test set, before any training."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from doubleread.late import late
from doubleread.stats.verdict import ALPHA

scipy_stats = late("scipy.stats")
contingency_tables = late("statsmodels.stats.contingency_tables")


def wilson(right: int, cases: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion (Wilson 1927)."""
    interval = scipy_stats.binomtest(right, cases).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar_exact(table: tuple[tuple[int, int], tuple[int, int]]) -> float:
    """Return the two-sided p of McNemar's exact test; `table` is [[both right, only A], [only B, both wrong]]."""
    if table[0][1] + table[1][0] == 0:
        return 1.0
    result: Any = contingency_tables.mcnemar(table, exact=True)
    return float(result.pvalue)


def unpaired_p(right_a: int, cases_a: int, right_b: int, cases_b: int) -> float:
    """Return the two-sided p of two proportions as if unpaired, with unpooled variances (Wald).

    1 where they are equal; NaN where one is all and the other nothing, which have no variance.
    """
    a, b = right_a / cases_a, right_b / cases_b
    if a == b:
        return 1.0
    se = math.sqrt(a * (1 - a) / cases_a + b * (1 - b) / cases_b)
    return float(2 * scipy_stats.norm.sf(abs(a - b) / se)) if se > 0 else math.nan


def pooled_p(right_a: int, cases_a: int, right_b: int, cases_b: int) -> float:
    """Return the two-sided p of the pooled two-proportion z test, as if unpaired; 1 where the proportions are equal.

    z = (a − b) / √(q (1 − q) (1/n_a + 1/n_b)), q the proportion of both together; z² is Pearson's χ² of the fourfold
    table, without correction.
    """
    if right_a * cases_b == right_b * cases_a:
        return 1.0
    both = (right_a + right_b) / (cases_a + cases_b)
    se = math.sqrt(both * (1 - both) * (1 / cases_a + 1 / cases_b))
    return float(2 * scipy_stats.norm.sf(abs(right_a / cases_a - right_b / cases_b) / se))


def newcombe(right_a: int, cases_a: int, right_b: int, cases_b: int) -> tuple[float, float]:
    """Return the 95 % interval of a difference of two proportions a − b, as if unpaired (Newcombe 1998, method 10).

    From the Wilson intervals (l, u) of both: a − b − √((a − l_a)² + (u_b − b)²) to a − b + √((u_a − a)² + (b − l_b)²).
    """
    a, b = right_a / cases_a, right_b / cases_b
    (low_a, high_a), (low_b, high_b) = wilson(right_a, cases_a), wilson(right_b, cases_b)
    return a - b - math.hypot(a - low_a, high_b - b), a - b + math.hypot(high_a - a, b - low_b)


def counts_printed_as(percent: str, cases: int) -> range:
    """Return how many of `cases` can be right where the percentage is printed as `percent`, such as `72.75`.

    A half may be rounded up or to the even digit; nothing is cut off. Empty where no count is printed so.
    """
    printed, last = Fraction(percent), Fraction(1, 10 ** len(percent.partition(".")[2]))
    low, high = ((printed + half) / 100 * cases for half in (-last / 2, last / 2))
    # a half below is rounded up to it, a half above is rounded down to it only where its last digit is even
    fewest, most = max(0, math.ceil(low)), min(cases, math.floor(high))
    if high == math.floor(high) == most and printed / last % 2:
        most -= 1
    return range(fewest, most + 1)


def largest_discordant(difference: int) -> int | None:
    """Return the largest number of discordant images at which exact McNemar stays below .05.

    Discordant images are those that exactly one of the two runs gets right; one run is ahead by `difference` of them.
    None where even the smallest possible number, `difference` itself, is not enough. Whether the test set has so many
    cases is another question.
    """
    d = abs(difference)

    def below(losses: int) -> bool:
        return 2 * float(scipy_stats.binom.cdf(losses, d + 2 * losses, 0.5)) < ALPHA

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
