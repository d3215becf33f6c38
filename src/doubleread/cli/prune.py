"""`prune`: free the space of stored weights."""

from __future__ import annotations

from pathlib import Path

from doubleread.analysis import analyse, best_runs
from doubleread.cli.show import out, print_json
from doubleread.errors import UserError
from doubleread.runner import study_of
from doubleread.store import open_store, weights_path


def prune_command(name: str | None, keep: str, root: Path, dry_run: bool, as_json: bool) -> None:
    """Remove weights of one study's runs or of all; a run that is the best of any study's arm stays with `best`."""
    if keep not in ("best", "none"):
        raise UserError("--keep", f'got "{keep}"', "expected best or none")
    open_store(root).__exit__()  # a store that is not there is an error, never a new one
    with open_store(root, write=True) as store:
        known = [study["name"] for study in store.studies()]
        if name is not None and name not in known:
            raise UserError(f"--store {root}", f"no study {name}", f"it has {', '.join(known) or 'none'}")
        stay: set[str] = set()
        candidates: set[str] = set()
        for study in known:
            document = store.study_document(study)
            assert document is not None, "a listed study has a document"
            if keep == "best":
                stay |= best_runs(analyse(study_of(document), store))
            if name in (None, study):
                candidates |= {row["run_id"] for row in store.runs_of(study)}
        paths = [weights_path(root, run_id) for run_id in sorted(candidates - stay)]
        paths = [path for path in paths if path.is_file()]
        freed = sum(path.stat().st_size for path in paths)
        if not dry_run:
            for path in paths:
                path.unlink()
    if as_json:
        print_json({"store": str(root), "removed": len(paths), "bytes": freed, "dry_run": dry_run})
    else:
        verb = "would remove" if dry_run else "removed"
        out().print(f"{verb} the weights of {len(paths)} runs, {freed / 2**20:,.1f} MiB", markup=False)
