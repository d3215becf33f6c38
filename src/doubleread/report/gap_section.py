"""What the page says about validation and test: the gap, operating points, calibration, the worst cases."""

from __future__ import annotations

import math
from typing import Any

from doubleread.analysis import ArmGap, ConfidentCase, Gaps, StudyResult, WorstCase, confident_cases, worst_cases
from doubleread.report.figures import embedded
from doubleread.report.gap_figures import reliability_figure, waterfall_figure
from doubleread.report.gaps import MEANING, ORDER, beside_sentences, gap_sentence, leakage_note, tenths, verdict_text
from doubleread.report.thumbnails import thumbnail
from doubleread.report.words import p_text
from doubleread.stats import PARTS, Estimate, Gap

WORST, CONFIDENT = 12, 6
UNKNOWN = {"value": "–", "interval": ""}
RESCALED = {"none": "as trained", "temperature": "temperature scaling", "platt": "Platt scaling"}


def gap_section(result: StudyResult) -> dict[str, Any] | None:
    """Return what stands in the section, None where no arm has validation and test."""
    gaps = result.gaps
    if not gaps.arms:
        return None
    classes = result.data[0].classes
    return {
        "headline": gap_sentence(gaps.overall) if gaps.overall is not None else None,
        "note": leakage_note(result),
        "order": ORDER,
        "meaning": MEANING,
        "parts": PARTS,
        "waterfall": embedded(waterfall_figure(gaps)),
        "rows": _rows(gaps),
        "sentences": [_sentences(gap) for gap in gaps.arms],
        "reliability": embedded(reliability_figure(gaps)),
        "splits": [row for gap in gaps.arms for row in _splits(gap, classes)],
        "points": [row for gap in gaps.arms for row in _points(gap)],
        "rescaled": [row for gap in gaps.arms for row in _rescaled(gap)],
    }


def _rows(gaps: Gaps) -> list[dict[str, Any]]:
    named: list[tuple[str, Gap, int]] = [(gap.arm, gap.gap, len(gap.gap_seeds)) for gap in gaps.arms]
    if gaps.overall is not None:
        named.append(("mean of the arms", gaps.overall, len(gaps.overall_seeds)))
    return [
        {
            "arm": name,
            "seeds": seeds,
            "val": _percent(gap.val),
            "test": _percent(gap.test),
            "gap": _points_cell(gap.gap),
            "parts": [_points_cell(getattr(gap, part)) for part in PARTS],
            "verdict": verdict_text(gap),
            "shown": ", ".join(gap.verdict.parts),
        }
        for name, gap, seeds in named
    ]


def _sentences(gap: ArmGap) -> dict[str, Any]:
    return {"arm": gap.arm, "text": " ".join([gap_sentence(gap.gap), *beside_sentences(gap)])}


def _splits(gap: ArmGap, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = []
    for split, figures in (("validation", gap.val), ("test", gap.test)):
        shift, outputs = {"value": "", "interval": ""}, list[str]()
        if split == "test":
            found = gap.label_shift
            interval = "" if math.isnan(found.lo) else f"{100 * found.lo:.0f} to {100 * found.hi:.0f}"
            estimated = "–" if math.isnan(found.estimated) else f"{100 * found.estimated:.0f} %"
            shift = {"value": estimated, "interval": interval}
            outputs = [f"{classes[label]} {p_text(p)}" for label, p in gap.outputs.items()]
        rows.append(
            {
                "arm": gap.arm,
                "split": split,
                "prevalence": f"{100 * figures.prevalence:.1f} %",
                "called": _percent(figures.called_positive),
                "auroc": _plain(figures.auroc, share=True),
                "brier": _plain(figures.brier, share=True),
                "intercept": _plain(figures.intercept, 2),
                "slope": _plain(figures.slope, 2),
                "shift": shift,
                "outputs": outputs,
            }
        )
    return rows


def _points(gap: ArmGap) -> list[dict[str, Any]]:
    return [
        {
            "arm": gap.arm,
            "rule": name,
            "threshold": f"{point.thresholds_R.mean():.3f}",
            "val": _percent(point.val["accuracy"]),
            "test": _percent(point.test["accuracy"]),
            "sensitivity": _percent(point.test["sensitivity"]),
            "specificity": _percent(point.test["specificity"]),
            "gain": UNKNOWN if name == "0.5" else _points_cell(point.gain),
        }
        for name, point in gap.points.items()
    ]


def _rescaled(gap: ArmGap) -> list[dict[str, Any]]:
    return [
        {
            "arm": gap.arm,
            "name": RESCALED[name],
            "brier": _plain(rescaled.brier, share=True),
            "ece": f"{rescaled.ece:.3f}",
            "accuracy": _percent(rescaled.accuracy),
        }
        for name, rescaled in gap.rescaled.items()
    ]


def worst_section(result: StudyResult) -> dict[str, list[dict[str, Any]]]:
    """Return the test cases that a study's runs get most wrong, and others that a run is surest of, with their images.

    None while the test images are sealed.
    """
    if result.sealed:
        return {"worst": [], "confident": []}
    scores = {id(run.test[1]): run for arm in result.arms for run in arm.scores}
    data = result.data[0]
    rows = {case.case: row for row, case in enumerate(data.cases)}
    runs = list(scores.values())
    worst = [case for case in worst_cases(runs, WORST) if case.case in rows]
    named = {case.case for case in worst}
    sure = [case for case in confident_cases(runs, CONFIDENT, named) if case.case in rows]
    return {
        "worst": [_case(case, data.classes, thumbnail(data.images[rows[case.case]])) for case in worst],
        "confident": [_sure(case, data.classes, thumbnail(data.images[rows[case.case]])) for case in sure],
    }


def _case(worst: WorstCase, classes: tuple[str, ...], image: str) -> dict[str, Any]:
    shares = sorted(worst.by_arm.items(), key=lambda pair: -pair[1])
    return _pictured(worst, classes, image) | {
        "called": f"{classes[worst.called]}, mean chance {100 * worst.chance:.0f}\u00a0%",
        "wrong": f"wrong in {100 * worst.wrong:.0f}\u00a0% of runs",
        "arms": "; ".join(f"{arm} {100 * share:.0f} %" for arm, share in shares),
    }


def _pictured(case: WorstCase | ConfidentCase, classes: tuple[str, ...], image: str) -> dict[str, Any]:
    return {"case": case.case, "src": image, "label": classes[case.label]}


def _sure(case: ConfidentCase, classes: tuple[str, ...], image: str) -> dict[str, Any]:
    return _pictured(case, classes, image) | {
        "called": f"{classes[case.called]} with {100 * case.chance:.1f}\u00a0%",
        "run": f"{case.arm}, seed {case.seed}",
    }


def _points_cell(estimate: Estimate | None) -> dict[str, str]:
    value, interval = ("not measured", "") if estimate is None else tenths(estimate)
    return {"value": value, "interval": interval}


def _percent(estimate: Estimate) -> dict[str, str]:
    known = not math.isnan(estimate.lo)
    lo, hi = max(0.0, estimate.lo), min(1.0, estimate.hi)
    return {
        "value": f"{100 * estimate.value:.1f} %",
        "interval": f"{100 * lo:.1f} to {100 * hi:.1f}" if known else "",
    }


def _plain(estimate: Estimate, digits: int = 3, *, share: bool = False) -> dict[str, str]:
    if math.isnan(estimate.value):
        return UNKNOWN
    lo, hi = (max(0.0, estimate.lo), min(1.0, estimate.hi)) if share else (estimate.lo, estimate.hi)
    interval = "" if math.isnan(estimate.lo) else f"{lo:.{digits}f} to {hi:.{digits}f}"
    value = f"{estimate.value:.{digits}f}"
    return {"value": value.replace("-", "−"), "interval": interval.replace("-", "−")}
