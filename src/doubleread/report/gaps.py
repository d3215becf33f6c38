"""The gap in words, in tables and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from doubleread.analysis import ArmGap, Audited, Gaps, Rescaled, SplitFigures, StudyResult
from doubleread.late import late
from doubleread.report.words import p_text
from doubleread.stats import FEWEST_SEEDS, PARTS, RATES, Domain, Estimate, Gap, OperatingPoint

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = late("pandas")

WHY = {
    "leakage": "subjects or copies on both sides of the split make validation look better than it is",
    "prevalence": "the test set has another share of positive cases",
    "threshold": "the test cases would need another operating point than 0.5",
    "ranking": "the test cases are ranked worse: harder, different, or wrongly labelled",
}
MEANING = {
    "leakage": "validation accuracy on the study's own split, less that on a split that keeps subjects and copies"
    " together",
    "prevalence": "validation accuracy at 0.5, less what it would be with the test set's share of positive cases",
    "threshold": "what the best threshold would add on test, less what it would add on validation (both at the test"
    " set's share of positive cases, cross-fitted over subjects)",
    "ranking": "accuracy at its best threshold on validation, less that on test",
}
SUSPECTED = {
    "duplicates": "byte-identical images stand in two splits",
    "near-duplicates": "almost equal images stand in two splits",
    "shared subjects": "subjects have images in two splits",
    "wrong labels": "the labels of both classes are disputed more often in test than in training: some may be wrong",
    "disputed labels": "the labels of one class are disputed more often in test than in training: wrong, or harder",
}
ORDER = (
    "The parts are taken in this order, and the order matters: what another share of positive cases does to the best"
    " threshold counts as threshold. All of it is given the one training sample of the study."
)


def points(estimate: Estimate) -> str:
    """Return `10.1 points (5.8 to 14.3)`, or without an interval where there is none."""
    value, interval = tenths(estimate)
    return f"{value} points ({interval})" if interval else f"{value} points"


def tenths(estimate: Estimate) -> tuple[str, str]:
    """Return points of accuracy as `10.1` and their interval as `5.8 to 14.3`, empty where there is none to tell."""
    known = not math.isnan(estimate.lo) and estimate.lo != estimate.hi
    return _tenth(estimate.value), f"{_tenth(estimate.lo)} to {_tenth(estimate.hi)}" if known else ""


def verdict_text(gap: Gap) -> str:
    """Return `mostly threshold`, or the kind of a verdict that names no part."""
    return f"mostly {gap.verdict.parts[0]}" if gap.verdict.kind == "mostly" else gap.verdict.kind


def _tenth(share: float) -> str:
    text = f"{100 * share:.1f}"
    return ("0.0" if text == "-0.0" else text).replace("-", "−")


def gap_sentence(gap: Gap) -> str:
    """Return what the gap is made of, in words."""
    verdict, size = gap.verdict, points(gap.gap)
    if verdict.kind == "undecided":
        return (
            f"Validation minus test is {size}; fewer than {FEWEST_SEEDS} seeds give no verdict on what it is made of."
        )
    if verdict.kind == "none":
        return f"No gap is shown: validation minus test is {size}."
    named = [f"{name} {points(getattr(gap, name))}" for name in verdict.parts]
    if verdict.kind == "reverse":
        rest = f" Below 0: {_and(named)}." if named else ""
        return f"Test is above validation: validation minus test is {size}.{rest}"
    if verdict.kind == "mostly":
        main, *others = verdict.parts
        rest = f" Beside it: {_and(named[1:])}." if others else ""
        return f"Validation is {size} above test. Mostly {main}, {points(getattr(gap, main))}: {WHY[main]}.{rest}"
    if not named:
        return f"Validation is {size} above test. Mixed: no part alone is shown to be above 0."
    if len(named) == 1:
        why = WHY[verdict.parts[0]]
        return f"Validation is {size} above test. Mixed: {named[0]} is shown, but not that it is more than half; {why}."
    return f"Validation is {size} above test. Mixed: {_and(named)}; none is shown to be more than half."


def beside_sentences(gap: ArmGap) -> list[str]:
    """Return what stands beside an arm's gap and matters: calibration, label shift, prevalence."""
    found = []
    shift = gap.label_shift
    if shift.applies is False:
        found.append(
            f"The calls on test point to {_percent(shift.estimated)} positive cases ({_percent(shift.lo)} to"
            f" {_percent(shift.hi)}), it has {_percent(shift.prevalence)}: more than the prevalence has changed, and a"
            " label-shift correction does not apply."
        )
    if gap.test.intercept.hi < 0 or gap.test.intercept.lo > 0:
        side = "too high" if gap.test.intercept.value < 0 else "too low"
        found.append(f"On test its probabilities are {side}: calibration intercept {_number_text(gap.test.intercept)}.")
    if gap.collapsed:
        found.append(f"{gap.collapsed} of {len(gap.seeds)} seeds collapsed, and are counted.")
    return found


def leakage_note(result: StudyResult) -> str | None:
    """Return that what leaks was not measured, where something does."""
    suspects = {suspect for audit in result.audits for suspect in audit.suspects}
    leaks = suspects & {"duplicates", "shared subjects"}
    if not leaks or any(gap.gap.leakage is not None for gap in result.gaps.arms):
        return None
    return (
        f"Leakage was not measured, though {_and([SUSPECTED[name] for name in sorted(leaks)])}: what it is worth is"
        " counted under ranking. gap: {leakage: true} in the study measures it."
    )


def suspects_text(audit: Audited) -> list[str]:
    """Return what in the data could make validation and test differ, a sentence each."""
    found = [f"{SUSPECTED[name]}." for name in audit.suspects]
    found += [
        f"{name}: test images can be told from validation images by measured features alone, AUROC {domain.auroc:.2f}"
        f" (p {p_text(domain.p)}); most by {domain.feature}."
        for name, domain in audit.domains.items()
        if domain.p < 0.05
    ]
    return [sentence[0].upper() + sentence[1:] for sentence in found]


def _and(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _number_text(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.lo:.2f} to {estimate.hi:.2f})".replace("-", "−")


def gap_json(gaps: Gaps) -> list[dict[str, Any]]:
    """Return every arm's gap for JSON, and that of their mean, whose `arm` is None; fractions, None where unknown."""
    found = [
        {
            "arm": gap.arm,
            "seeds": list(gap.seeds),
            "gap_seeds": list(gap.gap_seeds),
            "collapsed": gap.collapsed,
            **_parts_json(gap.gap),
            "splits": {"val": _split_json(gap.val), "test": _split_json(gap.test)},
            "label_shift": {
                "prevalence": gap.label_shift.prevalence,
                "estimated": _number(gap.label_shift.estimated),
                "lo": _number(gap.label_shift.lo),
                "hi": _number(gap.label_shift.hi),
                "applies": gap.label_shift.applies,
            },
            "outputs_p": {str(label): _number(p) for label, p in gap.outputs.items()},
            "thresholds": [_point_json(name, point) for name, point in gap.points.items()],
            "rescaled": {name: _rescaled_json(rescaled) for name, rescaled in gap.rescaled.items()},
        }
        for gap in gaps.arms
    ]
    return found + ([{"arm": None, **_parts_json(gaps.overall)}] if gaps.overall is not None else [])


def _parts_json(gap: Gap) -> dict[str, Any]:
    return {
        "val": _number(gap.val.value),
        "test": _number(gap.test.value),
        "gap": _estimate_json(gap.gap),
        **{name: None if (part := getattr(gap, name)) is None else _estimate_json(part) for name in PARTS},
        "verdict": gap.verdict.kind,
        "shown": list(gap.verdict.parts),
        "sentence": gap_sentence(gap),
    }


def _split_json(figures: SplitFigures) -> dict[str, Any]:
    names = ("auroc", "brier", "called_positive", "intercept", "slope")
    curve = figures.reliability
    rows = zip(curve.cases.tolist(), curve.predicted.tolist(), curve.observed.tolist(), strict=True)
    return {
        "prevalence": figures.prevalence,
        **{name: _estimate_json(getattr(figures, name)) for name in names},
        "reliability": [
            {"cases": cases, "predicted": predicted, "observed": observed}
            for cases, predicted, observed in rows
            if cases > 0
        ],
    }


def _point_json(name: str, point: OperatingPoint) -> dict[str, Any]:
    return {
        "rule": name,
        "threshold": float(point.thresholds_R.mean()),
        "val": {rate: _estimate_json(estimate) for rate, estimate in point.val.items()},
        "test": {rate: _estimate_json(estimate) for rate, estimate in point.test.items()},
        "gain": _estimate_json(point.gain),
    }


def _rescaled_json(rescaled: Rescaled) -> dict[str, Any]:
    return {
        "brier": _estimate_json(rescaled.brier),
        "accuracy": _estimate_json(rescaled.accuracy),
        "ece": _number(rescaled.ece),
    }


def _estimate_json(estimate: Estimate) -> dict[str, float | None]:
    return {"value": _number(estimate.value), "lo": _number(estimate.lo), "hi": _number(estimate.hi)}


def audit_json(audit: Audited) -> dict[str, Any]:
    """Return an audit for JSON: every finding with all its cases, splits and classes, suspects, domain classifiers."""
    return {
        "data": audit.data.data_hash,
        "findings": [
            {
                "kind": finding.kind,
                "level": finding.level,
                "count": finding.count,
                "text": finding.text,
                "advice": finding.advice,
                "examples": [{"cases": list(example.cases), "note": example.note} for example in finding.examples],
            }
            for finding in audit.findings
        ],
        "summary": [
            {
                "split": row.split,
                "class": row.class_name,
                "cases": row.cases,
                "subjects": row.subjects,
                "modes": list(row.modes),
                "medians": row.medians,
            }
            for row in audit.summary
        ],
        "suspects": list(audit.suspects),
        "domains": {name: _domain_json(domain) for name, domain in audit.domains.items()},
    }


def _domain_json(domain: Domain) -> dict[str, Any]:
    return {
        "val": domain.cases[0],
        "test": domain.cases[1],
        "auroc": _number(domain.auroc),
        "p": _number(domain.p),
        "feature": domain.feature or None,
        "feature_auroc": _number(domain.feature_auroc),
    }


def gap_frame(gaps: Gaps) -> pd.DataFrame:
    """Return one row for each arm and one for their mean: validation, test, every part with its interval, verdict."""
    rows = []
    for entry in gap_json(gaps):
        row: dict[str, Any] = {"arm": entry["arm"] or "mean of the arms", "val": entry["val"], "test": entry["test"]}
        for name in ("gap", *PARTS):
            part = entry[name] or {"value": None, "lo": None, "hi": None}
            row |= {name: part["value"], f"{name}_lo": part["lo"], f"{name}_hi": part["hi"]}
        rows.append({**row, "verdict": entry["verdict"], "shown": " ".join(entry["shown"])})
    parts = [f"{name}{end}" for name in ("gap", *PARTS) for end in ("", "_lo", "_hi")]
    return pd.DataFrame(rows, columns=["arm", "val", "test", *parts, "verdict", "shown"])


def thresholds_frame(gaps: Gaps) -> pd.DataFrame:
    """Return one row for each arm and rule: threshold, rates on validation (cross-fitted) and test, gain over 0.5."""
    rows = []
    for gap in gaps.arms:
        for entry in (_point_json(name, point) for name, point in gap.points.items()):
            row: dict[str, Any] = {"arm": gap.arm, "rule": entry["rule"], "threshold": entry["threshold"]}
            for split in ("val", "test"):
                name = "val_cross_fitted" if split == "val" else split
                row |= {f"{name}_{rate}": estimate["value"] for rate, estimate in entry[split].items()}
            row |= {"gain": entry["gain"]["value"], "gain_lo": entry["gain"]["lo"], "gain_hi": entry["gain"]["hi"]}
            rows.append(row)
    rates = [f"{name}_{rate}" for name in ("val_cross_fitted", "test") for rate in RATES]
    return pd.DataFrame(rows, columns=["arm", "rule", "threshold", *rates, "gain", "gain_lo", "gain_hi"])


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
