"""From estimates to verdicts: difference, gain below the margin, equivalence, each corrected by Holm's method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from doubleread.stats.contrast import Estimate, t_above
from doubleread.stats.looks import Looks

ALPHA = 0.05
FEWEST_SEEDS = 6
"""Fewer give no verdict: a sign test over five seeds can never reach .05."""


class Verdict(StrEnum):
    """What a claim comes to."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_SUPPORTED = "not supported"
    UNDECIDED = "undecided"


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What one claim asks.

    `gains` are estimates in the claimed direction: one, or, for “best of all”, one for each rival; NaN where nothing is
    known. `margin` is the smallest gain that matters. With `equal`, the claim is that the difference is within
    ± margin. `seeds` is how many there are. `agreed` has for each gain that is 0 without variance on how many test
    cases its sides agree, if they do on all of them: 0 for a metric without cases, None where they differ on some.
    """

    gains: tuple[Estimate, ...]
    margin: float
    seeds: int
    equal: bool = False
    agreed: tuple[int | None, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The verdict on a claim with its qualifier, and the p it rests on, alone and after Holm's correction.

    `p` tests the difference, for a claim of equality the equivalence (TOST); NaN where there is none. After the
    correction too (and that for looking, which `p` is without), `below_margin` tests that the gain is below the margin,
    `equivalent` that it is within ± margin.
    """

    verdict: Verdict
    qualifier: str | None
    p: float
    p_holm: float
    below_margin: float
    equivalent: float


@dataclass(frozen=True, slots=True)
class _Tests:
    difference: float
    below_margin: float
    equivalent: float
    sign: int


def decide(questions: Sequence[Question], looks: Looks | None = None) -> list[Decision]:
    """Return the verdict of every claim of one family (the primary claims of a study, or the secondary ones).

    Three separate Holm corrections over the family: of the difference (of "beyond the margin" for a claim of equality),
    of "the gain is below the margin", and of equivalence by two one-sided tests (Schuirmann 1987). A claim without a p
    stays in the family as p = 1. Where a study is looked at as it grows, each p is first corrected for that.
    """
    tests = [_tests(question, looks) for question in questions]
    difference = holm([test.difference for test in tests])
    below = holm([test.below_margin for test in tests])
    equivalent = holm([test.equivalent for test in tests])
    return [
        _decision(question, _tests(question, None), _Tests(d, b, e, test.sign))
        for question, test, d, b, e in zip(questions, tests, difference, below, equivalent, strict=True)
    ]


def deciding(question: Question, verdict: Verdict) -> int:
    """Return which of a question's gains its verdict rests on; for one gain, that one.

    Of “best of all”: supported, the comparison with the largest p; contradicted, the loss with the smallest;
    not supported, the rival over which a gain of the margin is ruled out most clearly; undecided, the rival that it
    is least ahead of, or, where it is ahead of all others, one that nothing can be said of.
    """
    tests = _each(question)
    if verdict is Verdict.SUPPORTED:
        ranks = [-test.difference for test in tests]
    elif verdict is Verdict.CONTRADICTED:
        ranks = [test.difference if test.sign < 0 else math.inf for test in tests]
    elif verdict is Verdict.NOT_SUPPORTED:
        ranks = [test.below_margin for test in tests]
    else:
        ranks = [_ahead(gain) for gain in question.gains]
    return int(np.argmin([math.inf if math.isnan(rank) else rank for rank in ranks]))


def _ahead(gain: Estimate) -> float:
    """Return how far ahead a gain is, in standard errors; 0 where nothing is known: neither ahead nor behind."""
    return gain.value / gain.se if gain.se > 0 else 0.0


def holm(p_M: Sequence[float]) -> list[float]:
    """Return p-values after Holm's correction (Holm 1979); NaN stays NaN and counts as 1 for the others.

    statsmodels' `multipletests` gives the same numbers, and collects garbage at every call: 50 ms for a study.
    """
    values = np.array(p_M, dtype=np.float64)
    missing = np.isnan(values)
    order = np.argsort(np.where(missing, 1.0, values), kind="stable")
    steps = np.where(missing, 1.0, values)[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return np.where(missing, math.nan, corrected).tolist()


def _tests(question: Question, looks: Looks | None) -> _Tests:
    alone = [_corrected(test, looks) for test in _each(question)]
    if len(alone) == 1:
        return alone[0]
    # best of all: it must win every comparison; it has lost when it loses one, the comparisons being corrected for
    k = len(alone)
    known = [test for test in alone if not math.isnan(test.difference)]
    losses = [test.difference for test in known if test.sign <= 0]
    if losses:
        difference = min(1.0, k * min(losses))
    else:
        difference = max(test.difference for test in known) if len(known) == k else math.nan
    return _Tests(
        difference,
        min((min(1.0, k * test.below_margin) for test in known), default=math.nan),
        max(test.equivalent for test in known) if len(known) == k else math.nan,
        -1 if losses else 1,
    )


def _corrected(test: _Tests, looks: Looks | None) -> _Tests:
    """Return the tests of one comparison corrected for looking, before several are put together."""
    if looks is None:
        return test
    below, equivalent = looks.one_side(test.below_margin), looks.one_side(test.equivalent)
    return _Tests(looks.both_sides(test.difference), below, equivalent, test.sign)


def _each(question: Question) -> list[_Tests]:
    agreed = question.agreed or (0,) * len(question.gains)
    return [_one(gain, question, cases) for gain, cases in zip(question.gains, agreed, strict=True)]


def _one(gain: Estimate, question: Question, agreed: int | None) -> _Tests:
    d, se, df, margin = gain.value, gain.se, gain.df, question.margin
    sign = int(np.sign(d)) if not math.isnan(d) else 0
    # sides that differ on cases and are equal all the same, as constants may be, have no variance either
    if math.isnan(se) or (se == 0 and (d != 0 or agreed is None)):
        return _Tests(math.nan, math.nan, math.nan, sign)
    if se == 0:
        unseen = _unseen(margin, agreed or 0)
        return _Tests(1.0, unseen, unseen, 0)
    below = t_above((margin - d) / se, df)
    equivalent = max(below, t_above((margin + d) / se, df))
    # both tails: near a margin of 0 it is the usual two-sided p
    beyond = t_above((abs(d) - margin) / se, df) + t_above((abs(d) + margin) / se, df)
    return _Tests(beyond if question.equal else gain.p, below, equivalent, sign)


def _unseen(margin: float, cases: int) -> float:
    """Return the probability that no test case differs although a margin's share of all cases does: of few test cases
    none may differ by chance, and their variance, which is 0, does not say so."""
    return max(0.0, 1 - margin) ** cases if cases else 0.0


def _decision(question: Question, raw: _Tests, corrected: _Tests) -> Decision:
    p, p_holm = (raw.equivalent, corrected.equivalent) if question.equal else (raw.difference, corrected.difference)
    verdict, qualifier = Verdict.UNDECIDED, None
    if question.seeds == 0:
        qualifier = "not measured"
    elif question.seeds < FEWEST_SEEDS:
        qualifier = "one run each" if question.seeds == 1 else "too few seeds"
    elif math.isnan(raw.difference):
        constant = any(
            g.se == 0 and math.isnan(t.difference) for g, t in zip(question.gains, _each(question), strict=True)
        )
        qualifier = "no variation" if constant else "not measured"
    elif question.equal:
        verdict = _equal(corrected)
    else:
        verdict, qualifier = _ordered(question, corrected)
    if verdict is Verdict.UNDECIDED and qualifier is None and all(gain.se == 0 for gain in question.gains):
        qualifier = "too few test images"
    return Decision(
        verdict=verdict,
        qualifier=qualifier,
        p=p,
        p_holm=p_holm,
        below_margin=corrected.below_margin,
        equivalent=corrected.equivalent,
    )


def _equal(corrected: _Tests) -> Verdict:
    if corrected.equivalent < ALPHA:
        return Verdict.SUPPORTED
    return Verdict.CONTRADICTED if corrected.difference < ALPHA else Verdict.UNDECIDED


def _ordered(question: Question, corrected: _Tests) -> tuple[Verdict, str | None]:
    if corrected.difference < ALPHA and corrected.sign != 0:
        small = all(-question.margin < gain.lo and gain.hi < question.margin for gain in question.gains)
        verdict = Verdict.SUPPORTED if corrected.sign > 0 else Verdict.CONTRADICTED
        return verdict, "too small to matter" if small else None
    if corrected.below_margin < ALPHA:
        return Verdict.NOT_SUPPORTED, "no practical difference" if corrected.equivalent < ALPHA else None
    return Verdict.UNDECIDED, None
