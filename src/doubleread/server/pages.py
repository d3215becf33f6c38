"""The pages: studies, one study live, its report, runs, data; reading an image."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, Query, Request, UploadFile
from pydantic import BeforeValidator
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse

from doubleread.errors import UserError
from doubleread.nouns import State
from doubleread.server.context import Context
from doubleread.server.events import events, progress_of
from doubleread.server.heavy import data_of, report_page, verdicts
from doubleread.server.interface import SORTS, Here, RunId, StudyName, begin, details_of, read_upload
from doubleread.server.live import study_in, version_of
from doubleread.server.runs import curves_of_run
from doubleread.store import COLUMNS, Listing, list_runs, standing

PAGE_ROWS = 50
StateOrAny = Annotated[State | None, BeforeValidator(lambda value: value or None)]
"""A form sends its empty choice too."""

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/")
def index(here: Here, request: Request) -> HTMLResponse:
    """The studies of the store, and those that can be started; the model that is served."""
    if here.bare:
        return here.render("index.html", studies=[], new=[], jobs=here.jobs, **_model(here, request))
    with here.store() as store:
        rows = [{**study, **standing(store, study["name"])} for study in store.studies()]
    known = {row["name"] for row in rows}
    new = [name for name in here.startable() if name not in known]
    return here.render("index.html", studies=rows, new=new, jobs=here.jobs, **_model(here, request))


@router.get("/studies/{study}")
def study_page(study: StudyName, here: Here) -> HTMLResponse:
    """One study, live."""
    if here.jobs.of(study) is not None:
        # just started: it is in the store as soon as its images are read
        with here.store() as store:
            if store.study_document(study) is None:
                return here.render("waiting.html", study=study, job=here.jobs.of(study))
    with here.store_with(study) as store:
        found = study_in(store, study)
    progress, *_ = progress_of(here, study)
    return here.render(
        "study.html", study=study, tab="live", question=found.question, progress=progress, grows=found.looks is not None
    )


@router.get("/studies/{study}/events")
async def study_events(study: StudyName, request: Request, here: Here) -> StreamingResponse:
    """Progress as server-sent events."""
    await asyncio.to_thread(_must_be_there, here, study)
    return StreamingResponse(
        events(request, here, study), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


@router.get("/studies/{study}/verdicts")
def study_verdicts(study: StudyName, here: Here) -> HTMLResponse:
    """The verdicts, as a piece of a page; while they are computed, a piece that asks again."""
    with here.store_with(study) as store:
        version = version_of(store, study)
    found = _now(here, verdicts, study, version)
    return here.render("study_verdicts.html", study=study, found=found)


@router.get("/studies/{study}/report")
def study_report(study: StudyName, here: Here) -> HTMLResponse:
    """The report; while it is written, a page that asks again."""
    with here.store_with(study) as store:
        version = version_of(store, study)
    found = _now(here, report_page, study, version)
    if isinstance(found, str):
        # the report brings its own policy, which lets its own scripts run and nothing else
        policy = found.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
        return HTMLResponse(found, headers={"content-security-policy": policy.replace("&#39;", "'")})
    return here.render("writing.html", study=study, tab="report", found=found)


@router.get("/studies/{study}/runs")
def runs_page(
    study: StudyName,
    request: Request,
    here: Here,
    arm: Annotated[str, Query(max_length=200)] = "",
    state: StateOrAny = None,
    sort: SORTS = "arm",
    descending: bool = False,
    page: Annotated[int, Query(ge=1, le=10**7)] = 1,
) -> HTMLResponse:
    """The runs in a table: sorted, filtered, a page at a time."""
    start = (page - 1) * PAGE_ROWS
    wanted = Listing(arm=arm, state=state, by=sort, descending=descending, start=start, most=PAGE_ROWS)
    with here.store_with(study) as store:
        rows, total = list_runs(store, study, wanted)
    template = "runs_table.html" if request.headers.get("hx-target") == "runs" else "runs.html"
    found = here.render(
        template,
        study=study,
        tab="runs",
        rows=rows,
        total=total,
        page=page,
        pages=max(1, -(-total // PAGE_ROWS)),
        wanted=wanted,
        columns=list(COLUMNS),
        states=[one.value for one in State],
    )
    # one address, a page or a piece of one: a browser that goes back must not show the piece
    found.headers["vary"] = "HX-Target"
    return found


@router.get("/studies/{study}/runs/{run_id}")
def run_page(study: StudyName, run_id: RunId, here: Here) -> HTMLResponse:
    """One run: recipe, curves, calls, environment."""
    details = details_of(here, study, run_id)
    return here.render("run.html", study=study, tab="runs", run=details, recipe=json.dumps(details["recipe"], indent=1))


@router.get("/studies/{study}/runs/{run_id}/curves", response_class=JSONResponse)
def run_curves(study: StudyName, run_id: RunId, here: Here) -> dict[str, Any]:
    """The curves of one run, for its chart."""
    return curves_of_run(details_of(here, study, run_id))


@router.get("/studies/{study}/data")
def data_page(study: StudyName, here: Here) -> HTMLResponse:
    """The images and what the audit found; while it is computed, a page that asks again."""
    with here.store_with(study) as store:
        sealed = study_in(store, study).sealed
        hashes = list(dict.fromkeys(row["data_hash"] for row in store.runs_of(study)))
    futures = [here.later.ask(data_of, here.root, data_hash, sealed) for data_hash in hashes[:4]]
    sets = [_found(future) for future in futures]
    return here.render("study_data.html", study=study, tab="data", sets=sets, more=len(hashes) - len(sets))


@router.get("/read")
def reading_page(here: Here, request: Request, study: Annotated[str, Query(max_length=60)] = "") -> HTMLResponse:
    """Choose an arm, drop an image."""
    if here.bare:
        return here.render("read.html", studies=[], **_model(here, request))
    with here.store() as store:
        names = [one["name"] for one in store.studies()]
        chosen = study if study in names else next(iter(names), None)
        try:
            arms = [arm.name for arm in study_in(store, chosen).arms] if chosen is not None else []
        except UserError:
            # kept by an older or newer program: there may be others to choose
            arms = []
    return here.render(
        "read.html", studies=names, study=chosen, arms=arms, explains=here.explains, **_model(here, request)
    )


@router.post("/read")
async def read_image_page(
    here: Here,
    study: Annotated[str, Form(max_length=60)],
    arm: Annotated[str, Form(max_length=500)],
    image: Annotated[UploadFile, File()],
    explain: Annotated[bool, Form()] = False,
) -> HTMLResponse:
    """What the seeds say of the image, as a piece of a page."""
    try:
        found = await read_upload(here, study, arm, image, explain)
    except HTTPException as error:
        return here.render("reading.html", found=None, error=error.detail)
    return here.render("reading.html", found=found, error=None)


@router.post("/studies/{study}/start")
def start_page(
    study: StudyName,
    here: Here,
    seeds: Annotated[str, Form(max_length=6, pattern=r"^\s*(\d{1,5})?\s*$")] = "",
    workers: Annotated[str, Form(max_length=6, pattern=r"^\s*(\d{1,4})?\s*$")] = "",
) -> RedirectResponse:
    """Start, go on with, or extend a study."""
    begin(here, study, int(seeds) if seeds.strip() else None, int(workers) if workers.strip() else None)
    return RedirectResponse(f"/studies/{study}", 303)


@router.post("/studies/{study}/stop")
def stop_page(study: StudyName, here: Here) -> RedirectResponse:
    """Ask a study's training to stop."""
    try:
        here.jobs.stop(study)
    except UserError as error:
        raise HTTPException(409, str(error)) from error
    return RedirectResponse(f"/studies/{study}", 303)


def _model(here: Context, request: Request) -> dict[str, Any]:
    """Return what a page says of the model that is served, and of how to send it images."""
    return {"model": here.document, "address": f"{request.base_url}predict", "token": here.token}


def _must_be_there(here: Context, study: str) -> None:
    with here.store_with(study):
        pass


def _now(here: Context, work: Any, study: str, version: str) -> Any:
    return _found(here.later.ask(work, here.root, study, version=version))


def _found(future: Any) -> Any:
    """Return what a future has: its result; a text in brackets of an error; None while it is computed."""
    if not future.done():
        return None
    error = future.exception()
    return {"error": str(error)} if error is not None else future.result()
