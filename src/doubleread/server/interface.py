"""The interface over HTTP, described by OpenAPI: the same facts as the pages, as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, File, Form, HTTPException, Path, Query, UploadFile
from pydantic import BaseModel, Field

from doubleread.errors import UnreadableImage, UserError
from doubleread.nouns import State
from doubleread.server.context import Context, context_of
from doubleread.server.heavy import read_image
from doubleread.server.live import growing_curves, snapshot, version_of
from doubleread.server.runs import run_details
from doubleread.store import Listing, list_runs

MOST_ROWS = 500
MOST_UPLOAD = 24 * 2**20
"""Bytes of an image that is read."""
MOST_WAITING = 8
"""Images that are read or wait for it."""
SORTS = Literal[
    "arm", "seed", "state", "epochs", "train_loss", "val_loss", "train_accuracy", "val_accuracy", "seconds", "finished"
]
StudyName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$", description="a study's name")]
RunId = Annotated[str, Path(pattern=r"^[0-9a-f]{20}$", description="a run")]
Here = Annotated[Context, Depends(context_of)]
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "the store has no such study, run or arm"}}
BUSY: dict[int | str, dict[str, Any]] = {409: {"description": "it is being trained, or it is not"}}
BUSY_READING: dict[int | str, dict[str, Any]] = {
    413: {"description": "larger than is read"},
    422: {"description": "not an image that can be read, or a value that is not allowed"},
    503: {"description": "it took too long, or others are being read"},
}

router = APIRouter(tags=["doubleread"])


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"] = "ok"


class Wanted(BaseModel):
    """What to train: seeds 0 to `seeds` − 1, and runs at once."""

    seeds: Annotated[int | None, Field(ge=1, le=10_000)] = None
    workers: Annotated[int | None, Field(ge=1, le=1024)] = None


class Started(BaseModel):
    """A study, and whether it is being trained: one that was asked to stop is until its checkpoints are left."""

    study: str
    running: bool


class Runs(BaseModel):
    """One page of a study's runs, and how many there are on all pages."""

    total: int
    runs: list[dict[str, Any]]


class Reading(BaseModel):
    """What the seeds of an arm say of an image: research only.

    `chances` are each seed's probabilities by class, `mean` their mean, `lo` and `hi` its 95 % interval over the seeds.
    """

    study: str
    arm: str
    classes: list[str]
    seeds: list[int]
    chances: list[list[float]]
    mean: list[float]
    lo: list[float | None]
    hi: list[float | None]
    called: str
    threshold: float | None
    image: str
    saliency: dict[str, Any] | None
    intended_use: str = "For research and teaching only. Not a medical device."


@router.get("/healthz")
async def healthz() -> Health:
    """Tell that the server answers."""
    return Health()


@router.get("/api/studies")
def studies(here: Here) -> list[dict[str, Any]]:
    """List the studies of the store."""
    with here.store() as store:
        return store.studies()


@router.get("/api/studies/{study}", responses=MISSING)
def study_now(study: StudyName, here: Here) -> dict[str, Any]:
    """Say how a study stands: as `doubleread status --json`."""
    with here.store_with(study):
        return snapshot(here.root, study)


@router.get("/api/studies/{study}/runs", responses=MISSING)
def study_runs(
    study: StudyName,
    here: Here,
    arm: Annotated[str, Query(max_length=200)] = "",
    state: State | None = None,
    sort: SORTS = "arm",
    descending: bool = False,
    start: Annotated[int, Query(ge=0, le=10**9)] = 0,
    most: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
) -> Runs:
    """List runs, sorted and filtered, a page at a time."""
    wanted = Listing(arm=arm, state=state, by=sort, descending=descending, start=start, most=most)
    with here.store_with(study) as store:
        rows, total = list_runs(store, study, wanted)
    return Runs(total=total, runs=rows)


@router.get("/api/studies/{study}/runs/{run_id}", responses=MISSING)
def study_run(study: StudyName, run_id: RunId, here: Here) -> dict[str, Any]:
    """Say everything of one run."""
    return details_of(here, study, run_id)


@router.get("/api/studies/{study}/curves", responses=MISSING)
def curves(study: StudyName, here: Here) -> dict[str, Any]:
    """Give the curves of a study's first seeds, as far as they have grown."""
    with here.store_with(study):
        return growing_curves(here.root, study)


@router.post("/api/studies/{study}/start", responses={**MISSING, **BUSY})
def start(study: StudyName, wanted: Wanted, here: Here) -> Started:
    """Train what is missing of a study: of the store, built-in, or a file of the server's folder."""
    begin(here, study, wanted.seeds, wanted.workers)
    return Started(study=study, running=True)


@router.post("/api/studies/{study}/stop", responses=BUSY)
def stop(study: StudyName, here: Here) -> Started:
    """Ask a study's training to stop; what has finished is kept, and a start goes on from there."""
    try:
        here.jobs.stop(study)
    except UserError as error:
        raise HTTPException(409, str(error)) from error
    job = here.jobs.of(study)
    return Started(study=study, running=job is not None and job.running)


@router.post(
    "/api/read",
    responses={**MISSING, **BUSY_READING},
)
async def read(
    here: Here,
    study: Annotated[str, Form(max_length=60)],
    arm: Annotated[str, Form(max_length=500)],
    image: Annotated[UploadFile, File(description="a JPEG, PNG, TIFF or DICOM")],
    explain: Annotated[bool, Form()] = False,
) -> Reading:
    """Read an image with every seed of an arm."""
    return Reading(**await read_upload(here, study, arm, image, explain))


def details_of(here: Context, study: str, run_id: str) -> dict[str, Any]:
    """Return everything of one run; one that the study has not is 404."""
    with here.store_with(study) as store:
        found = run_details(store, study, run_id)
    if found is None:
        raise HTTPException(404, f"no run {run_id} in {study}")
    return found


def begin(here: Context, study: str, seeds: int | None, workers: int | None) -> None:
    """Start a study by its name; one that nobody knows is 404, a store that is busy 409."""
    what = here.startable().get(study)
    if what is None:
        raise HTTPException(404, f"no study {study} that could be started")
    try:
        here.jobs.start(study, what, seeds=seeds, workers=workers)
    except UserError as error:
        raise HTTPException(409, str(error)) from error


async def read_upload(here: Context, study: str, arm: str, image: UploadFile, explain: bool) -> dict[str, Any]:
    """Return what an arm says of an uploaded image."""
    version = await asyncio.to_thread(_version, here, study)
    return await in_turn(here, read_image, here.root, study, arm, version, await taken(image), explain)


async def taken(image: UploadFile) -> bytes:
    """Return the content of an uploaded image; one that is too large is 413."""
    content = await image.read(MOST_UPLOAD + 1)
    if len(content) > MOST_UPLOAD:
        raise HTTPException(413, f"an image of at most {MOST_UPLOAD:,} bytes")
    return content


async def in_turn(here: Context, work: Callable[..., Any], *arguments: Any, refusal: int = 404) -> Any:
    """Return `work(*arguments)`; decoding and computing happen in another process, one at a time.

    What the user did wrong is answered with the status `refusal`.
    """
    if here.waiting >= MOST_WAITING:
        raise HTTPException(503, "other images are being read; try again in a moment")
    here.waiting += 1
    try:
        async with here.turns:
            return await _elsewhere(here, refusal, work, *arguments)
    finally:
        here.waiting -= 1


def _version(here: Context, study: str) -> str:
    with here.store_with(study) as store:
        return version_of(store, study)


async def _elsewhere(here: Context, refusal: int, work: Callable[..., Any], *arguments: Any) -> Any:
    future = here.reading.run(work, *arguments)
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), here.read_seconds)
    except UnreadableImage as error:
        raise HTTPException(422, f"the image: {error}") from error
    except UserError as error:
        raise HTTPException(refusal, str(error)) from error
    except TimeoutError as error:
        here.reading.restart()
        raise HTTPException(503, f"it took more than {here.read_seconds:.0f} s") from error
    except BrokenProcessPool as error:
        here.reading.restart()
        raise HTTPException(503, "the process that reads was ended, perhaps out of memory") from error
