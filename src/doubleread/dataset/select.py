"""Which items become cases: classes and labels, the sample, the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doubleread.dataset.groups import groups_of
from doubleread.dataset.split import draw_sample, split_development, split_test
from doubleread.dataset.subjects import subjects_of
from doubleread.errors import UnreadableImage, UserError
from doubleread.nouns import SPLITS, Item, Split
from doubleread.recipe.data import DataSpec, DrawnSplit


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The chosen items, ascending, with the label, subject and split of each.

    `classes` are the negative and the positive class, or all of more than two; `rule` the subject rule that fitted and
    `rejected` those before it that did not, with the reason.
    """

    indices: np.ndarray
    labels: np.ndarray
    subjects: tuple[str, ...]
    splits: tuple[Split, ...]
    classes: tuple[str, ...]
    rule: str
    rejected: tuple[str, ...]


def by_group(data: DataSpec) -> bool:
    """Tell whether a study's split needs to know which images are the same."""
    return isinstance(data.split, DrawnSplit) and data.split.by == "group"


def select(
    items: Sequence[Item], data: DataSpec, usable: Sequence[int], digests: Sequence[str | UnreadableImage] = ()
) -> Selection:
    """Return the cases of a study: of the `usable` items, those drawn, each in its split.

    `digests` are the items' own; only a split by group needs them.

    Raises:
        UserError: the classes, parts, counts or subjects do not fit what `data` asks for.
    """
    classes = classes_of(items, data.positive)
    kept = [items[index] for index in usable]
    labels = np.array([classes.index(item.class_name) for item in kept], dtype=np.int64)
    subjects, rule, rejected = subjects_of(kept, data.subject)
    if rule == "case" and isinstance(data.split, DrawnSplit) and data.split.by == "subject":
        found = "subjects are not known; by: subject needs a rule that finds them"
        raise UserError("data.split.by", found, next_step="set data.subject")
    together = np.array(subjects)
    if by_group(data):
        together = groups_of(subjects, [str(digests[index]) for index in usable])
    rows_of = _split_rows(kept, labels, together, data, classes)
    split_of: dict[int, Split] = {int(row): split for split in SPLITS for row in rows_of[split]}
    rows = sorted(split_of)
    _check_both_classes(rows_of, labels, classes)
    if isinstance(data.split, DrawnSplit) and data.split.by == "subject":
        _check_disjoint(rows_of, subjects, data.split)
    return Selection(
        indices=np.array([usable[row] for row in rows]),
        labels=labels[rows],
        subjects=tuple(subjects[row] for row in rows),
        splits=tuple(split_of[row] for row in rows),
        classes=classes,
        rule=rule,
        rejected=rejected,
    )


def classes_of(items: Sequence[Item], positive: Sequence[str] | None) -> tuple[str, ...]:
    """Return the classes of a source: the negative and the positive one, or where there are more, all by name.

    Names that are whole numbers are in the order of the numbers.

    Raises:
        UserError: there is one class; there are two and which of them is positive cannot be told; or there are more and
            one of them is said to be.
    """
    names = sorted({item.class_name for item in items}, key=by_number)
    listed = ", ".join(names[:8])
    if len(names) == 1:
        raise UserError(
            "data.source",
            f"one class only, {listed}",
            "expected two classes or more",
            "check the folder above the class folders",
        )
    if len(names) > 2:
        if positive is None:
            return tuple(names)
        raise UserError(
            "data.positive",
            f"the source has {len(names)} classes, {listed}",
            "expected two, of which one is positive",
            "delete it to compare recipes on all classes, or check the folder above the class folders",
        )
    chosen = next((name for name in positive or () if name in names), None)
    if positive is None and names == ["0", "1"]:
        chosen = "1"
    if chosen is None:
        found = f"{' or '.join(positive)} is no class of the source" if positive else "missing"
        raise UserError("data.positive", found, f"expected {names[0]} or {names[1]}", f"--set data.positive={names[1]}")
    return next(name for name in names if name != chosen), chosen


def by_number(name: str) -> tuple[int, int, str]:
    """Return a key that sorts classes by name, whole numbers first and in the order of the numbers."""
    return (0, int(name), name) if name.isascii() and name.isdigit() else (1, 0, name)


def _split_rows(
    items: Sequence[Item], labels: np.ndarray, subjects: np.ndarray, data: DataSpec, classes: tuple[str, ...]
) -> dict[Split, np.ndarray]:
    parts = np.array([item.part or "none" for item in items])
    if not isinstance(data.split, DrawnSplit):
        rows: dict[Split, np.ndarray] = {split: np.flatnonzero(parts == split) for split in SPLITS}
        _check_given(rows)
        return _sampled_given(rows, labels, data, classes)
    development, test = _development_and_test(parts, labels, subjects, data.split)
    if data.sample is not None:
        development = draw_sample(labels, development, data.sample.train, data.sample, "train", classes)
        test = draw_sample(labels, test, data.sample.test, data.sample, "test", classes)
    train, val = split_development(labels, subjects, development, data.split, None)
    return {"train": train, "val": val, "test": test}


def _development_and_test(
    parts: np.ndarray, labels: np.ndarray, subjects: np.ndarray, split: DrawnSplit
) -> tuple[np.ndarray, np.ndarray]:
    test = np.flatnonzero(parts == "test")
    development = np.flatnonzero(parts != "test")
    if len(test) and split.test:
        raise UserError("data.split.test", "the source has a test part of its own", "", "delete it, or set it to 0")
    if not len(development):
        raise UserError("data.source", "it has a test part and no training part", "", "add a train folder")
    if len(test):
        return development, test
    if not split.test:
        raise UserError(
            "data.split.test", "missing, and the source has no test part of its own", "", "--set data.split.test=0.2"
        )
    return split_test(labels, subjects, development, split)


def _check_given(rows: dict[Split, np.ndarray]) -> None:
    missing = [split for split in SPLITS if not len(rows[split])]
    if missing:
        raise UserError(
            "data.split",
            f"given, but the source has no {' and no '.join(missing)} part",
            "expected {val, by, seed}",
            "for example --set data.split='{val: 0.2, by: case, seed: 0}'",
        )


def _sampled_given(
    rows: dict[Split, np.ndarray], labels: np.ndarray, data: DataSpec, classes: tuple[str, ...]
) -> dict[Split, np.ndarray]:
    if data.sample is None:
        return rows
    train = draw_sample(labels, rows["train"], data.sample.train, data.sample, "train", classes)
    test = draw_sample(labels, rows["test"], data.sample.test, data.sample, "test", classes)
    return {"train": train, "val": rows["val"], "test": test}


def _check_both_classes(rows_of: dict[Split, np.ndarray], labels: np.ndarray, classes: tuple[str, ...]) -> None:
    for split, rows in rows_of.items():
        for label, name in enumerate(classes):
            if not np.any(labels[rows] == label):
                raise UserError("data.split", f"no images of {name} in {split}", "expected every class in each split")


def _check_disjoint(rows_of: dict[Split, np.ndarray], subjects: tuple[str, ...], split: DrawnSplit) -> None:
    """Check that no subject is in two splits; the source's own test part may share one, which nothing here can mend."""
    where: dict[str, Split] = {}
    for name, rows in rows_of.items():
        for row in rows:
            other = where.setdefault(subjects[row], name)
            if other != name:
                raise UserError(
                    "data.split.by",
                    f"subject {subjects[row]} is in {other} and in the source's own {name} part; by: subject needs"
                    " parts that share no subject",
                    next_step="remove its images from one part, or split by case and state allow_leakage",
                )
