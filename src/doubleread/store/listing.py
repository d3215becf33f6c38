"""The runs of a study a page at a time: sorted, filtered and counted by the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from doubleread.nouns import State
from doubleread.store.store import Store

COLUMNS = {
    "arm": "uses.arm",
    "seed": "uses.seed",
    "state": "runs.state",
    "epochs": "last.epoch",
    "train_loss": "last.train_loss",
    "val_loss": "last.val_loss",
    "train_accuracy": "last.train_accuracy",
    "val_accuracy": "last.val_accuracy",
    "seconds": "runs.seconds",
    "finished": "runs.finished",
}
"""What a listing can be sorted by, each with where it is found."""
FROM = (
    " FROM uses JOIN runs USING (run_id) LEFT JOIN epochs AS last ON last.run_id = runs.run_id"
    " AND last.epoch = (SELECT max(epoch) FROM epochs WHERE epochs.run_id = runs.run_id)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What is wanted of a study's runs: whose arm's name holds `arm`, in `state`; sorted, from `start` on, so many."""

    arm: str = ""
    state: State | None = None
    by: str = "arm"
    descending: bool = False
    start: int = 0
    most: int = 50


def list_runs(store: Store, study: str, wanted: Listing) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of one page, and how many there are on all pages.

    A row has the columns of `COLUMNS` (`epochs` counts those that are done), `run_id`, `reason` and the health flags.
    """
    order = COLUMNS[wanted.by]
    where, values = _where(study, wanted)
    columns = ", ".join(f"{place} AS {name}" for name, place in COLUMNS.items())
    rows = store.query(
        f"SELECT {columns}, runs.run_id, runs.reason, runs.collapsed, runs.undertrained, runs.overfit {FROM} {where}"
        f" ORDER BY {order} IS NULL, {order} {'DESC' if wanted.descending else 'ASC'}, uses.arm, uses.seed"
        " LIMIT ? OFFSET ?",
        *values,
        wanted.most,
        wanted.start,
    )
    (total,) = store.query(f"SELECT count(*) AS runs FROM uses JOIN runs USING (run_id) {where}", *values)
    found = [{**row, "epochs": 0 if row["epochs"] is None else row["epochs"] + 1} for row in rows]
    return found, int(total["runs"])


def _where(study: str, wanted: Listing) -> tuple[str, list[Any]]:
    where, values = "WHERE uses.study = ?", [study]
    if wanted.arm:
        where += " AND instr(lower(uses.arm), lower(?)) > 0"
        values.append(wanted.arm)
    if wanted.state is not None:
        where += " AND runs.state = ?"
        values.append(wanted.state.value)
    return where, values
