"""What every route needs: the store, the trainings, the process for long work, the templates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request
from jinja2 import Environment
from starlette.responses import HTMLResponse

from doubleread import model_file
from doubleread.errors import UserError
from doubleread.report import words
from doubleread.report.templating import templates_of
from doubleread.server.heavy import Later
from doubleread.server.jobs import Jobs
from doubleread.store import Store, open_store
from doubleread.study import BUILT_IN, load_study


def _environment() -> Environment:
    made = templates_of("doubleread.server", "doubleread.report")
    made.filters["number"] = lambda value, digits=4: "–" if value is None else f"{value:.{digits}g}".replace("-", "−")
    made.filters["percent"] = lambda value: "–" if value is None else f"{100 * value:.1f} %"
    made.globals.update(intended_use=words.INTENDED_USE, labels=words.LABELS)
    return made


@dataclass(eq=False)
class Context:
    """The store in `root`, the folder whose study files can be started, and what works beside the pages.

    `model` is the saved model that is served, with its `document`; `token` tells whether requests need one.
    """

    root: Path
    studies_folder: Path
    jobs: Jobs
    later: Later = field(default_factory=Later)
    reading: Later = field(default_factory=Later)
    model: Path | None = None
    document: dict[str, Any] | None = None
    token: bool = False
    read_seconds: float = 60.0
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    waiting: int = 0
    templates: Environment = field(default_factory=_environment)

    def render(self, template: str, **values: Any) -> HTMLResponse:
        """Return a page."""
        return HTMLResponse(self.templates.get_template(template).render(**values))

    @property
    def bare(self) -> bool:
        """Whether a model is served without a store."""
        return self.document is not None and not self.root.exists()

    def end_processes(self) -> None:
        """End what computes and reads, whatever it is at."""
        self.later.restart()
        self.reading.restart()

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the store for reading."""
        with open_store(self.root) as store:
            yield store

    @contextmanager
    def store_with(self, study: str) -> Iterator[Store]:
        """Open the store for reading where it has a study; else the answer is 404."""
        with self.store() as store:
            if store.study_document(study) is None:
                raise HTTPException(404, f"no study {study} in the store")
            yield store

    def startable(self) -> dict[str, str]:
        """Return the studies that can be started by name: built-in ones, files of the folder, those of the store."""
        found = {name: name for name in BUILT_IN}
        for path in sorted([*self.studies_folder.glob("*.yaml"), *self.studies_folder.glob("*.yml")]):
            try:
                found[load_study(path).name] = str(path)
            except (UserError, OSError):
                # other files of YAML lie about in folders
                continue
        # what the store knows goes on as it is there, with the seeds and settings that it was given
        with self.store() as store:
            return found | {study["name"]: study["name"] for study in store.studies()}

    @property
    def explains(self) -> bool:
        """Whether saliency maps can be had."""
        return model_file.can_explain()


def context_of(request: Request) -> Context:
    """Return the context of the application that a request came to."""
    return request.app.state.context
