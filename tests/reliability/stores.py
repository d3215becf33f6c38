"""What two stores must have in common that hold the same study: every row and every file, times aside."""

import hashlib
import json
import sqlite3
from pathlib import Path

TIMES = {
    "started",
    "finished",
    "seconds",
    "cpu_seconds",
    "peak_bytes",
    "attempts",
    "first_run",
    "last_run",
    "registered",
}
RECORD_ASIDE = {"finished", "seconds", "cpu_seconds", "peak_bytes", "attempt", "resumed"}


def content_of(root: Path) -> dict:
    """Return the tables and the files of a store as plain values."""
    return {"tables": tables(root), "files": artifacts(root), "data": files_below(root / "data")}


def tables(root: Path) -> dict[str, list]:
    connection = sqlite3.connect(f"file:{root / 'store.sqlite'}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {}
    for name in names:
        rows = [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]
        for row in rows:
            for column in TIMES & set(row):
                del row[column]
            if name == "runs" and row["files"] is not None:
                # the record holds times
                row["files"] = {n: f for n, f in json.loads(row["files"]).items() if n != "run.json"}
        found[name] = sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))
    connection.close()
    return found


def artifacts(root: Path) -> dict[str, object]:
    found = files_below(root / "artifacts")
    for name in found:
        if name.endswith("run.json"):
            record = json.loads((root / "artifacts" / name).read_text())
            for key in RECORD_ASIDE:
                record.pop(key, None)
            for epoch in record["epochs"]:
                del epoch["seconds"]
            found[name] = record
    return found


def files_below(folder: Path) -> dict[str, object]:
    """Return the hash of every file, hidden ones too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_equal(one: dict, other: dict) -> None:
    """Compare two contents part by part, so that a difference can be read."""
    assert one["tables"].keys() == other["tables"].keys()
    for name in one["tables"]:
        assert one["tables"][name] == other["tables"][name], name
    for part in ("files", "data"):
        assert one[part].keys() == other[part].keys()
        for name in one[part]:
            assert one[part][name] == other[part][name], name
