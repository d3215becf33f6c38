"""The prepared set: resized images in one memory-mapped array, and a table of its cases."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from doubleread.dataset.groups import groups_of
from doubleread.dataset.split import split_development
from doubleread.errors import UserError
from doubleread.files import damage, describe, read_text, write_json, write_text
from doubleread.nouns import SPLITS, RunData, Split, shape_of
from doubleread.recipe.data import DrawnSplit

IMAGES, CASES, META, SEAL = "images.npy", "cases.csv", "meta.json", "files.json"
AUDIT = "audit.npz"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One image of a prepared set; `label` is 1 for the positive class, or the class by number, `digest` the hash of
    its stored content.

    Height, width and mode are those in the source; sets of older versions know no mode.
    """

    case: str
    subject: str
    class_name: str
    label: int
    split: Split
    digest: str
    height: int
    width: int
    mode: str = ""


@dataclass(frozen=True, kw_only=True)
class PreparedSet:
    """Images and cases as they are trained on, in `folder`; row i of the array is `cases[i]`.

    `meta` holds what the report says about the data: source, classes, sizes, rule for subjects, what was left out,
    what the audit found.
    """

    folder: Path
    data_hash: str
    cases: tuple[Case, ...]
    meta: dict[str, Any]

    @cached_property
    def images(self) -> np.ndarray:
        """The pixels, shape (N, size, size[, 3]), uint8, or uint16 where the source has more than 8 bits.

        They are memory-mapped; writing to them changes no file.
        """
        return _mapped(self.folder)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image as a model takes it: (channels, height, width)."""
        return shape_of(self.images)

    @property
    def classes(self) -> tuple[str, ...]:
        """The negative and the positive class, or all of more than two, in the order of their labels."""
        return tuple(self.meta["classes"])

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels, shape (N,), int64."""
        return np.array([case.label for case in self.cases], dtype=np.int64)

    @cached_property
    def subjects(self) -> np.ndarray:
        """Subjects, shape (N,)."""
        return np.array([case.subject for case in self.cases])

    @cached_property
    def groups(self) -> np.ndarray:
        """Groups of subjects that have an image in common, shape (N,); see `groups_of`."""
        return groups_of([case.subject for case in self.cases], [case.digest for case in self.cases])

    def rows(self, split: Split) -> np.ndarray:
        """Return the rows of a split as drawn once, int64."""
        return np.flatnonzero([case.split == split for case in self.cases])

    def run_data(self, seed: int) -> RunData:
        """Return what a run of `seed` sees; the seed matters only where the split is drawn for each."""
        return self.shared().run_data(seed)

    def shared(self) -> SharedSet:
        """Return what runs on other machines need of it."""
        columns = {
            "split": [case.split for case in self.cases],
            "subject": [case.subject for case in self.cases],
            "digest": [case.digest for case in self.cases],
        }
        meta = {name: self.meta[name] for name in ("classes", "split_per_seed")}
        return SharedSet(images=np.asarray(self.images), labels=self.labels, columns=columns, meta=meta)

    def counts(self) -> list[dict[str, Any]]:
        """Return cases and subjects of each split and class, in the order of `SPLITS`."""
        cases = Counter((case.split, case.class_name) for case in self.cases)
        subjects = Counter((s, c) for s, c, _ in {(case.split, case.class_name, case.subject) for case in self.cases})
        return [
            {"split": split, "class": name, "cases": cases[split, name], "subjects": subjects[split, name]}
            for split in SPLITS
            for name in self.classes
        ]

    def remarks(self) -> list[str]:
        """Return what a user should know about the data before believing a number, a sentence each."""
        audit, skipped = self.meta["audit"], len(self.meta["unreadable"])
        found = [*self.meta["subject_rules_rejected"]]
        if found:
            found = [f"subjects: the rule “{self.meta['subject_rule']}” is used, because " + "; ".join(found)]
        if skipped:
            found.append(f"{skipped:,} of {self.meta['listed']:,} images cannot be used and are skipped")
        if across := audit["duplicates_across"]:
            found.append(f"{across:,} groups of byte-identical images reach over two splits")
        if shared := len(audit["shared_subjects"]):
            found.append(f"{shared:,} subjects have images in more than one split")
        return found


@dataclass(frozen=True, kw_only=True)
class SharedSet:
    """A prepared set without its folder, which can cross to another machine: see `PreparedSet` and `cases.csv`."""

    images: np.ndarray
    labels: np.ndarray
    columns: Mapping[str, Sequence[str]]
    meta: Mapping[str, Any]

    def run_data(self, seed: int) -> RunData:
        """Return what a run of `seed` sees; the seed matters only where the split is drawn for each."""
        return _run_data(self.images, self.labels, self.columns, self.meta, seed)


def write_cases(folder: Path, cases: Sequence[Case], meta: dict[str, Any]) -> None:
    """Write the table and the facts of a prepared set whose images are written, and seal it with their hashes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(Case)]
    writer.writerow(names)
    writer.writerows([getattr(case, name) for name in names] for case in cases)
    write_text(folder / CASES, text.getvalue())
    write_json(folder / SEAL, {name: describe(folder / name) for name in (IMAGES, CASES)})
    write_json(folder / META, meta)


def prepared_folders(cache: Path) -> list[Path]:
    """Return the folders of the prepared sets in `cache`."""
    return sorted(path.parent for path in cache.glob(f"*/{META}"))


def damage_of(folder: Path) -> list[str]:
    """Return what is wrong with the files of the prepared set in `folder`, a phrase each; every byte is read.

    Of a set from before its files had hashes, nothing is known.
    """
    if not (folder / SEAL).is_file():
        return []
    try:
        return damage(folder, json.loads(read_text(folder / SEAL)), read=True)
    except (ValueError, UserError):
        return [f"{SEAL} cannot be read"]


def open_prepared(folder: Path) -> PreparedSet:
    """Return the prepared set in `folder`.

    Raises:
        UserError: it is missing or not whole.
    """
    meta = _meta(folder)
    # csv over split lines: a case's name may hold a comma or a quote
    rows = csv.DictReader(io.StringIO(read_text(folder / CASES, limit=2**30)))
    cases = tuple(
        Case(
            **{
                **row,
                "label": int(row["label"]),
                "height": int(row["height"]),
                "width": int(row["width"]),
            }
        )
        for row in rows
    )
    return PreparedSet(folder=folder, data_hash=folder.name, cases=cases, meta=meta)


def open_run_data(folder: Path, seed: int) -> RunData:
    """Return what a run of `seed` sees of the prepared set in `folder`: the same as `open_prepared(folder).run_data`.

    It reads only what a run needs, because every run does it.

    Raises:
        UserError: the set is missing or not whole.
    """
    meta = _meta(folder)
    rows = csv.reader(io.StringIO(read_text(folder / CASES, limit=2**30)))
    header = next(rows)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    labels = np.array(columns["label"], dtype=np.int64)
    return _run_data(_mapped(folder), labels, columns, meta, seed)


def _meta(folder: Path) -> dict[str, Any]:
    if not (folder / META).is_file():
        raise UserError(str(folder), "no prepared set here", next_step="run the study again to prepare it")
    try:
        return json.loads(read_text(folder / META))
    except ValueError as error:
        raise UserError(
            str(folder / META), f"damaged ({error})", next_step="remove the folder, then run the study again"
        ) from error


def _mapped(folder: Path) -> np.ndarray:
    # copy-on-write: torch refuses to wrap memory that is read-only, and nobody writes
    return np.load(folder / IMAGES, mmap_mode="c")


def _run_data(
    images: np.ndarray,
    labels: np.ndarray,
    columns: Mapping[str, Sequence[str]],
    meta: Mapping[str, Any],
    seed: int,
) -> RunData:
    part = np.array(columns["split"])
    train, val, test = (np.flatnonzero(part == split) for split in SPLITS)
    if (drawn := meta["split_per_seed"]) is not None:
        rows = np.sort(np.concatenate([train, val]))
        split = DrawnSplit(**drawn)
        subjects = np.array(columns["subject"])
        if split.by == "group":
            subjects = groups_of(columns["subject"], columns["digest"])
        train, val = split_development(labels, subjects, rows, split, seed)
    return RunData(images=images, labels=labels, train=train, val=val, test=test, classes=len(meta["classes"]))
