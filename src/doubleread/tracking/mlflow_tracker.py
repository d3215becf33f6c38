"""Runs in MLflow: one of its runs each, found again by a tag; on a server, in an SQLite file or in a folder."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from doubleread.errors import UserError
from doubleread.files import check_folder, check_target, user_path
from doubleread.nouns import State
from doubleread.tracking.environment import environment
from doubleread.tracking.tracked import TrackedRun, text_of
from doubleread.tracking.tracker import NotSent, Unreachable

# read while it is imported: it tells its makers nothing, and says nothing of what it does to a database
with environment({"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_LOGGING_LEVEL": "WARNING"}):
    from mlflow.entities import Metric, Param
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

TAG = "doubleread."
RUN, STAMP = f"{TAG}run_id", f"{TAG}stamp"
ENDED = ("FINISHED", "FAILED")
PAGE, BATCH = 200, 500
MOST_NAME, MOST_PARAMETER, MOST_TAG = 250, 500, 5000
"""The longest of each that every server takes, in characters."""
MOST_PARAMETERS = 100
PAUSE = 1.0
"""Seconds before a second try."""
SQLITE = "sqlite:///"
URIS = "expected http://…, https://…, sqlite:///FILE or a folder"
T = TypeVar("T")


class MlflowTracker:
    """Runs of doubleread at an MLflow URI: a server's address, `sqlite:///FILE`, or a folder, which gets such a file.

    Raises:
        UserError: no run can be kept at that URI.
    """

    def __init__(self, uri: str) -> None:
        shown = without_password(uri)
        self.target, self.option = f"mlflow {shown}", f"--mlflow {shown}"
        self._uri, self._artifacts = _resolved(uri)
        self._client: Any = None
        self._experiment: str | None = None
        self._there: dict[str, list[str]] = {}

    def known(self, study: str) -> Mapping[str, str]:
        """Return the stamps of the runs of a study that are there as a whole; remove what a lost answer left twice.

        Raises:
            NotSent: there is no answer, or none that helps.
        """
        with self._answers():
            self._experiment = self._find_experiment(study)
            found = self._search() if self._experiment is not None else []
            whole = {one.data.tags[RUN]: one for one in reversed(found) if one.info.status in ENDED}
            self._there = {}
            for one in found:
                run_id = one.data.tags[RUN]
                if run_id in whole and one.info.status not in ENDED:
                    self._client.delete_run(one.info.run_id)
                else:
                    self._there.setdefault(run_id, []).append(one.info.run_id)
        return {run_id: one.data.tags.get(STAMP, "") for run_id, one in whole.items()}

    def send(self, run: TrackedRun) -> None:
        """Send one run, in the place of what is there of it.

        Raises:
            NotSent: it is refused, or there is no answer.
        """
        try:
            self._send(run)
        except Unreachable:
            time.sleep(PAUSE)
            # the answer alone may have been lost
            if self.known(run.study).get(run.run_id) != run.stamp:
                self._send(run)

    def _send(self, run: TrackedRun) -> None:
        with self._answers():
            if self._experiment is None:
                self._experiment = self._client.create_experiment(run.study, artifact_location=self._artifacts)
            for older in self._there.pop(run.run_id, []):
                self._client.delete_run(older)
            started = _milliseconds(run.finished if run.started is None else run.started)
            made = self._client.create_run(
                self._experiment, start_time=started, tags=tags_of(run), run_name=run.name[:MOST_NAME]
            )
            mine = made.info.run_id
            self._there[run.run_id] = [mine]
            for parameters in _chunks(parameters_of(run), MOST_PARAMETERS):
                self._client.log_batch(mine, params=parameters)
            for metrics in _chunks(metrics_of(run), BATCH):
                self._client.log_batch(mine, metrics=metrics)
            status = "FINISHED" if run.state is State.DONE else "FAILED"
            # last, and in one request: a run that has ended is whole
            self._client.set_terminated(mine, status, end_time=_milliseconds(run.finished))

    def _find_experiment(self, study: str) -> str | None:
        if self._client is None:
            self._client = MlflowClient(tracking_uri=self._uri)
        found = self._client.get_experiment_by_name(study)
        if found is not None and found.lifecycle_stage != "active":
            raise Unreachable(f"its experiment {study} is deleted there; restore it, or remove it for good (mlflow gc)")
        return found.experiment_id if found is not None else None

    def _search(self) -> list[Any]:
        found, token = [], None
        while True:
            page = self._client.search_runs(
                [self._experiment], filter_string=f"tags.`{RUN}` LIKE '%'", max_results=PAGE, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """Say what went wrong in our words; one run that is refused is not the end of the others."""
        try:
            yield
        except NotSent:
            raise
        except MlflowException as error:
            refused = error.error_code == "INVALID_PARAMETER_VALUE"
            raise (NotSent if refused else Unreachable)(why(error)) from error
        except Exception as error:
            # of a database, any of three libraries may speak
            raise Unreachable(why(error)) from error


def tags_of(run: TrackedRun) -> dict[str, str]:
    """Return a run's tags: what is known of it beside parameters and numbers."""
    return {_key(f"{TAG}{name}"): _cut(text, MOST_TAG) for name, text in run.facts.items()}


def parameters_of(run: TrackedRun) -> list[Param]:
    """Return a run's parameters as MLflow has them: texts, the longest of them cut."""
    settings = {"arm": run.arm, **run.parameters}
    # of names that become the same, MLflow takes one
    found = {_key(name): _cut(text_of(value), MOST_PARAMETER) for name, value in settings.items()}
    return [Param(name, text) for name, text in found.items()]


def metrics_of(run: TrackedRun) -> list[Metric]:
    """Return a run's curves and final metrics as MLflow has them."""
    points = [*run.curve_points(), *run.final_points()]
    return [Metric(name, value, _milliseconds(moment), step) for name, value, step, moment in points]


def without_password(uri: str) -> str:
    """Return an address without the name and the password that may stand in it."""
    return re.sub(r"//[^/@\s]*@", "//…@", uri)


def why(error: Exception) -> str:
    """Return in a few words why there was no answer, or what the answer was."""
    text = without_password(" ".join(str(error).split()))
    if "timed out" in text:
        return "no answer in time"
    if found := re.search(r"\[Errno -?\d+\] ([^\])'\"]+)", text):
        return f"no answer ({found[1].strip()})"
    return text.partition(" Response body")[0][:300] or type(error).__name__


def _resolved(uri: str) -> tuple[str, str | None]:
    """Return the URI for MLflow, and where it would keep artifacts, None where a server decides."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", uri)
    if uri.startswith(("http://", "https://")):
        if not _has_host(uri):
            raise UserError("--mlflow", f'no server in "{without_password(uri)}"', URIS)
        return uri.rstrip("/"), None
    if uri.startswith(SQLITE) and len(uri) > len(SQLITE):
        file = user_path(uri.removeprefix(SQLITE), "--mlflow").absolute()
        check_target(file, "--mlflow")
        return f"{SQLITE}{file}", (file.parent / "artifacts").as_uri()
    if scheme is not None or not uri:
        raise UserError("--mlflow", f'got "{without_password(uri)}"', URIS)
    folder = user_path(uri, "--mlflow").absolute()
    _refuse_older(folder)
    check_folder(folder, "--mlflow")
    return f"{SQLITE}{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()


def _has_host(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        # looked at because it may be no number
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _refuse_older(folder: Path) -> None:
    """Stop where MLflow has kept runs as files: it reads them no more beside a database."""
    if any(folder.glob("*/meta.yaml")):
        raise UserError(
            "--mlflow", f"{folder} has runs as files, from an older MLflow", URIS, "move them: mlflow migrate-filestore"
        )


def _chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _key(name: str) -> str:
    return re.sub(r"[^\w.\- ]", "_", name)[:MOST_NAME]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _milliseconds(moment: float) -> int:
    return round(moment * 1000)
