"""Reads anyone's logits, one row for each run and case, as evidence for claims."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doubleread.analysis.evidence import CaseSet, Evidence, RunScores
from doubleread.errors import UserError, printable
from doubleread.files import user_path
from doubleread.metrics import CASE_METRICS
from doubleread.nouns import SPLITS

REQUIRED = ("arm", "seed", "case", "label", "logit")
OPTIONAL = ("subject", "split")
MAX_BYTES = 4 * 2**30
BINARY = {
    b"PK\x03\x04": ("an Excel workbook or another .zip file", "save the sheet as CSV in UTF-8"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "save the sheet as CSV in UTF-8"),
    b"\xff\xfe": ("a file in UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("a file in UTF-16", "save it as UTF-8"),
    b"PAR1": ("a Parquet file", "save it as CSV"),
}
"""What files begin with that are often meant as a CSV, what they are and what to do."""
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
LABELS = ("0", "1", "0.0", "1.0")
ENOUGH_ROWS = 10
"""Fewer logits than these may all lie from 0 to 1 by chance."""


def read_logits_file(path: str | Path) -> Evidence:
    """Return the runs in a CSV of arm, seed, case, label, logit, and where known subject and split.

    A label is 0 or 1, a logit a finite number; above 0 it calls a case positive. Without `subject` every case is its
    own; without `split` all are test cases; training cases are left out. Every run has the same test cases.

    Raises:
        UserError: the file cannot be read, lacks a column, has a value that does not fit, cases that are not the
            same in every run, or probabilities in place of logits.
    """
    place = user_path(path, "LOGITS.csv")
    runs: dict[tuple[str, int], dict[str, dict[str, float]]] = {}
    known: dict[str, _Case] = {}
    training = 0
    for row in _rows(place):
        if row.split == "train":
            training += 1
            continue
        case = known.setdefault(row.case, _Case(row.label, row.subject, row.split))
        if case != _Case(row.label, row.subject, row.split):
            found = f"case {row.case} has another label, subject or split than above"
            raise UserError(f"{place}, line {row.line}", found, "expected the same in every run", "mend one of them")
        logits = runs.setdefault((row.arm, row.seed), {}).setdefault(row.split, {})
        if row.case in logits:
            found = f"case {row.case} stands twice for arm {row.arm}, seed {row.seed}"
            raise UserError(f"{place}, line {row.line}", found, "expected each case once in a run", "delete one")
        logits[row.case] = row.logit
    if not runs and training:
        found = f"all {training:,} rows are of split train; none of test"
        raise UserError(str(place), found, "expected split test in some rows", "check split")
    if not runs:
        raise UserError(str(place), "no rows", _allowed(), "check the file")
    evidence = _evidence(runs, known, place)
    _refuse_probabilities(runs, place)
    return evidence


@dataclass(frozen=True, slots=True)
class _Case:
    label: int
    subject: str
    split: str


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    arm: str
    seed: int
    case: str
    label: int
    subject: str
    split: str
    logit: float


def _evidence(
    runs: Mapping[tuple[str, int], Mapping[str, Mapping[str, float]]], known: Mapping[str, _Case], place: Path
) -> Evidence:
    sets: dict[tuple[str, ...], CaseSet] = {}
    first = next(iter(runs.values())).get("test", {})
    scored = []
    for (arm, seed), splits in sorted(runs.items()):
        _require_same(splits.get("test", {}), first, f"arm {arm}, seed {seed}", place)
        parts = {split: _part(splits[split], known, sets) for split in ("test", "val") if split in splits}
        scored.append(_run(arm, seed, parts["test"], parts.get("val")))
    return Evidence(scored)


def _refuse_probabilities(runs: Mapping[tuple[str, int], Mapping[str, Mapping[str, float]]], place: Path) -> None:
    """Stop where all values lie from 0 to 1: as logits they would call every case positive."""
    columns = [logits.values() for splits in runs.values() for logits in splits.values()]
    inside = all(0 <= value <= 1 for values in columns for value in values)
    if not inside or sum(map(len, columns)) < ENOUGH_ROWS:
        return
    allowed = "expected outputs before the sigmoid, which are negative too"
    if all(value in (0, 1) for values in columns for value in values):
        found = "every logit is 0 or 1, as calls are"
        raise UserError(str(place), found, allowed, "for accuracy alone write -1 for 0")
    found = "every logit is from 0 to 1, as probabilities are"
    raise UserError(str(place), found, allowed, "from a probability p write log(p / (1 − p))")


def _require_same(test: Mapping[str, float], first: Mapping[str, float], run: str, place: Path) -> None:
    if not test:
        raise UserError(str(place), f"{run} has no test case", "expected split test in some of its rows", "check split")
    if test.keys() != first.keys():
        case = min(test.keys() ^ first.keys())
        found = f"{run} {'lacks' if case in first else 'alone has'} the test case {case}"
        raise UserError(
            str(place), found, "expected the same test cases in every run", "add it, or leave it out of all"
        )


def _part(
    logits: Mapping[str, float], known: Mapping[str, _Case], sets: dict[tuple[str, ...], CaseSet]
) -> tuple[CaseSet, np.ndarray]:
    names = tuple(sorted(logits))
    if names not in sets:
        cases = [known[name] for name in names]
        sets[names] = CaseSet(
            names=names,
            labels_N=np.array([case.label for case in cases]),
            subjects_N=np.array([case.subject for case in cases]),
        )
    return sets[names], np.array([logits[name] for name in names])


def _rows(path: Path) -> Iterator[_Row]:
    """Yield the rows of a file, checked, each with its line."""
    if not path.is_file():
        found = "this is a folder" if path.is_dir() else "no such file"
        raise UserError(str(path), found, "expected a CSV of logits", "check the path")
    if path.stat().st_size > MAX_BYTES:
        size = f"{path.stat().st_size:,} bytes"
        raise UserError(str(path), size, f"expected at most {MAX_BYTES:,}", "split it by arm")
    _refuse_binary(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            names = _header(next(lines, []), path)
            for cells in lines:
                if cells:
                    yield _row(cells, names, lines.line_num, path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(str(path), f"not a CSV in UTF-8 ({error})", _allowed(), "save it as one") from error


def _refuse_binary(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(4)
    for magic, (found, next_step) in BINARY.items():
        if start.startswith(magic):
            raise UserError(str(path), found, "expected a CSV in UTF-8", next_step)


def _header(names: list[str], path: Path) -> list[str]:
    found = [name.strip() for name in names]
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        separator = next((one for one in SEPARATORS if len(found) == 1 and found[0].count(one) > 2), None)
        if separator is not None:
            raise UserError(
                str(path),
                f"separated by {SEPARATORS[separator]}",
                "expected commas, and points in numbers",
                "save it so",
            )
        has = f"; it has {', '.join(found)[:100]}" if found else ""
        raise UserError(str(path), f"no column {missing[0]}{has}", _allowed(), "name the columns so, with commas")
    twice = [name for name in (*REQUIRED, *OPTIONAL) if found.count(name) > 1]
    if twice:
        raise UserError(str(path), f"two columns {twice[0]}", _allowed(), "delete one")
    _refuse_nearly(found, path)
    return found


def _refuse_nearly(names: Sequence[str], path: Path) -> None:
    """Stop where a column is not read because its name is nearly that of an optional one, which is not there."""
    for wanted in OPTIONAL:
        others = {name.casefold(): name for name in names if name not in (*REQUIRED, *OPTIONAL)}
        near = difflib.get_close_matches(wanted, others, n=1, cutoff=0.8)
        if wanted not in names and near:
            found = f'column "{others[near[0]]}"'
            raise UserError(str(path), found, f'expected it to be called "{wanted}"', "rename it, or delete it")


def _row(cells: list[str], names: list[str], line: int, path: Path) -> _Row:
    place = f"{path}, line {line}"
    if len(cells) != len(names):
        mend = "mend the line" + (", perhaps a decimal comma" if len(cells) > len(names) else "")
        raise UserError(place, f"{len(cells)} cells", f"expected {len(names)}, as in the first line", mend)
    row = dict(zip(names, cells, strict=True))
    for name in ("arm", "case", "subject", "split"):
        if (text := row.get(name, "")) != printable(text).strip() or (not text and name in REQUIRED):
            raise UserError(place, f'{name} "{text}"', "expected a text without spaces around it", "mend the line")
    subject, split = row.get("subject", ""), row.get("split") or "test"
    if split not in SPLITS:
        raise UserError(place, f'split "{split}"', f"expected {', '.join(SPLITS)}", "mend the line")
    # stripped before they are read: what strip() takes for a space is more than what int() does
    label, seed = row["label"].strip(), row["seed"].strip()
    if label not in LABELS:
        raise _other_labels(path) or UserError(place, f'label "{row["label"]}"', "expected 0 or 1", "mend the line")
    if not re.fullmatch(r"-?\d{1,15}", seed):
        raise UserError(place, f'seed "{row["seed"]}"', "expected a whole number", "mend the line")
    return _Row(
        line=line,
        arm=row["arm"],
        seed=int(seed),
        case=row["case"],
        label=int(float(label)),
        # a subject that is not known is the case alone, never the same one as another case's
        subject=f"subject {subject}" if subject else f"case {row['case']}",
        split=split,
        logit=_logit(row["logit"], place),
    )


def _other_labels(path: Path) -> UserError | None:
    """Return what is wrong with a whole column of labels that has two values, but not 0 and 1; else None."""
    found: dict[str, None] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        column = [name.strip() for name in next(lines)].index("label")
        for cells in lines:
            if len(cells) > column:
                found[cells[column].strip()[:60]] = None
            if len(found) > 2:
                return None
    if len(found) != 2:
        return None
    first, second = sorted(found)
    return UserError(
        str(path),
        f'the labels are "{first}" and "{second}"',
        "expected 0 and 1",
        "write 1 for the class that a logit above 0 calls, 0 for the other",
    )


def _logit(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        comma = re.fullmatch(r"\s*[-+−]?\d+,\d+\s*", text, re.ASCII)
        mend = f"write {text.strip().replace(',', '.')}, with a point" if comma else "mend the line"
        raise UserError(place, f'logit "{text}"', "expected a finite number", mend)
    return value


def _run(arm: str, seed: int, test: tuple[CaseSet, np.ndarray], val: tuple[CaseSet, np.ndarray] | None) -> RunScores:
    metrics = {name: metric(test[0].labels_N, test[1]) for name, metric in CASE_METRICS.items()}
    called = [test[1] > 0]
    if val is not None:
        metrics |= {f"val_{name}": metric(val[0].labels_N, val[1]) for name, metric in CASE_METRICS.items()}
        metrics["gap"] = metrics["val_accuracy"] - metrics["accuracy"]
        called.append(val[1] > 0)
    every = np.concatenate(called)
    return RunScores(
        arm=arm, seed=seed, collapsed=bool(every.all() or not every.any()), metrics=metrics, test=test, val=val
    )


def _allowed() -> str:
    return f"expected the columns {', '.join(REQUIRED)} and, where known, {' and '.join(OPTIONAL)}"
