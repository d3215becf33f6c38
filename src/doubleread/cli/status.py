"""`status`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doubleread.cli.show import out, print_json
from doubleread.errors import UserError
from doubleread.store import open_store, standing


def status_command(name: str | None, root: Path, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    """Print the states of the runs of one study or of all; `more` goes into the JSON too."""
    with open_store(root) as store:
        known = [study["name"] for study in store.studies()]
        if name is not None and name not in known:
            listed = ", ".join(known) or "none"
            raise UserError(f"--store {root}", f"no study {name}", f"it has {listed}")
        found = [standing(store, study) for study in known if name in (None, study)]
    if as_json:
        print_json({"store": str(root), "studies": found, **(more or {})})
        return
    for study in found:
        counts = ", ".join(f"{n} {state}" for state, n in study["runs"].items() if n and state != "planned")
        out().print(f"{study['study']}: {study['runs']['planned']} runs: {counts}", markup=False)
        for run in study["running"]:
            out().print(f"  {run['arm']}, seed {run['seed']}: epoch {run['epoch']} of {run['epochs']}", markup=False)
        if study["seconds_left"] is not None:
            out().print(f"  about {study['seconds_left']:.0f} s of training left for each worker at work", markup=False)
        for run in study["not_done"]:
            out().print(f"  {run['arm']}, seed {run['seed']}: {run['state']}, {run['reason']}", markup=False)
