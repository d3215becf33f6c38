"""The tables of a store, as a list of migrations; each runs in one transaction with its record."""

from __future__ import annotations

import sqlite3

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE studies (
        name TEXT PRIMARY KEY,
        document TEXT NOT NULL,      -- JSON: the file as read, and what was overridden
        first_run TEXT NOT NULL,
        last_run TEXT NOT NULL
    ) STRICT;
    CREATE TABLE environments (
        id TEXT PRIMARY KEY,         -- hash of the document
        document TEXT NOT NULL       -- JSON: versions, processor, threads
    ) STRICT;
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,     -- hash of the identity
        identity TEXT NOT NULL,      -- JSON
        recipe TEXT NOT NULL,        -- JSON, every default written out
        seed INTEGER NOT NULL,
        data_hash TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('planned','running','done','failed','diverged','interrupted')),
        reason TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        started TEXT,
        finished TEXT,
        seconds REAL,
        cpu_seconds REAL,
        peak_bytes INTEGER,
        collapsed INTEGER,
        undertrained INTEGER,
        overfit INTEGER,
        weights_hash TEXT,
        environment TEXT REFERENCES environments (id)
    ) STRICT;
    CREATE TABLE epochs (
        run_id TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
        epoch INTEGER NOT NULL,
        rate REAL NOT NULL,
        train_loss REAL NOT NULL,
        train_accuracy REAL NOT NULL,
        val_loss REAL NOT NULL,
        val_accuracy REAL NOT NULL,
        seconds REAL NOT NULL,
        PRIMARY KEY (run_id, epoch)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE uses (
        study TEXT NOT NULL REFERENCES studies (name),
        arm TEXT NOT NULL,
        seed INTEGER NOT NULL,
        run_id TEXT NOT NULL REFERENCES runs (run_id),
        PRIMARY KEY (study, arm, seed)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX runs_by_state ON runs (state);
    """,
    """
    CREATE TABLE claims (
        study TEXT PRIMARY KEY REFERENCES studies (name),
        hash TEXT NOT NULL,
        document TEXT NOT NULL,      -- JSON: what each claim said, margins too, when the study was first run
        registered TEXT NOT NULL,
        done_before INTEGER NOT NULL -- runs of the study that had finished by then
    ) STRICT;
    """,
    """
    ALTER TABLE runs ADD COLUMN files TEXT; -- JSON: of each file of the run its sha256 and bytes; null: not known
    """,
    """
    ALTER TABLE epochs ADD COLUMN val_auroc REAL; -- null: not known
    CREATE TABLE unsealings (
        study TEXT NOT NULL REFERENCES studies (name),
        at TEXT NOT NULL,
        done INTEGER NOT NULL        -- runs of the study that had finished by then
    ) STRICT;
    """,
)
CLAIMS_SINCE = 2
"""The version since which a store keeps claims."""
FILES_SINCE = 3
"""The version since which a store knows the files of its runs."""
UNSEALINGS_SINCE = 4
"""The version since which a store counts how often the test scores of a sealed study were looked at."""
VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema version that a store has; 0 is an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a store to `VERSION`, one migration a transaction."""
    for version in range(version_of(connection), VERSION):
        script = f"BEGIN IMMEDIATE;{MIGRATIONS[version]};PRAGMA user_version = {version + 1};COMMIT;"
        try:
            connection.executescript(script)
        except sqlite3.Error:
            connection.rollback()
            raise
