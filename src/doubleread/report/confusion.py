"""Confusion matrices as rows of a table: a line for each arm and split."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from doubleread.analysis import ArmResult, StudyResult, class_confusion
from doubleread.report.words import count_text


def confusion_heads(classes: Sequence[str]) -> list[str]:
    """Return what each count is of: a class, and what its cases are called."""
    return [f"{label}, called {'so' if called == label else called}" for label, called in product(classes, classes)]


def confusion_rows(result: StudyResult, arm: ArmResult) -> list[dict[str, Any]]:
    """Return the counts of one arm on validation and test: mean over the seeds, lowest and highest."""
    rows = []
    for split in ("validation", "test"):
        found = class_confusion(arm.scores, len(result.classes), validation=split == "validation")
        if found is not None:
            flat = found.reshape(len(found), -1)
            cells = [count_text(float(n.mean()), int(n.min()), int(n.max())) for n in flat.T]
            rows.append({"arm": arm.arm.label, "split": split, "cells": cells})
    return rows
