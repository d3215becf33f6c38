"""Runs for TensorBoard: a folder each, written as a draft and renamed when it is whole."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from doubleread import disk
from doubleread.errors import UserError
from doubleread.files import (
    check_folder,
    json_bytes,
    make_folders,
    move_folder,
    read_text,
    sha256,
    user_path,
    write_into,
)
from doubleread.nouns import State
from doubleread.tracking.tracked import TrackedRun
from doubleread.tracking.tracker import NotSent, Unreachable

MARK, EVENTS, UNNAMED = "doubleread.json", "events.out.tfevents.doubleread", "events"
"""What a run's folder holds; the name of its events while it is a draft, by which TensorBoard does not know them."""
MOST_BYTES = 100
# classes that are made at run time, which a type checker does not see
EVENT: Any = event_pb2
SUMMARY: Any = summary_pb2
PLUGIN: Any = plugin_data_pb2


class TensorboardTracker:
    """Runs of doubleread as folders `STUDY/EXPERIMENT/LABEL/seed-N` in one that TensorBoard shows.

    Raises:
        UserError: the folder cannot be written to.
    """

    def __init__(self, folder: str | Path) -> None:
        self._root = user_path(folder, "--tensorboard")
        check_folder(self._root, "--tensorboard")
        self.target, self.option = f"tensorboard {self._root}", f"--tensorboard {shlex.quote(str(self._root))}"

    def known(self, study: str) -> Mapping[str, str]:
        """Return the stamps of the runs of a study that are there, by run id."""
        marks = sorted((self._root / safe(study)).glob(f"*/*/seed-*/{MARK}"))
        return {mark["run_id"]: mark["stamp"] for path in marks if (mark := _read(path)) is not None}

    def send(self, run: TrackedRun) -> None:
        """Write a run's folder, in the place of an older one of the same arm and seed.

        Raises:
            NotSent: its place is taken by something else.
            Unreachable: it cannot be written.
        """
        try:
            self._write(run)
        except OSError as error:
            raise Unreachable(error.strerror or str(error)) from error

    def _write(self, run: TrackedRun) -> None:
        target = self._root.joinpath(*place_of(run))
        self._refuse_taken(target, run)
        draft = target.with_name(f".{target.name}.{run.run_id}.draft")
        disk.DISK.remove_folder(draft)
        make_folders(draft)
        write_into(draft / UNNAMED, events_of(run))
        write_into(
            draft / MARK, json_bytes({**run.facts, "arm": run.arm, "seed": run.seed, "settings": run.parameters})
        )
        disk.DISK.rename(draft / UNNAMED, draft / EVENTS)
        disk.DISK.remove_folder(target)
        move_folder(draft, target)

    def _refuse_taken(self, target: Path, run: TrackedRun) -> None:
        if not target.exists():
            return
        mark = _read(target / MARK)
        if mark is None:
            raise NotSent(f"{target} is there and not of doubleread; move it away")
        if (mark["arm"], mark["seed"]) != (run.arm, run.seed):
            # as where a disk takes A for a
            raise NotSent(f"{target} has the run of another arm, {mark['arm']}; give it another label")


def place_of(run: TrackedRun) -> tuple[str, ...]:
    """Return the names of the folders down to that of a run."""
    experiment, _, label = run.arm.partition("/")
    return safe(run.study), safe(experiment), safe(label), f"seed-{run.seed}"


def safe(name: str) -> str:
    """Return a name of one folder, another one for each name: no slash, no dot at its beginning, not too long."""
    quoted = quote(name, safe=" ,=+@()", errors="surrogatepass") or "%"
    if quoted.startswith("."):
        quoted = f"%2E{quoted[1:]}"
    if len(quoted) <= MOST_BYTES:
        return quoted
    return f"{quoted[:MOST_BYTES]}-{sha256(name.encode(errors='surrogatepass'))[:12]}"


def events_of(run: TrackedRun) -> bytes:
    """Return a run as a file of events."""
    content = io.BytesIO()
    writer = RecordWriter(content)
    for event in _events(run):
        writer.write(event.SerializeToString())
    return content.getvalue()


def _events(run: TrackedRun) -> Iterator[Any]:
    started = run.finished if run.started is None else run.started
    compared = {name: value for name, value in run.parameters.items() if name in run.varied}
    yield EVENT.Event(wall_time=started, file_version="brain.Event:2")
    # its seeds are one group: the table shows their mean for each arm
    session = hparams_pb({"arm": run.arm, **compared}, trial_id=run.arm, start_time_secs=started)
    yield EVENT.Event(wall_time=started, summary=session)
    for name, value, step, moment in [*run.curve_points(), *run.final_points()]:
        yield EVENT.Event(
            wall_time=moment,
            step=step,
            summary=SUMMARY.Summary(value=[SUMMARY.Summary.Value(tag=name, simple_value=value)]),
        )
    yield EVENT.Event(wall_time=run.finished, summary=_end(run))


def _end(run: TrackedRun) -> Any:
    status = "STATUS_SUCCESS" if run.state is State.DONE else "STATUS_FAILURE"
    ended = PLUGIN.SessionEndInfo(status=status, end_time_secs=run.finished)
    about = metadata.create_summary_metadata(PLUGIN.HParamsPluginData(session_end_info=ended))
    value = SUMMARY.Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)
    return SUMMARY.Summary(value=[value])


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a run's folder says of itself, None where it says nothing."""
    try:
        mark = json.loads(read_text(path))
    except (UserError, ValueError):
        return None
    return mark if isinstance(mark, dict) and {"run_id", "stamp", "arm", "seed"} <= set(mark) else None
