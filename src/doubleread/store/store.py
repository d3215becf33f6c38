"""The store: one folder with a database of studies and runs, the runs' artifacts and the prepared sets."""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from doubleread.errors import UserError
from doubleread.files import canonical_json, hash_of, user_path
from doubleread.nouns import VARIED, State
from doubleread.store import artifacts
from doubleread.store.schema import CLAIMS_SINCE, VERSION, migrate, version_of

DATABASE = "store.sqlite"
EPOCH_FIELDS = ("epoch", "rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
HEALTH = ("collapsed", "undertrained", "overfit")


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Store:
    """Studies and runs in `root`; made by `open_store`, used as a context manager."""

    def __init__(self, root: Path, connection: sqlite3.Connection, lock: Any) -> None:
        self.root = root
        self._db = connection
        self._lock = lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    @property
    def data_folder(self) -> Path:
        """Where the prepared sets are."""
        return self.root / "data"

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # --- studies

    def save_plan(
        self,
        study: str,
        document: Mapping[str, Any],
        runs: Iterable[Mapping[str, Any]],
        uses: Mapping[tuple[str, int], str],
        claims: Mapping[str, Any],
    ) -> None:
        """Keep a study's document and its plan; runs that are there already stay as they are.

        Each of `runs` has run_id, identity, recipe, seed and data_hash; `uses` maps (arm, seed) to the run. `claims`
        maps ids to what is claimed; it is kept at the study's first run and never overwritten.
        """
        with self._transaction() as db:
            db.execute(
                "INSERT INTO studies VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET document = excluded.document,"
                " last_run = excluded.last_run",
                (study, json.dumps(document), now(), now()),
            )
            db.executemany(
                "INSERT OR IGNORE INTO runs (run_id, identity, recipe, seed, data_hash, state)"
                " VALUES (?, ?, ?, ?, ?, 'planned')",
                [
                    (r["run_id"], canonical_json(r["identity"]), canonical_json(r["recipe"]), r["seed"], r["data_hash"])
                    for r in runs
                ],
            )
            # without variants in the plan, those of an earlier run stay: they are still trained
            varied = any(VARIED in arm for arm, _ in uses)
            db.execute("DELETE FROM uses WHERE study = ? AND (? OR instr(arm, ?) = 0)", (study, varied, VARIED))
            db.executemany(
                "INSERT INTO uses VALUES (?, ?, ?, ?)", [(study, arm, seed, run) for (arm, seed), run in uses.items()]
            )
            db.execute(
                "INSERT OR IGNORE INTO claims SELECT ?, ?, ?, ?, count(DISTINCT run_id) FROM uses JOIN runs USING"
                " (run_id) WHERE study = ? AND state = 'done'",
                (study, hash_of(dict(claims)), canonical_json(dict(claims)), now(), study),
            )

    def studies(self) -> list[dict[str, Any]]:
        """Return every study: name, first_run, last_run."""
        return self._rows("SELECT name, first_run, last_run FROM studies ORDER BY name")

    def study_document(self, study: str) -> dict[str, Any] | None:
        """Return the document that was kept with a study, or None."""
        rows = self._rows("SELECT document FROM studies WHERE name = ?", study)
        return json.loads(rows[0]["document"]) if rows else None

    def registered_claims(self, study: str) -> dict[str, Any] | None:
        """Return a study's claims as they were at its first run: hash, document, registered, done_before.

        None where the store knows none: it has not run the study, or it was made before claims were kept.
        """
        if version_of(self._db) < CLAIMS_SINCE:
            return None
        rows = self._rows("SELECT hash, document, registered, done_before FROM claims WHERE study = ?", study)
        return {**rows[0], "document": json.loads(rows[0]["document"])} if rows else None

    # --- runs

    def states(self, run_ids: Sequence[str]) -> dict[str, State]:
        """Return the state of those of `run_ids` that the store has."""
        wanted = set(run_ids)
        rows = self._rows("SELECT run_id, state FROM runs")
        return {row["run_id"]: State(row["state"]) for row in rows if row["run_id"] in wanted}

    def runs_of(self, study: str) -> list[dict[str, Any]]:
        """Return one row for each arm and seed of a study, with the run's columns; the recipe is read."""
        rows = self._rows(
            "SELECT uses.arm, runs.* FROM uses JOIN runs USING (run_id) WHERE uses.study = ?"
            " ORDER BY uses.arm, uses.seed",
            study,
        )
        return [{**row, "recipe": json.loads(row["recipe"])} for row in rows]

    def rows_of(self, run_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the rows of those of `run_ids` that the store has, by run; the recipe is read."""
        rows = self._rows("SELECT * FROM runs")
        return {row["run_id"]: {**row, "recipe": json.loads(row["recipe"])} for row in rows if row["run_id"] in run_ids}

    def epochs_of(self, run_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the epochs of each run, in order."""
        found: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in run_ids}
        for run_id in found:
            found[run_id] = self._rows("SELECT * FROM epochs WHERE run_id = ? ORDER BY epoch", run_id)
        return found

    def begin(self, run_id: str) -> int:
        """Mark a run as running; return the number of this attempt."""
        with self._transaction() as db:
            db.execute(
                "UPDATE runs SET state = 'running', reason = NULL, attempts = attempts + 1, started = ?,"
                " finished = NULL WHERE run_id = ?",
                (now(), run_id),
            )
            return int(db.execute("SELECT attempts FROM runs WHERE run_id = ?", (run_id,)).fetchone()[0])

    def set_state(self, run_id: str, state: State, reason: str | None = None) -> None:
        """Set a run's state and why."""
        with self._transaction() as db:
            db.execute(
                "UPDATE runs SET state = ?, reason = ?, finished = ? WHERE run_id = ?", (state, reason, now(), run_id)
            )

    def record(self, run_id: str, attempt: int) -> State:
        """Take over what a worker wrote: artifacts first, then the rows, so that a row never lacks its artifacts."""
        folder = artifacts.attempt_folder(self.root, run_id, attempt)
        record = artifacts.read_record(folder)
        if record is None:
            self.set_state(run_id, State.FAILED, "the worker left no record")
            return State.FAILED
        artifacts.adopt(self.root, run_id, attempt)
        return self._write_record(run_id, record)

    def recover(self) -> list[str]:
        """Bring runs that a driver left `running` when it died to what they are; return those taken over whole.

        Only the holder of the lock may call it: with the lock held, no other driver is alive.
        """
        adopted = []
        for row in self._rows("SELECT run_id, attempts FROM runs WHERE state = 'running'"):
            run_id = row["run_id"]
            attempt = row["attempts"]
            renamed = artifacts.read_record(artifacts.run_folder(self.root, run_id))
            if artifacts.read_record(artifacts.attempt_folder(self.root, run_id, attempt)) is not None:
                self.record(run_id, attempt)
                adopted.append(run_id)
            elif renamed is not None and renamed["attempt"] == attempt:
                self._write_record(run_id, renamed)
                adopted.append(run_id)
            else:
                self.set_state(run_id, State.INTERRUPTED, "the program ended during the run")
            artifacts.remove_attempts(self.root, run_id, attempt)
        return adopted

    def unused_runs(self) -> list[str]:
        """Return the runs that no study uses any more."""
        return [row["run_id"] for row in self._rows("SELECT run_id FROM runs EXCEPT SELECT run_id FROM uses")]

    def environments(self, run_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the environments that the runs were trained in."""
        used = {row["run_id"]: row["environment"] for row in self._rows("SELECT run_id, environment FROM runs")}
        documents = {row["id"]: row["document"] for row in self._rows("SELECT id, document FROM environments")}
        wanted = dict.fromkeys(used[run_id] for run_id in run_ids if used.get(run_id) is not None)
        return [json.loads(documents[key]) for key in wanted]

    def _write_record(self, run_id: str, record: Mapping[str, Any]) -> State:
        environment = hash_of(record["environment"])[:16]
        health = record.get("health") or {}
        with self._transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO environments VALUES (?, ?)", (environment, canonical_json(record["environment"]))
            )
            db.execute("DELETE FROM epochs WHERE run_id = ?", (run_id,))
            db.executemany(
                f"INSERT INTO epochs VALUES (?{', ?' * len(EPOCH_FIELDS)})",
                [(run_id, *(epoch[name] for name in EPOCH_FIELDS)) for epoch in record["epochs"]],
            )
            db.execute(
                "UPDATE runs SET state = ?, reason = ?, finished = ?, seconds = ?, cpu_seconds = ?, peak_bytes = ?,"
                " collapsed = ?, undertrained = ?, overfit = ?, weights_hash = ?, environment = ? WHERE run_id = ?",
                (
                    record["state"],
                    record.get("reason"),
                    record["finished"],
                    record.get("seconds"),
                    record.get("cpu_seconds"),
                    record.get("peak_bytes"),
                    *(health.get(flag) for flag in HEALTH),
                    record.get("weights_hash"),
                    environment,
                    run_id,
                ),
            )
        return State(record["state"])

    def _rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        cursor = self._db.execute(query, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def open_store(root: Path, *, write: bool = False) -> Store:
    """Open the store in `root`; with `write` it is made if need be, and locked for this process.

    Raises:
        UserError: there is none (reading), the path is a file, it is from a newer version, or another process
            writes to it.
    """
    root = user_path(root, "--store")
    try:
        return _open(root, write)
    except (sqlite3.DatabaseError, OSError) as error:
        raise UserError(
            f"--store {root}", f"cannot be opened ({error})", "expected a folder of doubleread", "give another path"
        ) from error


def _open(root: Path, write: bool) -> Store:
    if root.exists() and not root.is_dir():
        raise UserError(f"--store {root}", "this is a file", "expected a folder", "give another path")
    if not write and not (root / DATABASE).is_file():
        raise UserError(
            f"--store {root}",
            "no store here",
            next_step="train a study first, with doubleread run, or give another path",
        )
    lock = None
    if write:
        _make_folder(root)
        lock = _locked(root)
    try:
        return Store(root, _connected(root, write), lock)
    except BaseException:
        if lock is not None:
            lock.close()
        raise


def _connected(root: Path, write: bool) -> sqlite3.Connection:
    connection = _connect(root / DATABASE, write)
    found = version_of(connection)
    if found == 0 and not write:
        raise UserError(f"--store {root}", "no store here", next_step="give another path")
    if found > VERSION:
        raise UserError(
            f"--store {root}", f"schema version {found}", f"this program knows {VERSION}", "install a newer doubleread"
        )
    if write:
        migrate(connection)
    return connection


def _make_folder(root: Path) -> None:
    try:
        (root / "artifacts").mkdir(parents=True, exist_ok=True)
        (root / "data").mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"--store {root}", f"cannot be made ({error.strerror})", "", "give another path") from error


def _locked(root: Path) -> Any:
    handle = (root / "lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise UserError(
            f"--store {root}", "another doubleread is training into this store", "", "wait for it, or give another path"
        ) from error
    return handle


def _connect(path: Path, write: bool) -> sqlite3.Connection:
    mode = "rwc" if write else "ro"
    # one thread at a time uses it, but not always the thread that opened it
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=30, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys = ON")
    if write:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")
    return connection
