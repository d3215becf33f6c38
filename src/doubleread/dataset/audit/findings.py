"""From what was measured to findings: what is wrong, with which cases, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from doubleread.dataset.audit.differences import Difference, differences_of
from doubleread.dataset.audit.labels import label_issues
from doubleread.dataset.audit.measured import Measured
from doubleread.dataset.audit.pixels import FEATURES
from doubleread.dataset.audit.rates import excess_of_issues
from doubleread.dataset.prepared import PreparedSet
from doubleread.nouns import SPLITS

NEAR_CONSTANT = 4.0
"""Standard deviation of the grey values below which an image shows next to nothing."""
UNEQUAL = 0.05
"""Difference in the share of the positive class between two splits that is worth a word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """Cases that belong together in a finding, and what is to be said of them."""

    cases: tuple[str, ...]
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that the audit found.

    `kind` is a short name; `level` is `error` (a known leak that the study does not allow), `warning` or `note`;
    `count` how many; `text` a sentence; `advice` what to do; `examples` all of them, the worst first.
    """

    kind: str
    level: str
    count: int
    text: str
    advice: str
    examples: tuple[Example, ...] = ()


def findings_of(data: PreparedSet, measured: Measured) -> list[Finding]:
    """Return what the audit found, errors first, then warnings, then notes."""
    found = [
        *_unreadable(data),
        *_constant(data, measured),
        *_exact(data),
        *_near(data, measured),
        *_subjects(data),
        *_balance(data),
        *_different(data, measured),
        *_labels(data, measured),
    ]
    return sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.level))


def _unreadable(data: PreparedSet) -> Iterator[Finding]:
    if skipped := data.meta["unreadable"]:
        yield Finding(
            kind="unreadable",
            level="warning",
            count=len(skipped),
            text=f"{len(skipped):,} of {data.meta['listed']:,} images cannot be read and are left out",
            advice="mend or remove them: what is left out may not be left out at random",
            examples=tuple(Example(cases=(case,), note=reason) for case, reason in skipped),
        )


def _constant(data: PreparedSet, measured: Measured) -> Iterator[Finding]:
    spread_N = measured.features_NF[:, FEATURES.index("sd")]
    for kind, mine, says in (
        ("constant", spread_N == 0, "of one grey: empty"),
        ("near-constant", (spread_N > 0) & (spread_N < NEAR_CONSTANT), "almost of one grey"),
    ):
        rows = np.flatnonzero(mine)
        if len(rows):
            yield Finding(
                kind=kind,
                level="warning",
                count=len(rows),
                text=f"{len(rows):,} {_plural('image is', 'images are', len(rows))} {says}",
                advice="look at them, and remove what shows nothing",
                examples=tuple(Example(cases=(data.cases[r].case,), note=_where(data, [r])) for r in rows.tolist()),
            )


def _exact(data: PreparedSet) -> Iterator[Finding]:
    rows_of = {case.case: row for row, case in enumerate(data.cases)}
    groups = [(group, [rows_of[case] for case in group["cases"]]) for group in data.meta["audit"]["duplicates"]]
    for kind, level, mine, says, advice in (
        (
            "duplicates with different labels",
            "warning",
            [rows for _, rows in groups if _labels_differ(data, rows)],
            "they carry both labels",
            "find out which label is right; one of them is wrong",
        ),
        (
            "duplicates across splits",
            _leak_level(data),
            [rows for group, rows in groups if len(group["splits"]) > 1],
            "they reach over two splits, learned by heart on one side",
            "keep one of each, or split with by: group; gap: {leakage: true} measures what they are worth",
        ),
        (
            "duplicates within a split",
            "note",
            [rows for group, rows in groups if len(group["splits"]) == 1],
            "within one split, where they count more than once",
            "keep one of each",
        ),
    ):
        if mine:
            number = f"{len(mine):,} {_plural('group', 'groups', len(mine))}"
            yield Finding(
                kind=kind,
                level=level,
                count=len(mine),
                text=f"{number} of byte-identical images: {says}",
                advice=advice,
                examples=tuple(Example(cases=_names(data, rows), note=_where(data, rows)) for rows in mine),
            )


def _near(data: PreparedSet, measured: Measured) -> Iterator[Finding]:
    pairs = [
        ([int(i), int(j)], f"correlation {r:.3f}, {distance:.0f} of 64 bits differ{', mirrored' if mirrored else ''}")
        for i, j, distance, r, mirrored in measured.near_K5.tolist()
    ]
    across = [_across(data, rows) for rows, _ in pairs]
    for kind, wanted, level in (
        ("near-duplicates across splits", True, "warning"),
        ("near-duplicates within a split", False, "note"),
    ):
        chosen = [pair for pair, straddles in zip(pairs, across, strict=True) if straddles == wanted]
        if chosen:
            differ = sum(_labels_differ(data, rows) for rows, _ in chosen)
            yield Finding(
                kind=kind,
                level=level,
                count=len(chosen),
                text=f"{len(chosen):,} {_plural('pair', 'pairs', len(chosen))} of images that look almost the same"
                + (f"; {differ:,} carry different labels" if differ else ""),
                advice="look at each pair: candidates, no proof. Give copies one subject, or remove one",
                examples=tuple(
                    Example(cases=_names(data, rows), note=f"{_where(data, rows)}; {note}") for rows, note in chosen
                ),
            )


def _across(data: PreparedSet, rows: Sequence[int]) -> bool:
    """Tell whether cases stand, or for some seed will stand, in two splits."""
    splits = [data.cases[row].split for row in rows]
    redrawn = data.meta["split_per_seed"] is not None and sum(split != "test" for split in splits) > 1
    return redrawn or len(set(splits)) > 1


def _subjects(data: PreparedSet) -> Iterator[Finding]:
    if shared := data.meta["audit"]["shared_subjects"]:
        cases: dict[str, list[int]] = {}
        for row, case in enumerate(data.cases):
            cases.setdefault(case.subject, []).append(row)
        examples = [(item["subject"], cases.get(item["subject"], [])) for item in shared]
        images = sum(len(rows) for _, rows in examples)
        yield Finding(
            kind="subjects in several splits",
            level=_leak_level(data),
            count=len(shared),
            text=f"{len(shared):,} {_plural('subject has', 'subjects have', len(shared))} images in more than one"
            f" split, {images:,} images in all: a model may know the person, not the finding",
            advice="split with by: subject; gap: {leakage: true} measures what it is worth",
            examples=tuple(
                Example(cases=_names(data, rows), note=f"subject {name}: {_where(data, rows)}")
                for name, rows in sorted(examples, key=lambda pair: -len(pair[1]))
            ),
        )


def _balance(data: PreparedSet) -> Iterator[Finding]:
    # the share of one of two classes says that of the other
    for label in [1] if len(data.classes) == 2 else range(len(data.classes)):
        yield from _balance_of(data, label)


def _balance_of(data: PreparedSet, label: int) -> Iterator[Finding]:
    shares = {split: float((data.labels[data.rows(split)] == label).mean()) for split in SPLITS}
    positive = data.classes[label]
    if max(shares.values()) - min(shares.values()) >= UNEQUAL:
        listed = ", ".join(f"{100 * share:.1f} % of {split}" for split, share in shares.items())
        yield Finding(
            kind="class balance",
            level="note",
            count=1,
            text=f"{positive} is {listed}",
            advice="accuracies of splits with another balance are not the same thing; the gap's part “prevalence” says"
            " how much of the difference that is",
        )


def _different(data: PreparedSet, measured: Measured) -> Iterator[Finding]:
    differences = differences_of(data, measured.features_NF)
    for kind, chosen, advice in (
        (
            "differences between splits",
            [d for d in differences if d.between != "classes"],
            "the test images were taken or stored in another way; expect another operating threshold",
        ),
        (
            "differences between classes",
            [d for d in differences if d.between == "classes"],
            "a model can tell the classes by this alone; where the finding does not explain it, it is a shortcut",
        ),
    ):
        if chosen:
            yield Finding(
                kind=kind,
                level="warning" if kind == "differences between splits" else "note",
                count=len(chosen),
                text="; ".join(_difference_text(difference) for difference in chosen[:3])
                + (f"; and {len(chosen) - 3} more" if len(chosen) > 3 else ""),
                advice=advice,
                examples=tuple(Example(cases=(), note=_difference_text(difference)) for difference in chosen),
            )


def _difference_text(difference: Difference) -> str:
    where = f" ({difference.between.removeprefix('splits, ')})" if difference.between != "classes" else ""
    first, second = difference.medians
    return (
        f"{difference.feature}{where}: median {first:.4g} in {difference.groups[0]}, {second:.4g} in"
        f" {difference.groups[1]}, AUROC {difference.auroc:.2f}"
    )


def _labels(data: PreparedSet, measured: Measured) -> Iterator[Finding]:
    rows = label_issues(measured.chance_N, data.labels)
    if not len(rows):
        return
    excess = excess_of_issues(data, measured)
    per_split = Counter(data.cases[row].split for row in rows)
    where = ", ".join(f"{per_split[split]:,} in {split}" for split in SPLITS if per_split[split])
    yield Finding(
        kind="label issues",
        level="warning" if excess else "note",
        count=len(rows),
        text=f"a quick model confidently disagrees with {len(rows):,} {_plural('label', 'labels', len(rows))} ({where})"
        + "".join(f"; {sentence}" for sentence in excess),
        advice="have a reader look at the first of them: wrong labels, or hard cases",
        examples=tuple(
            Example(
                cases=(data.cases[row].case,),
                note=f"{_where(data, [row])}; the quick model's chance of {data.classes[1]}"
                f" is {100 * measured.chance_N[row]:.0f} %",
            )
            for row in rows.tolist()
        ),
    )


def _leak_level(data: PreparedSet) -> str:
    return "warning" if data.meta["settings"].get("allow_leakage") else "error"


def _labels_differ(data: PreparedSet, rows: Sequence[int]) -> bool:
    return len({data.cases[row].label for row in rows}) > 1


def _names(data: PreparedSet, rows: Sequence[int]) -> tuple[str, ...]:
    return tuple(data.cases[row].case for row in rows)


def _where(data: PreparedSet, rows: Sequence[int]) -> str:
    found: Counter[Any] = Counter((data.cases[row].split, data.cases[row].class_name) for row in rows)
    return " and ".join(
        f"{split}, {name}" + (f" ({n})" if n > 1 else "")
        for (split, name), n in sorted(found.items(), key=lambda pair: SPLITS.index(pair[0][0]))
    )


def _plural(one: str, many: str, n: int) -> str:
    return one if n == 1 else many
