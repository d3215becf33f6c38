"""What a driver writes down of the calls that it gives to a queue, so that the next one finds them again."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from doubleread import disk
from doubleread.errors import UserError
from doubleread.files import make_folders, read_text, write_json

MANIFEST = "manifest.json"
VERSION = 1
PREFIX = "doubleread-"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One submission: the names of the calls of each of its jobs; `job` is the queue's number, None until it is known.

    `token` is the name that its jobs have in the queue. It is written before they are submitted: a driver that dies in
    between leaves a name to ask the queue for.
    """

    folder: Path
    batches: tuple[tuple[str, ...], ...]
    job: str | None = None

    @property
    def token(self) -> str:
        """The name of its jobs in the queue."""
        return self.folder.name

    @property
    def logs(self) -> Path:
        """The folder in which submitit keeps what it submits, and what jobs print."""
        return self.folder / "submitit"

    def job_of(self, batch: int) -> str | None:
        """Return the queue's name of a job, such as `17_3`; of a single one its number alone."""
        if self.job is None:
            return None
        return self.job if len(self.batches) == 1 else f"{self.job}_{batch}"

    def save(self) -> None:
        """Write it down durably."""
        write_json(self.folder / MANIFEST, {"version": VERSION, "job": self.job, "batches": self.batches})

    def submitted(self, job: str) -> Manifest:
        """Return it with the queue's number, written down."""
        found = replace(self, job=job)
        found.save()
        return found

    def remove(self, *, logs: bool = True) -> None:
        """Remove it, with all that is beside it, or with all but the `logs`."""
        if logs:
            disk.DISK.remove_folder(self.folder)
            return
        for path in self.folder.iterdir():
            if path.is_file():
                disk.DISK.remove(path)


def new_manifest(jobs: Path, batches: Sequence[Sequence[str]]) -> Manifest:
    """Return a new manifest in the folder `jobs`, written down."""
    folder = jobs / f"{PREFIX}{secrets.token_hex(6)}"
    make_folders(folder)
    made = Manifest(folder=folder, batches=tuple(tuple(batch) for batch in batches))
    made.save()
    return made


def manifests(jobs: Path) -> list[Manifest]:
    """Return every manifest in the folder `jobs`; one that cannot be read was never submitted."""
    found = []
    for path in sorted(jobs.glob(f"{PREFIX}*/{MANIFEST}")):
        try:
            raw = json.loads(read_text(path, limit=2**26))
            if raw["version"] != VERSION:
                continue
            batches = tuple(tuple(str(name) for name in batch) for batch in raw["batches"])
            found.append(Manifest(folder=path.parent, batches=batches, job=raw["job"]))
        except (ValueError, KeyError, TypeError, UserError):
            continue
    return found


def outcome_path(folder: Path, batch: int, place: int) -> Path:
    """Return where the outcome of a call stands: `{"value": …}`, `{"raised": …}` or `{"died": …}`."""
    return folder / f"{batch}-{place}.json"


def begun_path(folder: Path, batch: int, place: int) -> Path:
    """Return the file that is there when a call has begun."""
    return folder / f"{batch}-{place}.begun"


def read_outcome(path: Path) -> dict[str, Any] | None:
    """Return the outcome of a call, or None where there is none yet."""
    if not path.is_file():
        return None
    return json.loads(read_text(path))
