"""`single`: what one run each can show. No training, no torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, product
from typing import Any

from doubleread.cli.show import out, print_json
from doubleread.errors import UserError
from doubleread.stats import (
    counts_printed_as,
    expected_discordant,
    largest_discordant,
    most_discordant,
    newcombe,
    pooled_p,
    unpaired_p,
    wilson,
)

MOST_CASES = 100_000
_COUNTS = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9})", re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%\s*/\s*(\d{1,9})", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+", re.ASCII)
EXPECTED = "expected RIGHT/IMAGES, such as 291/400, or PERCENT%/IMAGES, such as 72.75%/400"
MCNEMAR = "McNemar's exact test"


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

    @property
    def span(self) -> tuple[int, int]:
        """The fewest and the most right answers that it may have."""
        return self.fits or (self.right, self.right)


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
    place = f"single {text}"
    match = _COUNTS.fullmatch(text.strip()) or _PERCENT.fullmatch(text.strip())
    if match is None:
        raise _unread(text)
    cases = int(match[2])
    if not 0 < cases <= MOST_CASES:
        raise UserError(place, f"{cases:,} images", f"expected 1 to {MOST_CASES:,}", "check the second number")
    if match.re is _COUNTS:
        if (right := int(match[1])) > cases:
            raise UserError(place, "more right than images", f"{EXPECTED}; did you mean {cases}/{right}?")
        return Run(right=right, cases=cases)
    exact = Fraction(match[1]) / 100 * cases
    if exact > cases:
        raise UserError(place, "more right than images", EXPECTED, "check both numbers")
    fits = counts_printed_as(match[1], cases)
    if not fits:
        raise UserError(place, f"{match[1]} % of {cases} is {float(exact):g} images", EXPECTED, "check both")
    right = min(max(round(exact), fits[0]), fits[-1])
    return Run(right=right, cases=cases, fits=(fits[0], fits[-1]) if len(fits) > 1 else None)


def _unread(text: str) -> UserError:
    """Return what is wrong with a text that is neither form, and what was meant where that can be told."""
    place = f"single {text}"
    first, slash, images = (part.strip() for part in text.partition("/"))
    number, images = _plain(first.removesuffix("%").strip()), _plain(images)
    if not _NUMBER.fullmatch(number) or (slash and not re.fullmatch(r"\d{1,9}", images, re.ASCII)):
        return UserError(place, "no count of images", EXPECTED)
    share = "." in number and "%" not in first and Decimal(number) <= 1
    percent = format(Decimal(number).scaleb(2), "f") if share else number
    meant = f"{percent}%" if "%" in first or "." in number else number
    if not slash:
        return UserError(place, "the number of test images is missing", EXPECTED, f"write {meant}/IMAGES")
    meant = f"{meant}/{images}"
    if "," in text:
        point = ", with a point" if "." in meant else ""
        return UserError(place, "a comma in a number", next_step=f"write {meant}{point}")
    if share:
        return UserError(place, f"{number} is a share", next_step=f"write {meant}")
    return UserError(place, f"{number} is no count of images", next_step=f"write {meant} if it is a percentage")


def _plain(number: str) -> str:
    """Return a number without commas between thousands, and with a point for a decimal comma."""
    return number.replace(",", "") if _THOUSANDS.fullmatch(number) else number.replace(",", ".")


def _run(run: Run) -> dict[str, Any]:
    lo, hi = wilson(run.right, run.cases)
    return {"run": run.text, "accuracy": run.right / run.cases, "lo": lo, "hi": hi, "fits": run.fits}


def _pair(a: Run, b: Run) -> dict[str, Any]:
    """Return what two runs show, taken as they are, and under `fits` over all counts that print their percentages."""
    counts = (a.right, a.cases, b.right, b.cases)
    unpooled = unpaired_p(*counts)
    lo, hi = newcombe(*counts)
    pair: dict[str, Any] = {
        "first": a.text,
        "second": b.text,
        "difference": a.right / a.cases - b.right / b.cases,
        "lo": lo,
        "hi": hi,
        "p_pooled": pooled_p(*counts),
        "p_unpaired": None if math.isnan(unpooled) else unpooled,
        "largest_discordant": None,
        "expected_discordant": None,
        "most_discordant": None,
    }
    if a.cases == b.cases:
        pair["largest_discordant"] = largest_discordant(a.right - b.right)
        pair["expected_discordant"] = expected_discordant(a.right, b.right, a.cases)
        pair["most_discordant"] = most_discordant(a.right, b.right, a.cases)
    fits = _fits(a, b)
    rounded = a.fits is not None or b.fits is not None
    return {**pair, "fits": fits if rounded else None, "words": _words(a, b, pair["difference"], fits)}


def _fits(a: Run, b: Run) -> dict[str, list[Any]]:
    """Return the lowest and the highest of each number of a pair, over all counts that print their percentages.

    The interval's ends, and p on either side of 0, rise or fall with each of the two counts, so that the first and
    last counts have the extremes; p is highest next to equality.
    """
    (a_low, a_high), (b_low, b_high) = a.span, b.span
    lowest, highest = (a_low, a.cases, b_high, b.cases), (a_high, a.cases, b_low, b.cases)
    near = ((right, min(max(right * b.cases // a.cases + more, b_low), b_high))
            for right in range(a_low, a_high + 1) for more in (0, 1))  # fmt: skip
    least, most = _gaps(a, b)
    same = a.cases == b.cases
    return {
        "difference": [count / a.cases - other / b.cases for count, other in ((a_low, b_high), (a_high, b_low))],
        "interval": [newcombe(*lowest)[0], newcombe(*highest)[1]],
        "p_pooled": [
            min(pooled_p(*lowest), pooled_p(*highest)),
            max(pooled_p(right, a.cases, other, b.cases) for right, other in near),
        ],
        "largest_discordant": [largest_discordant(gap) if same else None for gap in (least, most)],
    }


def _gaps(a: Run, b: Run) -> tuple[int, int]:
    """Return by how many images the two runs may differ, at least and at most."""
    span = _differences(a, b)
    ends = abs(span[0]), abs(span[-1])
    return 0 if 0 in span else min(ends), max(ends)


def _differences(a: Run, b: Run) -> range:
    """Return every difference in images that the counts allow."""
    return range(a.span[0] - b.span[1], a.span[1] - b.span[0] + 1)


def _most_at(a: Run, b: Run, difference: int) -> int:
    """Return the most discordant images that counts with one difference allow: those nearest to half right."""
    low, high = max(a.span[0], b.span[0] + difference), min(a.span[1], b.span[1] + difference)
    nearest = {min(max((a.cases + difference + odd) // 2, low), high) for odd in (0, 1)}
    return max(most_discordant(right, right - difference, a.cases) for right in nearest)


def _words(a: Run, b: Run, difference: float, fits: dict[str, list[Any]]) -> list[str]:
    low, high = fits["difference"]
    said = f"difference {_signed(difference)} points"
    if low != high:
        said += f"; the rounded percentages allow {_signed(low)} to {_signed(high)}"
        said += f", {_images(a, b)}" if a.cases == b.cases else ""
    lo, hi = fits["interval"]
    widest = "; the widest that the rounding allows" if low != high else ""
    lines = [
        said,
        f"as if on different images: 95 % interval {_signed(lo)} to {_signed(hi)} points (Newcombe{widest}),"
        f" {_p_text(*fits['p_pooled'])} (pooled two-proportion z test)",
    ]
    if a.cases != b.cases:
        return [*lines, f"{a.cases} and {b.cases} images are not one test set, so that no paired test applies"]
    expected = _expected(a, b)
    about = " to ".join(dict.fromkeys(f"{number:.0f}" for number in expected))
    return [
        *lines,
        f"on the same {a.cases} images the paired test needs the discordant ones, those that exactly one run gets"
        f" right: at least {_gaps(a, b)[0]}, about {about} if the errors are independent, at most"
        f" {max(_most_at(a, b, one) for one in _differences(a, b))}",
        _mcnemar(a, b, fits["largest_discordant"], expected),
    ]


def _expected(a: Run, b: Run) -> tuple[float, float]:
    """Return the fewest and the most discordant images to expect; they are linear in each of the counts."""
    found = [expected_discordant(right, other, a.cases) for right, other in product(a.span, b.span)]
    return min(found), max(found)


def _mcnemar(a: Run, b: Run, limits: list[int | None], expected: tuple[float, float]) -> str:
    """Return what McNemar's test would say; it holds for every pair of counts that fits."""
    (least, most), (tight, loose) = _gaps(a, b), limits
    if most == 0:
        return f"no difference: {MCNEMAR} gives p = 1 whichever images are discordant"
    if loose is None:
        called = f"{most} images at most" if least < most else f"{most}"
        return f"a difference of {called} is too small: {MCNEMAR} never reaches .05, whichever images differ"
    if tight is None:
        always = all(_most_at(a, b, one) <= loose for one in _differences(a, b) if abs(one) == most)
        when = "whichever images are discordant" if always else f"if {loose} or fewer are discordant"
        nothing = f"a difference of {least}" if least else "no difference"
        return f"the rounding decides: with {nothing} {MCNEMAR} never reaches .05, with {most} it is below .05 {when}"
    # the smallest difference has the lowest limit: one that is within it need not be looked at alone
    most_each = ((_most_at(a, b, one), one) for one in _differences(a, b))
    if all(number <= tight or number <= (largest_discordant(one) or 0) for number, one in most_each):
        return f"{MCNEMAR} is below .05 whichever images are discordant"
    if tight < loose:
        possible = max(_most_at(a, b, one) for one in _differences(a, b))
        which = f"{tight} to {min(loose, possible)} of them or fewer, as the rounding fell, are discordant"
    else:
        which = f"{tight} of them or fewer are discordant"
    odds = ", which is likely" if expected[1] <= tight else ""
    if expected[0] > loose:
        odds = ", which is unlikely unless the two runs make much the same errors"
    return f"{MCNEMAR} stays below .05 only if {which}{odds}"


def _signed(fraction: float) -> str:
    """Return a difference of shares in points, with its sign; what rounds to 0 has none."""
    text = f"{100 * fraction:+.2f}".replace("-", "−")
    return text if text.strip("+−0.") else "0.00"


def _images(a: Run, b: Run) -> str:
    span = _differences(a, b)
    if span[0] < 0 < span[-1]:
        return f"−{-span[0]} to +{span[-1]} images"
    least, most = _gaps(a, b)
    return f"{least} to {most} images"


def _p_text(low: float, high: float) -> str:
    """Return a p, or two between which it is."""
    if high < 1e-4:
        return "p < 0.0001"
    texts = dict.fromkeys("< 0.0001" if p < 1e-4 else f"{p:.2g}" for p in (low, high))
    return ("p " if low < 1e-4 else "p = ") + " to ".join(texts)
