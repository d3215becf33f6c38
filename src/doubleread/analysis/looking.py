"""A study that grows until its claims are decided: verdicts look by look, and which arms go on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from doubleread.analysis.claims import ClaimResult, Look, judge_claims
from doubleread.analysis.evidence import Evidence
from doubleread.nouns import State
from doubleread.stats import Looks, Verdict, seeds_could_decide
from doubleread.study import Claim

ENDED = frozenset({State.DONE, State.DIVERGED, State.FAILED})


def judge_at_looks(claims: Sequence[Claim], evidence: Evidence, looks: Looks, taken: int) -> list[ClaimResult]:
    """Return every claim as it was at the first look that decided it, else as it stands after the looks `taken`.

    A verdict stays: what comes after the look that gave it may have grown for the sake of other claims.
    """
    found: dict[str, ClaimResult] = {}
    for number, seeds in enumerate(looks.seeds[:taken], start=1):
        for result in judge_claims(claims, evidence.up_to(seeds), looks):
            before, at = found.get(result.claim.id), _look(result, looks, number)
            if before is not None and before.seeds == result.seeds and result.verdict is Verdict.UNDECIDED:
                # its arms have not grown: it stands as it did when they stopped
                at = before.look
            if before is None or before.verdict is Verdict.UNDECIDED:
                found[result.claim.id] = replace(result, look=at)
    return [found[claim.id] for claim in claims]


def _look(result: ClaimResult, looks: Looks, number: int) -> Look:
    helps = result.verdict is Verdict.UNDECIDED and _helps(result, looks)
    return Look(number=number, of=len(looks.seeds), seeds=looks.seeds[number - 1], helps=helps)


def _helps(result: ClaimResult, looks: Looks) -> bool:
    """Tell whether more seeds could decide an open claim; where they cannot, only more test images would.

    They could where they detect the margin, where the gain that is there would be decided by ever more of them, or
    where the claim hangs on runs that collapsed.
    """
    if result.decision.qualifier == "collapse" or result.seeds_needed is not None:
        return True
    gain, margin = result.gain, result.claim.margin
    if result.claim.kind == "equal":
        # decided on either side of the margin
        gain, margin = abs(gain) - margin, -math.inf
    return seeds_could_decide(gain, result.estimate.case_var, margin, looks.level, result.family)


def looks_taken(looks: Looks, states: Mapping[tuple[str, int], State]) -> int:
    """Return how many looks have been taken, at least 1: every run that they had asked for has an end.

    `states` are those of all runs that the study has asked for so far, by arm and seed.
    """
    most = 1 + max(seed for _, seed in states)
    taken = 1
    for number, seeds in enumerate(looks.seeds, start=1):
        ended = all(state in ENDED for (_, seed), state in states.items() if seed < seeds)
        if seeds <= most and ended:
            taken = number
    return taken


def arms_that_go_on(results: Sequence[ClaimResult]) -> set[str]:
    """Return every arm of a claim that is open and that more seeds can help: they grow together, and stay paired."""
    return {arm for result in results if result.look is not None and result.look.helps for arm in result.claim.arms}
