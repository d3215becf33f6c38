"""Finished runs shown elsewhere: in MLflow and TensorBoard, each once, by whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from doubleread.errors import UserError, WorkFailed
from doubleread.store import open_store
from doubleread.study import Study
from doubleread.tracking.environment import brief
from doubleread.tracking.following import Following
from doubleread.tracking.sending import BUSY, Sender, Tracked, alone
from doubleread.tracking.tracked import FinishedRuns, TrackedRun
from doubleread.tracking.tracker import NotSent, Tracker, Unreachable

try:
    from doubleread.tracking.mlflow_tracker import MlflowTracker
except ModuleNotFoundError:
    MlflowTracker = None
try:
    from doubleread.tracking.tensorboard_tracker import TensorboardTracker
except ModuleNotFoundError:
    TensorboardTracker = None

__all__ = [
    "FinishedRuns",
    "Following",
    "NotSent",
    "Tracked",
    "TrackedRun",
    "Tracker",
    "Unreachable",
    "not_sent",
    "track",
    "track_study",
    "trackers_of",
]


def trackers_of(mlflow: str | None, tensorboard: str | Path | None, place: str = "track") -> tuple[Tracker, ...]:
    """Return the trackers that are asked for, checked as far as can be without asking them.

    Raises:
        UserError: none is, or one is not installed or cannot be there.
    """
    trackers: list[Tracker] = []
    if mlflow is not None:
        if MlflowTracker is None:
            raise _missing("mlflow")
        trackers.append(MlflowTracker(mlflow))
    if tensorboard is not None:
        if TensorboardTracker is None:
            raise _missing("tensorboard")
        trackers.append(TensorboardTracker(tensorboard))
    if not trackers:
        raise UserError(place, "no tracker is named", "expected --mlflow URI, --tensorboard DIR or both")
    return tuple(trackers)


def track_study(
    root: Path,
    study: Study | str,
    trackers: Sequence[Tracker],
    progress: Callable[[str, int, int], object] = lambda _target, _done, _total: None,
) -> tuple[Tracked, ...]:
    """Send the finished runs of a study to each tracker that does not have them; return how they stand there.

    `progress(target, done, total)` is called after each run. Where the store has the study as sealed, or `study` is, no
    number of its test images is sent.

    Raises:
        UserError: there is no such store, or no such study in it.
        WorkFailed: another process sends runs of the store.
    """
    name, sealed = (study.name, study.sealed) if isinstance(study, Study) else (study, False)
    with open_store(root) as store, alone(root) as mine, brief():
        if not mine:
            raise WorkFailed(f"{BUSY}; wait for it, then the same command sends what is left")
        runs = FinishedRuns(store, name, sealed=sealed)
        return tuple(
            Sender(one).send(runs, lambda done, total, one=one: progress(one.target, done, total)) for one in trackers
        )


def not_sent(found: Sequence[Tracked]) -> str:
    """Return what could not be sent and why, a line for each target; empty where all is there."""
    return "\n".join(
        f"{one.failed} of {one.sent + one.there + one.failed} runs were not sent to {one.target}: {one.reason};"
        " the same command sends the rest"
        for one in found
        if one.failed
    )


def track(
    study: Study | str,
    *,
    store: str | Path = "runs",
    mlflow: str | None = None,
    tensorboard: str | Path | None = None,
) -> tuple[Tracked, ...]:
    """Send the finished runs of a study in a store to MLflow, TensorBoard or both; what is there already stays.

    `mlflow` is the address of a server, `sqlite:///FILE` or a folder; `tensorboard` the folder that TensorBoard shows.

    Raises:
        UserError: neither is given, one is not installed or cannot be there, or the store does not have the study.
        WorkFailed: not all runs could be sent; the same call sends the rest.
    """
    found = track_study(Path(store), study, trackers_of(mlflow, tensorboard))
    if missing := not_sent(found):
        raise WorkFailed(missing)
    return found


def _missing(package: str) -> UserError:
    return UserError(f"--{package}", f"{package} is not installed", "", "pip install 'doubleread[tracking]'")
