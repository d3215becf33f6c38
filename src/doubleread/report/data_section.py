"""What the page says about the data: what it is, what the audit found, a few of its images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from doubleread.analysis import Audited
from doubleread.dataset import PreparedSet
from doubleread.dataset.audit import Finding
from doubleread.nouns import SPLITS, Split
from doubleread.report import words
from doubleread.report.gaps import suspects_text
from doubleread.report.thumbnails import thumbnail

SAMPLES = 4
SAMPLE_PIXELS = 128
SHOWN = 12
"""Examples of a finding that are listed."""
PICTURED = 6
"""Examples of a finding that have their images beside them."""
MOST_IMAGES = 4
COLUMNS = ("mean", "sd", "p1", "p50", "p99", "border", "sharpness")


def data_section(audit: Audited) -> dict[str, Any]:
    """Return what the page says about a prepared set: what it is, what the audit found, a few of its images."""
    data, meta = audit.data, audit.data.meta
    sizes = sorted({(case.width, case.height) for case in data.cases})
    return {
        "source": Path(meta["source"]).name or meta["source"],
        "kind": meta["kind"],
        "hash": data.data_hash,
        "cases": len(data.cases),
        "listed": meta["listed"],
        "image_size": meta["image_size"],
        "sizes": f"{sizes[0][0]} × {sizes[0][1]}" + (f" to {sizes[-1][0]} × {sizes[-1][1]}" if len(sizes) > 1 else ""),
        "classes": data.classes,
        "sealed": audit.sealed,
        # a quick model disputes the labels of two classes, and of test images that may be looked at
        "disputes": len(data.classes) == 2 and not audit.sealed,
        "colour": "grey" if data.images.ndim == 3 else "red, green and blue",
        "rule": meta["subject_rule"],
        "rejected": meta["subject_rules_rejected"],
        "settings": {
            k: words.plain(v)
            for k, v in meta["settings"].items()
            if k != "image_size" and not (k == "source" and isinstance(v, str))
        },
        "counts": data.counts(),
        "per_seed": meta["split_per_seed"] is not None,
        "leaks": bool(meta["audit"]["duplicates_across"] or meta["audit"]["shared_subjects"]),
        "findings": [_finding(data, finding) for finding in audit.findings],
        "statistics": _statistics(audit),
        "columns": COLUMNS,
        "suspects": suspects_text(audit),
        "samples": _samples(data, SPLITS[:2] if audit.sealed else SPLITS),
    }


def _samples(data: PreparedSet, splits: Sequence[Split]) -> list[dict[str, Any]]:
    """Return a few images of each class in some of the splits, evenly spaced over its cases."""
    groups = []
    for split in splits:
        rows = data.rows(split)
        for label, name in enumerate(data.classes):
            mine = rows[data.labels[rows] == label]
            chosen = mine[np.linspace(0, len(mine) - 1, min(SAMPLES, len(mine))).round().astype(int)]
            images = [
                {"case": data.cases[row].case, "src": thumbnail(data.images[row], SAMPLE_PIXELS)} for row in chosen
            ]
            groups.append({"split": split, "class": name, "images": images})
    return groups


def _finding(data: PreparedSet, finding: Finding) -> dict[str, Any]:
    rows = {case.case: row for row, case in enumerate(data.cases)}
    examples = []
    for place, example in enumerate(finding.examples[:SHOWN]):
        pictured = [rows[case] for case in example.cases[:MOST_IMAGES] if case in rows] if place < PICTURED else []
        examples.append(
            {
                "note": example.note,
                "cases": example.cases[:MOST_IMAGES],
                "more": max(0, len(example.cases) - MOST_IMAGES),
                "images": [{"case": data.cases[row].case, "src": thumbnail(data.images[row])} for row in pictured],
            }
        )
    return {
        "kind": finding.kind,
        "level": finding.level,
        "text": finding.text,
        "advice": finding.advice,
        "examples": examples,
        "more": max(0, len(finding.examples) - SHOWN),
    }


def _statistics(audit: Audited) -> list[dict[str, Any]]:
    """Return a row for each split and class: sizes, modes, medians of what was measured."""
    return [
        {
            "split": row.split,
            "class": row.class_name,
            "size": f"{row.medians['width']:.0f} × {row.medians['height']:.0f}",
            "modes": ", ".join(row.modes),
            "medians": [
                f"{100 * row.medians[name]:.1f} %" if name == "border" else f"{row.medians[name]:.1f}"
                for name in COLUMNS
            ],
        }
        for row in audit.summary
    ]
