"""`prune`: free the space of stored weights."""

from __future__ import annotations

from pathlib import Path

from doubleread.api import prune
from doubleread.cli.show import counted, out, print_json
from doubleread.errors import UserError
from doubleread.store import open_store


def prune_command(name: str | None, keep: str, root: Path, dry_run: bool, as_json: bool) -> None:
    """Remove weights of one study's runs or of all; a run that is the best of any study's arm stays with `best`."""
    if keep not in ("best", "none"):
        raise UserError("--keep", f'got "{keep}"', "expected best or none")
    # opened for reading first: a store that is not there is an error, never a new one
    with open_store(root):
        pass
    with open_store(root, write=True) as store:
        done = prune(store, name, keep=keep, dry_run=dry_run)
    if as_json:
        print_json({"store": str(root), "removed": done.runs, "bytes": done.freed, "dry_run": dry_run})
    else:
        verb = "would remove" if dry_run else "removed"
        out().print(f"{verb} the weights of {counted(done.runs, 'run')}, {done.freed / 2**20:,.1f} MiB")
