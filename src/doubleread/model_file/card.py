"""The model card: what a model is, what it is worth and what it is not for, in Markdown (Mitchell et al. 2019)."""

from __future__ import annotations

from doubleread.markdown import escaped
from doubleread.model_file.document import Document

SHOWN = ("accuracy", "auroc", "balanced_accuracy", "sensitivity", "specificity", "macro_recall", "macro_auroc")
GROUPS = {
    "run": "this seed, called at its threshold; the interval counts the images",
    "ensemble": "the seeds averaged as one predictor, as this model does, called at its threshold; the interval counts"
    " the seeds and the images",
    "seeds": "the mean over the arm's seeds, each called at 0.5; the interval counts the seeds and the images",
}


def card_of(document: Document) -> str:
    """Return the card of a model."""
    title = f"{document.study}, {document.arm}"
    what = "one trained seed" if document.kind == "seed" else f"{len(document.members)} trained seeds, averaged"
    sections = [
        f"# {escaped(title)}",
        f"{document.intended_use}\n\nAn image classifier, {what}; made by {escaped(document.made_by)}."
        + (f" It was trained to ask: {escaped(document.question)}" if document.question else ""),
        "## What it was trained on\n\n" + _data(document),
        "## What it is worth\n\n" + _metrics(document),
        "## How an image is read\n\n" + _reading(document),
        "## What it is not for\n\n"
        "It knows the images of one data set. Elsewhere, with another machine, another population or another question, "
        "its figures say nothing. The flag for unlike images looks at grey values, borders and sharpness, and not at "
        "what an image shows: an image that is not flagged may still be one that the model should not be asked about.",
        "## Files\n\n"
        "`model.json`: recipe, preprocessing, classes, threshold, calibration, metrics. `seed-N.safetensors`: weights. "
        "Nothing in them is executed. Read an image: `doubleread predict PATH IMAGE`.",
    ]
    return "\n\n".join(sections) + "\n"


def _data(document: Document) -> str:
    rows = ["| split | class | images | subjects |", "|---|---|---|---|"]
    rows += [
        f"| {one['split']} | {escaped(one['class'])} | {one['cases']} | {one['subjects']} |" for one in document.cases
    ]
    remarks = "".join(f"\n- {escaped(remark)}" for remark in document.remarks)
    return "\n".join(rows) + f"\n\nPrepared set `{escaped(document.data_hash)}`." + (f"\n{remarks}" if remarks else "")


def _metrics(document: Document) -> str:
    if not any(document.metrics.values()):
        return "No figure is stored with it."
    parts = []
    for group, words in GROUPS.items():
        found = document.metrics.get(group, {})
        rows = [
            f"| {name.removeprefix('val_')} | {_split(name)} | {_number(found[name])} |"
            for name in found
            if name.removeprefix("val_") in SHOWN
        ]
        if rows:
            parts.append(
                "\n".join(
                    [
                        f"{words[0].upper()}{words[1:]}:\n",
                        "| metric | split | value (95 % interval) |",
                        "|---|---|---|",
                        *rows,
                    ]
                )
            )
    return "\n\n".join(parts)


def _split(metric: str) -> str:
    return "validation" if metric.startswith("val_") else "test"


def _number(found: dict[str, float | None]) -> str:
    value, lo, hi = found.get("value", found.get("mean")), found.get("lo"), found.get("hi")
    if value is None:
        return "–"
    # shares all of them, which a t interval does not know
    return f"{value:.3f}" + (f" ({max(lo, 0):.3f} to {min(hi, 1):.3f})" if lo is not None and hi is not None else "")


def _reading(document: Document) -> str:
    how = document.preprocessing
    lines = [
        f"{how.image_size} × {how.image_size} pixels, {'grey' if how.channels == 1 else 'colour'}, {how.bits} bits, "
        f"made square by a bilinear filter that widens to antialias; intensity: {how.intensity}."
    ]
    if (cut := document.threshold) is not None:
        lines.append(
            f"Called {escaped(document.classes[1])} where its probability is above {cut.probability:.4g} "
            f"(rule: {escaped(cut.rule)}{', chosen on validation' if cut.chosen else ''})."
        )
    else:
        lines.append(f"Classes: {', '.join(map(escaped, document.classes))}; the likeliest is called.")
    if (fitted := document.calibration) is not None:
        lines.append(
            f"Calibrated probabilities have their logits over a temperature of {fitted.temperature:.3g}, fitted on "
            f"{fitted.cases:,} validation images." + _calibrated(document.metrics.get("calibration", {}))
        )
    return "\n".join(f"- {line}" for line in lines)


def _calibrated(found: dict[str, dict[str, float | None]]) -> str:
    """Return a sentence on calibration where the test images have their say; empty where they have none."""
    pairs = [(found.get(name, {}).get("before"), found.get(name, {}).get("after")) for name in ("log_loss", "brier")]
    (loss, loss_after), (brier, brier_after) = pairs
    if loss is None or loss_after is None or brier is None or brier_after is None:
        return ""
    return (
        f" Of the test images the log loss is {loss:.3f} before it and {loss_after:.3f} after, the Brier score "
        f"{brier:.3f} and {brier_after:.3f}; lower is better."
    )
