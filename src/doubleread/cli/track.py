"""`track`, and what `run` sends while it trains."""

from __future__ import annotations

from pathlib import Path

from doubleread.api import find_study
from doubleread.cli.show import err, out, print_json
from doubleread.errors import WorkFailed
from doubleread.runner import Progress
from doubleread.tracking import Following, not_sent, track_study, trackers_of


def following(mlflow: str | None, tensorboard: Path | None) -> Following:
    """Return what sends the runs of a study while it is trained; its trackers are checked now."""
    return Following(trackers_of(mlflow, tensorboard))


def track_command(name: str, mlflow: str | None, tensorboard: Path | None, store: Path, as_json: bool) -> None:
    """Send the finished runs of a study to trackers; leave with 1 if one could not be sent."""
    trackers = trackers_of(mlflow, tensorboard)
    study = find_study(name, store)
    with Progress(err(), study.name) as show:
        found = track_study(
            store, study, trackers, lambda target, done, total: show.reading(f"sending to {target}", done, total)
        )
    if as_json:
        print_json({"study": study.name, "targets": [one.as_dict() for one in found]})
    else:
        for one in found:
            out().print(
                f"{one.target}: {one.sent} sent, {one.there} already there, {one.failed} failed",
                soft_wrap=True,
            )
    if missing := not_sent(found):
        raise WorkFailed(missing)
