"""`single`: what one run each can show. No training, no torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from doubleread.cli.show import out, print_json
from doubleread.errors import UserError
from doubleread.stats import (
    expected_discordant,
    largest_discordant,
    most_discordant,
    unpaired_p,
    wilson,
)

MOST_CASES = 100_000
_COUNTS = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9})")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%\s*/\s*(\d{1,9})")
EXPECTED = "expected RIGHT/IMAGES, such as 291/400, or PERCENT%/IMAGES, such as 72.75%/400"


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One reported run: `right` of `cases` test images were called right.

    `fits` are the fewest and the most right answers that would print the same percentage, where they are not one.
    """

    right: int
    cases: int
    fits: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """How it is called."""
        return f"{self.right}/{self.cases}"


def single_command(reported: list[str], as_json: bool) -> None:
    """Print the interval of each run, and for each pair what one run each can show."""
    runs = [parse_run(text) for text in reported]
    found = {"runs": [_run(run) for run in runs], "pairs": [_pair(a, b) for a, b in combinations(runs, 2)]}
    if as_json:
        print_json(found)
        return
    for run in found["runs"]:
        low, high = 100 * run["lo"], 100 * run["hi"]
        out().print(
            f"{run['run']} right: {100 * run['accuracy']:.2f} %, 95 % interval {low:.2f} to {high:.2f} % (Wilson)"
        )
        if run["fits"] is not None:
            out().print(
                f"  taken as {run['run']}; {run['fits'][0]} to {run['fits'][1]} right print the same percentage"
            )
    for pair in found["pairs"]:
        out().print(f"\n{pair['first']} against {pair['second']}")
        for line in pair["words"]:
            out().print(f"  {line}")
    out().print(
        "\nThese intervals count the chance of the test images only. One run says nothing about the seed: another seed"
        "\nof the same recipe may move further than any difference here. For that, train several seeds of each."
    )


def parse_run(text: str) -> Run:
    """Return a run from `291/400` or `72.75%/400`.

    Raises:
        UserError: the text is neither, or the numbers do not fit.
    """
    if match := _COUNTS.fullmatch(text.strip()):
        right, cases = int(match[1]), int(match[2])
        fits = (right, right)
    elif match := _PERCENT.fullmatch(text.strip()):
        cases = int(match[2])
        exact = float(match[1]) / 100 * cases
        right = round(exact)
        # a printed percentage may be off by half of its last digit
        last_digit = 10 ** -len(match[1].partition(".")[2])
        slack = last_digit / 200 * cases + 1e-9
        fits = (max(0, math.ceil(exact - slack)), min(cases, math.floor(exact + slack)))
        if abs(exact - right) > slack:
            raise UserError(f"single {text}", f"{match[1]} % of {cases} is {exact:g} images", EXPECTED, "check both")
    else:
        raise UserError(f"single {text}", "no count of images", EXPECTED)
    if not 0 < cases <= MOST_CASES:
        raise UserError(
            f"single {text}", f"{cases:,} images", f"expected 1 to {MOST_CASES:,}", "check the second number"
        )
    if right > cases:
        raise UserError(f"single {text}", "more right than images", EXPECTED, "check both numbers")
    return Run(right=right, cases=cases, fits=fits if fits[0] < fits[1] else None)


def _run(run: Run) -> dict[str, Any]:
    lo, hi = wilson(run.right, run.cases)
    return {"run": run.text, "accuracy": run.right / run.cases, "lo": lo, "hi": hi, "fits": run.fits}


def _pair(a: Run, b: Run) -> dict[str, Any]:
    difference = a.right / a.cases - b.right / b.cases
    p = unpaired_p(a.right, a.cases, b.right, b.cases)
    known = None if math.isnan(p) else p
    pair: dict[str, Any] = {"first": a.text, "second": b.text, "difference": difference, "p_unpaired": known}
    said = [f"difference {100 * difference:+.2f} points"]
    if known is not None:
        said[0] += f"; as if on different images p = {known:.2g} (two proportions)"
    if a.cases != b.cases:
        said.append(f"{a.cases} and {b.cases} images are not one test set, so that no paired test applies")
        return {**pair, "largest_discordant": None, "expected_discordant": None, "most_discordant": None, "words": said}
    gap, limit = abs(a.right - b.right), largest_discordant(a.right - b.right)
    expected, most = expected_discordant(a.right, b.right, a.cases), most_discordant(a.right, b.right, a.cases)
    pair |= {"largest_discordant": limit, "expected_discordant": expected, "most_discordant": most}
    said.append(
        f"on the same {a.cases} images the paired test needs the discordant ones, those that exactly one run gets"
        f" right: at least {gap}, about {expected:.0f} if the errors are independent, at most {most}"
    )
    said.append(_mcnemar(gap, limit, expected, most))
    return {**pair, "words": said}


def _mcnemar(gap: int, limit: int | None, expected: float, most: int) -> str:
    if gap == 0:
        return "no difference: McNemar's exact test gives p = 1 whichever images are discordant"
    if limit is None:
        return f"a difference of {gap} is too small: McNemar's exact test never reaches .05, whichever images differ"
    if most <= limit:
        return f"McNemar's exact test stays below .05 up to {limit} discordant images: always here"
    odds = "which is unlikely" if expected > limit else "which is likely"
    return (
        f"McNemar's exact test stays below .05 only if {limit} of them or fewer are discordant, {odds} unless the two"
        " runs make much the same errors"
        if expected > limit
        else f"McNemar's exact test stays below .05 if {limit} of them or fewer are discordant, {odds}"
    )
