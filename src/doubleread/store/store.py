"""The store: one folder with a database of studies and runs, the runs' artifacts and the prepared sets."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from doubleread.files import Files, canonical_json, hash_of
from doubleread.nouns import VARIED, State
from doubleread.store import artifacts
from doubleread.store.schema import CLAIMS_SINCE, FILES_SINCE, UNSEALINGS_SINCE, version_of

DATABASE = "store.sqlite"
EPOCH_FIELDS = ("epoch", "rate", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds", "val_auroc")
READING = threading.Lock()
"""Held while something is read. SQLite lets a thread in beside another of its process that reads, even where a writer
waits: threads that read one after the other without a pause would keep it waiting for ever."""
HEALTH = ("collapsed", "undertrained", "overfit")


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Store:
    """Studies and runs in `root`; made by `open_store`, used as a context manager."""

    def __init__(self, root: Path, connection: sqlite3.Connection, lock: int | None) -> None:
        self.root = root
        self._db = connection
        self._lock = lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def data_folder(self) -> Path:
        """Where the prepared sets are."""
        return self.root / "data"

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.root / DATABASE)) from error
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
        return self.query("SELECT name, first_run, last_run FROM studies ORDER BY name")

    def study_document(self, study: str) -> dict[str, Any] | None:
        """Return the document that was kept with a study, or None."""
        rows = self.query("SELECT document FROM studies WHERE name = ?", study)
        return json.loads(rows[0]["document"]) if rows else None

    def registered_claims(self, study: str) -> dict[str, Any] | None:
        """Return a study's claims as they were at its first run: hash, document, registered, done_before.

        None where the store knows none: it has not run the study, or it was made before claims were kept.
        """
        if self._version() < CLAIMS_SINCE:
            return None
        rows = self.query("SELECT hash, document, registered, done_before FROM claims WHERE study = ?", study)
        return {**rows[0], "document": json.loads(rows[0]["document"])} if rows else None

    def unseal(self, study: str) -> None:
        """Write down that the test scores of a sealed study are looked at now."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO unsealings SELECT ?, ?, count(DISTINCT run_id) FROM uses JOIN runs USING (run_id)"
                " WHERE study = ? AND state = 'done'",
                (study, now(), study),
            )

    def unsealings(self, study: str) -> list[dict[str, Any]]:
        """Return each time that a study's test scores were looked at, in order: at, done (runs finished by then)."""
        if self._version() < UNSEALINGS_SINCE:
            return []
        return self.query("SELECT at, done FROM unsealings WHERE study = ? ORDER BY rowid", study)

    # --- runs

    def states(self, run_ids: Sequence[str]) -> dict[str, State]:
        """Return the state of those of `run_ids` that the store has."""
        wanted = set(run_ids)
        rows = self.query("SELECT run_id, state FROM runs")
        return {row["run_id"]: State(row["state"]) for row in rows if row["run_id"] in wanted}

    def runs_of(self, study: str) -> list[dict[str, Any]]:
        """Return one row for each arm and seed of a study, with the run's columns; the recipe is read."""
        rows = self.query(
            "SELECT uses.arm, runs.* FROM uses JOIN runs USING (run_id) WHERE uses.study = ?"
            " ORDER BY uses.arm, uses.seed",
            study,
        )
        return [{**row, "recipe": json.loads(row["recipe"])} for row in rows]

    def rows_of(self, run_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the rows of those of `run_ids` that the store has, by run; the recipe is read."""
        rows = self.query("SELECT * FROM runs")
        return {row["run_id"]: {**row, "recipe": json.loads(row["recipe"])} for row in rows if row["run_id"] in run_ids}

    def epochs_of(self, run_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the epochs of each run, in order."""
        found: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in run_ids}
        for run_id in found:
            found[run_id] = self.query("SELECT * FROM epochs WHERE run_id = ? ORDER BY epoch", run_id)
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
        artifacts.adopt(self.root, run_id, attempt, failed=record["state"] == State.FAILED)
        return self.write_rows(run_id, record)

    def running(self) -> list[tuple[str, int]]:
        """Return the runs that stand as `running`, each with the number of its attempt."""
        rows = self.query("SELECT run_id, attempts FROM runs WHERE state = 'running'")
        return [(row["run_id"], row["attempts"]) for row in rows]

    def files_of(self, run_ids: Collection[str] | None = None) -> dict[str, Files | None]:
        """Return the files of those of `run_ids` that are done (of all), None where they are not known."""
        known = "files" if self._version() >= FILES_SINCE else "NULL AS files"
        rows = self.query(f"SELECT run_id, {known} FROM runs WHERE state = 'done'")
        wanted = {row["run_id"] for row in rows} if run_ids is None else set(run_ids)
        return {
            row["run_id"]: json.loads(row["files"]) if row["files"] is not None else None
            for row in rows
            if row["run_id"] in wanted
        }

    def weights_hashes(self) -> dict[str, str]:
        """Return the hash of the weights of every run that is done."""
        return {
            row["run_id"]: row["weights_hash"]
            for row in self.query("SELECT run_id, weights_hash FROM runs WHERE state = 'done'")
        }

    def forget_weights(self, run_id: str) -> None:
        """Note that a run's weights are not kept; then the file may be removed."""
        with self._transaction() as db:
            db.execute(
                "UPDATE runs SET files = json_remove(files, ?) WHERE run_id = ?", (f'$."{artifacts.WEIGHTS}"', run_id)
            )

    def unused_runs(self) -> list[str]:
        """Return the runs that no study uses any more."""
        return [row["run_id"] for row in self.query("SELECT run_id FROM runs EXCEPT SELECT run_id FROM uses")]

    def environments(self, run_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the environments that the runs were trained in."""
        return [document for _, document in self.environments_of(run_ids)]

    def environments_of(self, run_ids: Sequence[str]) -> list[tuple[int, dict[str, Any]]]:
        """Return the environments that the runs were trained in, each with how many of the runs were."""
        used = {row["run_id"]: row["environment"] for row in self.query("SELECT run_id, environment FROM runs")}
        documents = {row["id"]: row["document"] for row in self.query("SELECT id, document FROM environments")}
        wanted = Counter(used[run_id] for run_id in run_ids if used.get(run_id) is not None)
        return [(number, json.loads(documents[key])) for key, number in wanted.items()]

    def names_of_runs(self) -> dict[str, str]:
        """Return what each run is called that a study uses: arm and seed."""
        return {
            row["run_id"]: f"{row['study']}: {row['arm']}, seed {row['seed']}"
            for row in self.query("SELECT run_id, study, arm, seed FROM uses ORDER BY study DESC, arm DESC")
        }

    def attempts_of(self, run_ids: Collection[str]) -> dict[str, int]:
        """Return how often each of those of `run_ids` that the store has was begun."""
        wanted = set(run_ids)
        rows = self.query("SELECT run_id, attempts FROM runs")
        return {row["run_id"]: row["attempts"] for row in rows if row["run_id"] in wanted}

    def write_rows(self, run_id: str, record: Mapping[str, Any]) -> State:
        """Write the rows of a run whose artifacts are in their place."""
        environment = hash_of(record["environment"])[:16]
        health = record.get("health") or {}
        with self._transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO environments VALUES (?, ?)", (environment, canonical_json(record["environment"]))
            )
            db.execute("DELETE FROM epochs WHERE run_id = ?", (run_id,))
            db.executemany(
                f"INSERT INTO epochs VALUES (?{', ?' * len(EPOCH_FIELDS)})",
                [(run_id, *(epoch.get(name) for name in EPOCH_FIELDS)) for epoch in record["epochs"]],
            )
            db.execute(
                "UPDATE runs SET state = ?, reason = ?, finished = ?, seconds = ?, cpu_seconds = ?, peak_bytes = ?,"
                " collapsed = ?, undertrained = ?, overfit = ?, weights_hash = ?, environment = ?, files = ?"
                " WHERE run_id = ?",
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
                    canonical_json(record["files"]) if "files" in record else None,
                    run_id,
                ),
            )
        return State(record["state"])

    def _version(self) -> int:
        with READING:
            return version_of(self._db)

    def query(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows that a query reads, each as a mapping of its columns."""
        with READING:
            cursor = self._db.execute(query, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]
