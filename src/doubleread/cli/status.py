"""`status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from doubleread.cli.show import counted, out, print_json
from doubleread.engines.squeue import Unanswered, Waiting, left_in_queue
from doubleread.errors import UserError
from doubleread.store import JOBS, Store, attempt_of, open_store, standing


def status_command(name: str | None, root: Path, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    """Print the states of the runs of one study or of all; `more` goes into the JSON too."""
    with open_store(root) as store:
        known = [study["name"] for study in store.studies()]
        if name is not None and name not in known:
            listed = ", ".join(known) or "none"
            raise UserError(f"--store {root}", f"no study {name}", f"it has {listed}")
        found = [standing(store, study) for study in known if name in (None, study)]
        silent = _add_queues(store, found)
    if as_json:
        print_json({"store": str(root), "studies": found, **(more or {})})
        return
    for study in found:
        counts = ", ".join(f"{n} {state}" for state, n in study["runs"].items() if n and state != "planned")
        out().print(f"{study['study']}: {counted(study['runs']['planned'], 'run')}: {counts}")
        for run in study["running"]:
            out().print(f"  {run['arm']}, seed {run['seed']}: epoch {run['epoch']} of {run['epochs']}")
        for line in _queue_lines(study["queue"]):
            out().print(f"  {line}")
        if study["seconds_left"] is not None:
            out().print(f"  about {study['seconds_left']:.0f} s of training left for each worker at work")
        for run in study["not_done"]:
            out().print(f"  {run['arm']}, seed {run['seed']}: {run['state']}, {run['reason']}", soft_wrap=True)
    if silent:
        out().print(f"the queue of Slurm does not say how its jobs stand: {silent}", soft_wrap=True)


def _add_queues(store: Store, studies: Sequence[dict[str, Any]]) -> str:
    """Give each study its `queue`, the jobs that Slurm has of it, or None; return why Slurm does not say."""
    try:
        jobs: list[Waiting] | None = left_in_queue(store.root / JOBS)
        silent = ""
    except Unanswered as error:
        jobs, silent = None, str(error)
    for study in studies:
        mine = {row["run_id"] for row in store.runs_of(study["study"])} if jobs else set()
        study["queue"] = None if jobs is None else [found for job in jobs if (found := _of_study(job, mine))["runs"]]
    return silent


def _of_study(job: Waiting, run_ids: set[str]) -> dict[str, Any]:
    runs = sum(attempt_of(name)[0] in run_ids for name in job.calls)
    return {"job": job.job, "state": job.state, "reason": job.reason, "starts": job.starts, "runs": runs}


def _queue_lines(queue: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Return a line for each state of jobs, with the reason of those that wait."""
    alike: dict[tuple[str, str], list[int]] = {}
    for job in queue or ():
        reason = "" if job["reason"] == "None" else f" ({job['reason']})"
        alike.setdefault((job["state"].lower(), reason), []).append(job["runs"])
    return [
        f"Slurm: {counted(len(runs), 'job')} {state}{reason}, {counted(sum(runs), 'run')} to go"
        for (state, reason), runs in sorted(alike.items())
    ]
