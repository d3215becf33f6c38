"""Reads anyone's logits, one row for each run and case, as evidence for claims."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from doubleread.analysis.evidence import CaseSet, Evidence, RunScores
from doubleread.errors import UserError
from doubleread.files import user_path
from doubleread.metrics import CASE_METRICS

REQUIRED = ("arm", "seed", "case", "label", "logit")
OPTIONAL = ("subject", "split")
MAX_BYTES = 4 * 2**30


def read_logits_file(path: str | Path) -> Evidence:
    """Return the runs in a CSV of arm, seed, case, label, logit, and where known subject and split.

    A label is 0 or 1, a logit a finite number; above 0 it calls a case positive. Without `subject` every case is its
    own; without `split` all are test cases; rows of other splits than test and val are left out.

    Raises:
        UserError: the file cannot be read, lacks a column, has a value that does not fit, or a case twice in a run.
    """
    place = user_path(path, "LOGITS.csv")
    columns = _columns_of(place)
    runs = []
    order = np.lexsort((columns["case"], columns["split"], columns["seed"], columns["arm"]))
    ordered = {name: values[order] for name, values in columns.items()}
    for rows in _runs_of(ordered["arm"], ordered["seed"]):
        run = {name: values[rows] for name, values in ordered.items()}
        arm, seed = str(run["arm"][0]), int(run["seed"][0])
        parts = {str(split): _part(run, run["split"] == split, place) for split in np.unique(run["split"])}
        if "test" not in parts:
            raise UserError(
                str(place),
                f"arm {arm}, seed {seed} has no test case",
                "expected split test in some rows",
                "check split",
            )
        runs.append(_run(arm, seed, parts["test"], parts.get("val")))
    return Evidence(runs)


def _runs_of(arm_M: np.ndarray, seed_M: np.ndarray) -> list[slice]:
    """Return the rows of each run of a table that is sorted by arm and seed."""
    changes = np.flatnonzero((arm_M[1:] != arm_M[:-1]) | (seed_M[1:] != seed_M[:-1])) + 1
    edges = [0, *changes.tolist(), len(arm_M)]
    return [slice(a, b) for a, b in pairwise(edges)]


def _columns_of(path: Path) -> dict[str, np.ndarray]:
    table = _read(path)
    texts = {name: table[name].to_numpy(str) for name in (*REQUIRED, *OPTIONAL) if name in table}
    if not len(texts["arm"]):
        raise UserError(str(path), "no rows", _allowed(), "check the file")
    texts.setdefault("split", np.full(len(texts["arm"]), "test"))
    subject = texts.get("subject", np.full(len(texts["arm"]), ""))
    numbers = {name: _numbers(texts[name], name, path) for name in ("seed", "label", "logit")}
    _require(numbers["seed"] % 1 == 0, texts["seed"], "seed", "expected a whole number", path)
    _require(np.isin(numbers["label"], (0, 1)), texts["label"], "label", "expected 0 or 1", path)
    return {
        "arm": texts["arm"],
        "seed": numbers["seed"].astype(np.int64),
        "case": texts["case"],
        "split": texts["split"],
        # a subject that is not known is the case alone, never the same one as another case's
        "subject": np.where(subject == "", np.char.add("case ", texts["case"]), np.char.add("subject ", subject)),
        "label": numbers["label"].astype(np.int64),
        "logit": numbers["logit"],
    }


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(str(path), "no such file", "expected a CSV of logits", "check the path")
    if path.stat().st_size > MAX_BYTES:
        size = f"{path.stat().st_size:,} bytes"
        raise UserError(str(path), size, f"expected at most {MAX_BYTES:,}", "split it by arm")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(str(path), f"not a CSV ({reason})", _allowed(), "check the file") from error
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise UserError(str(path), f"no column {missing[0]}", _allowed(), "name the columns so")
    return table


def _numbers(texts: np.ndarray, name: str, path: Path) -> np.ndarray:
    numbers = np.asarray(pd.to_numeric(pd.Series(texts), errors="coerce"), dtype=np.float64)
    _require(np.isfinite(numbers), texts, name, "expected a finite number", path)
    return numbers


def _require(good: np.ndarray, texts: np.ndarray, name: str, allowed: str, path: Path) -> None:
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise UserError(f"{path}, line {row + 2}", f'{name} "{texts[row]}"', allowed, "mend the line")


def _part(run: Mapping[str, np.ndarray], mine: np.ndarray, path: Path) -> tuple[CaseSet, np.ndarray]:
    names = run["case"][mine]
    twice = names[1:][names[1:] == names[:-1]]
    if len(twice):
        where = f"arm {run['arm'][0]}, seed {run['seed'][0]}"
        raise UserError(str(path), f"case {twice[0]} stands twice for {where}", "expected each case once", "delete one")
    cases = CaseSet(names=tuple(names), labels_N=run["label"][mine], subjects_N=run["subject"][mine])
    return cases, run["logit"][mine]


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
