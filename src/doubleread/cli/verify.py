"""`status --verify`: read every stored file and compare it with what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doubleread.cli.show import err, out
from doubleread.cli.status import status_command
from doubleread.errors import WorkFailed
from doubleread.runner import Progress
from doubleread.store.verify import Verified, verify_store


def verify_command(name: str | None, root: Path, as_json: bool) -> None:
    """Print the states of runs, and what is damaged; leave with 1 if something is."""
    with Progress(err(), "verify") as show:
        checked = verify_store(root, lambda done, total: show.reading("reading runs", done, total))
    status_command(name, root, as_json, {"verified": _as_dict(checked)})
    if not as_json:
        _print(checked)
    if checked.damaged_runs or checked.damaged_sets:
        raise WorkFailed("the store has damaged files; doubleread run makes them again")


def _as_dict(checked: Verified) -> dict[str, Any]:
    return {
        "runs": checked.runs,
        "sets": checked.sets,
        "damaged": [{"run": name, "reason": why} for name, why in checked.damaged_runs.items()],
        "damaged_sets": [{"set": name, "reason": why} for name, why in checked.damaged_sets.items()],
        "marked": checked.marked,
    }


def _print(checked: Verified) -> None:
    damaged = [*checked.damaged_runs.items()]
    damaged += [(f"prepared set {name}", why) for name, why in checked.damaged_sets.items()]
    sets = f"{checked.sets} prepared {'set' if checked.sets == 1 else 'sets'}"
    read = f"{checked.runs} {'run' if checked.runs == 1 else 'runs'} and {sets} read"
    out().print(f"{read}, {len(damaged)} damaged")
    for name, why in damaged:
        out().print(f"  {name}: {why}", soft_wrap=True)
    if not checked.marked:
        out().print("  not marked, because the store is in use or cannot be written to; ask again when it can")
