"""A saved model over HTTP: what it is, images read by it, maps of them; described by OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, HTTPException, UploadFile
from pydantic import BaseModel

from doubleread.nouns import INTENDED_USE
from doubleread.server.heavy import explain_with, predict_with
from doubleread.server.interface import BUSY_READING, Here, in_turn, taken

MOST_IMAGES = 64
"""Images of one request."""
NO_MODEL: dict[int | str, dict[str, Any]] = {404: {"description": "the server was started without --model"}}

router = APIRouter(tags=["model"])


class Prediction(BaseModel):
    """What the model says of one image, or the `error` why it could not be read: see `doubleread predict`.

    `probability` is that of the positive class, of more than two that of the one that is called; `probabilities` has
    each class. `sd`, `lo` and `hi` are its spread over the seeds.
    """

    image: str
    called: str | None
    probability: float | None
    probabilities: dict[str, float] | None
    calibrated: float | None
    threshold: float | None
    sd: float | None
    lo: float | None
    hi: float | None
    seeds: int | None
    unlike: bool | None
    distance: float | None
    limit: float | None
    basis: str | None
    error: str | None


class Predictions(BaseModel):
    """What the model says of the images of one request: research only."""

    study: str
    arm: str
    predictions: list[Prediction]
    intended_use: str = INTENDED_USE


class Explanation(BaseModel):
    """Pictures, as `data:` addresses, of an image, its map, and the map of untrained weights: no evidence."""

    called: str
    towards: str
    method: str
    image: str
    trained: str
    untrained: str
    agreement: float | None
    check: str
    no_evidence: str
    intended_use: str = INTENDED_USE


@router.get("/model", responses=NO_MODEL)
def model(here: Here) -> dict[str, Any]:
    """Say what the model is: its `model.json`."""
    return _served(here)


@router.post("/predict", responses={**NO_MODEL, **BUSY_READING})
async def predict(
    here: Here,
    images: Annotated[
        list[UploadFile], File(min_length=1, max_length=MOST_IMAGES, description="JPEG, PNG, TIFF or DICOM")
    ],
) -> Predictions:
    """Read images with the model; one that cannot be read has an `error`, and the others are read all the same."""
    document = _served(here)
    contents = [(image.filename or "", await taken(image)) for image in images]
    found = await in_turn(here, predict_with, here.model, contents)
    return Predictions(study=document["study"], arm=document["arm"], predictions=found)


@router.post("/explain", responses={**NO_MODEL, **BUSY_READING})
async def explain(
    here: Here,
    image: Annotated[UploadFile, File(description="a JPEG, PNG, TIFF or DICOM")],
    method: Annotated[
        Literal["integrated-gradients", "grad-cam", "occlusion"], Form(description="grad-cam needs convolutions")
    ] = "integrated-gradients",
    towards: Annotated[str | None, Form(max_length=2000, description="a class; by default the one called")] = None,
) -> Explanation:
    """Draw which pixels moved the model, beside the same of untrained weights."""
    document = _served(here)
    if towards is not None and towards not in document["classes"]:
        raise HTTPException(422, f"towards: expected one of {', '.join(document['classes'])}")
    content = await taken(image)
    return Explanation(**await in_turn(here, explain_with, here.model, content, method, towards, refusal=422))


def _served(here: Here) -> dict[str, Any]:
    if here.document is None:
        raise HTTPException(404, "no model is served here; start the server with --model")
    return here.document
