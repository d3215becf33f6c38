"""Claims with their verdicts as JSON, as a table, and as what a card shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from doubleread.analysis import ClaimResult, Registration, Setting, settings_of
from doubleread.late import late
from doubleread.report import words
from doubleread.report.sentences import amount, notes, sentence, signed, span, what
from doubleread.stats import Verdict

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = late("pandas")

COLUMNS = (
    "id",
    "role",
    "experiment",
    "kind",
    "metric",
    "better_arm",
    "than_arm",
    "estimate",
    "gain",
    "lo",
    "hi",
    "p",
    "p_holm",
    "df",
    "seed_var",
    "case_var",
    "mdd",
    "seeds_needed",
    "verdict",
    "qualifier",
    "sentence",
    "says",
    "margin",
    "p_below_margin",
    "p_equivalent",
    "seeds",
    "cases",
    "cases_needed",
    "order_shown",
    "monotone_p",
    "without_collapsed",
    "carried_by",
    "bootstrap_lo",
    "bootstrap_hi",
    "gain_lo",
    "gain_hi",
    "notes",
    "settings",
    "look",
)
PLANNING = ("mdd", "seeds_needed", "cases_needed")
WHOLE = ("seeds_needed", "cases_needed")
NUMBERS = (
    *("estimate", "gain", "lo", "hi", "p", "p_holm", "df", "seed_var", "case_var", "mdd", "margin", "p_below_margin"),
    *("p_equivalent", "order_shown", "monotone_p", "bootstrap_lo", "bootstrap_hi", "gain_lo", "gain_hi"),
)
"""The columns that hold numbers, where there are none too."""


def claim_json(result: ClaimResult, settings: Sequence[Setting] = ()) -> dict[str, Any]:
    """Return a claim for `--json`: numbers are fractions, None what was not measured or is infinite."""
    claim, e = result.claim, result.estimate
    values = {
        "id": claim.id,
        "role": claim.role,
        "experiment": claim.experiment,
        "kind": claim.kind,
        "metric": claim.metric,
        "better_arm": claim.better_arm,
        "than_arm": result.rival_arm or claim.than_arm,
        "estimate": _number(e.value),
        "gain": _number(result.gain),
        "lo": _number(e.lo),
        "hi": _number(e.hi),
        "p": _number(result.decision.p),
        "p_holm": _number(result.decision.p_holm),
        "df": _number(e.df),
        "seed_var": _number(e.seed_var),
        "case_var": _number(e.case_var),
        "mdd": _number(result.mdd),
        "seeds_needed": result.seeds_needed,
        "verdict": result.verdict.value,
        "qualifier": result.decision.qualifier,
        "sentence": sentence(result),
        "says": claim.says,
        "margin": claim.margin,
        "p_below_margin": _number(result.decision.below_margin),
        "p_equivalent": _number(result.decision.equivalent),
        "seeds": list(result.seeds),
        "cases": result.cases,
        "cases_needed": result.cases_needed,
        "order_shown": _number(result.order_shown),
        "monotone_p": _number(result.monotone),
        "without_collapsed": _estimate(result),
        "carried_by": result.carried_by,
        **_further_intervals(result),
        "notes": notes(result),
        "settings": _settings(result, settings),
        "look": None if result.look is None else asdict(result.look),
    }
    assert tuple(values) == COLUMNS, "the columns are those of the table"
    # where a claim hangs on runs that collapsed, no number of seeds or images decides it
    return values | (dict.fromkeys(PLANNING) if result.decision.qualifier == "collapse" else {})


def claims_json(results: Sequence[ClaimResult], settings: Sequence[Setting] = ()) -> list[dict[str, Any]]:
    """Return every claim for `--json`, in the order of the study file."""
    return [claim_json(result, settings) for result in results]


def claims_frame(results: Sequence[ClaimResult], settings: Sequence[Setting] = ()) -> pd.DataFrame:
    """Return a row for each claim, with the columns of the JSON; lists become texts."""
    rows = [
        {key: _text(value) if isinstance(value, list | dict) else value for key, value in row.items()}
        for row in claims_json(results, settings)
    ]
    kinds = {**dict.fromkeys(NUMBERS, "float64"), **dict.fromkeys(WHOLE, "Int64")}
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(kinds)


def claim_title(result: ClaimResult) -> str:
    """Return what is claimed in a line: the report's own words where the study has them."""
    claim = result.claim
    return claim.says[:1].upper() + claim.says[1:] if claim.says else claim_statement(result)


def claim_statement(result: ClaimResult) -> str:
    """Return what is claimed, in the study's terms."""
    claim = result.claim
    metric = what(claim.metric)
    more = "higher" if claim.sign > 0 else "lower"
    if claim.kind == "equal":
        return f"{claim.first} and {claim.second} differ by less than {amount(claim.metric, claim.margin)} in {metric}"
    if claim.kind == "trend":
        return f"{metric} {'rises' if claim.sign > 0 else 'falls'} from {claim.second} to {claim.first}"
    if claim.kind == "best":
        return f"{claim.first} has the {'highest' if claim.sign > 0 else 'lowest'} {metric} of all"
    if claim.kind == "one arm":
        where = "above" if claim.sign > 0 else "below"
        return f"{metric} with {claim.first} is {where} {words.value_text(claim.metric, claim.offset)}"
    if claim.kind == "interaction":
        return f"in {metric} the difference {claim.first} is {more} than {claim.second}"
    return f"{metric} is {more} with {claim.first} than with {claim.second}"


def estimate_text(result: ClaimResult) -> str:
    """Return the estimate with its 95 % interval."""
    metric, e = result.claim.metric, result.estimate
    if math.isnan(e.value):
        return "–"
    value = signed(metric, e.value)
    return value if math.isnan(e.lo) else f"{value} ({span(metric, e.lo, e.hi)})"


def registration_lines(kept: Registration) -> list[str]:
    """Return in what the claims are not those that were made before the runs; nothing where they are."""
    lines = []
    if kept.done_before:
        lines.append(
            f"runs that had finished when the claims were written down ({kept.registered}): {kept.done_before}"
        )
    parts = [f"{name} added" for name in kept.added] + [f"{name} removed" for name in kept.removed]
    parts += [f"{name} changed ({', '.join(what)})" for name, what in kept.changed.items()]
    if parts:
        lines.append(f"claims edited since the first run ({kept.registered}): {'; '.join(parts)}")
    return lines


def bootstrap_text(result: ClaimResult) -> str | None:
    """Return the interval of the two-way bootstrap, None where there is none."""
    lo, hi = result.bootstrap
    metric = result.claim.metric
    return None if math.isnan(lo) else span(metric, lo, hi)


def settings_text(result: ClaimResult, settings: Sequence[Setting]) -> str | None:
    """Return in how many of the settings tried a verdict holds, and where it flips; None where none was tried."""
    open_yet = ("too few seeds", "one run each", "not measured")
    tried = [(v, r) for v, r in settings_of(result.claim.id, settings) if r.decision.qualifier not in open_yet]
    if not tried:
        return None
    flips = [f"{v.label}: {other.verdict.value}" for v, other in tried if other.verdict is not result.verdict]
    holds = len(tried) + 1 - len(flips)
    text = f"The verdict is the same in {holds} of {len(tried) + 1} settings, the assumed one among them"
    return f"{text}; not with {'; '.join(flips)}." if flips else f"{text}."


def verdict_counts(results: Sequence[ClaimResult]) -> dict[str, int]:
    """Return how many claims have each verdict."""
    return {verdict.value: sum(result.verdict is verdict for result in results) for verdict in Verdict}


def _settings(result: ClaimResult, settings: Sequence[Setting]) -> list[dict[str, Any]]:
    return [
        {
            "assumption": variant.assumption,
            "path": variant.path,
            "alternative": variant.alternative,
            "verdict": other.verdict.value,
            "qualifier": other.decision.qualifier,
            "estimate": _number(other.estimate.value),
            "lo": _number(other.estimate.lo),
            "hi": _number(other.estimate.hi),
        }
        for variant, other in settings_of(result.claim.id, settings)
    ]


def _further_intervals(result: ClaimResult) -> dict[str, float | None]:
    lo, hi = result.estimate.lo, result.estimate.hi
    gain = (lo, hi) if result.claim.sign > 0 else (-hi, -lo)
    names = ("bootstrap_lo", "bootstrap_hi", "gain_lo", "gain_hi")
    return {name: _number(value) for name, value in zip(names, (*result.bootstrap, *gain), strict=True)}


def _estimate(result: ClaimResult) -> dict[str, float | None] | None:
    if result.without is None:
        return None
    return {key: _number(getattr(result.without, key)) for key in ("value", "lo", "hi", "p")}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {inner}" for key, inner in value.items() if inner is not None)
    parts = [_text(item) if isinstance(item, dict) else str(item) for item in value]
    # sentences follow one another
    return (" " if all(part.endswith(".") for part in parts) else "; ").join(parts)


def _number(value: float) -> float | None:
    return None if math.isnan(value) or math.isinf(value) else value
