"""Trained runs of a store as a predictor: their weights, their scaling, their preparation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from doubleread import __version__
from doubleread.dataset import PreparedSet, open_prepared
from doubleread.errors import UserError, did_you_mean
from doubleread.files import read_bytes, sha256
from doubleread.model_file.document import Cut, Document, Member, Preprocessing
from doubleread.model_file.predictor import Predictor
from doubleread.models import NotBuilt, source_of
from doubleread.nouns import RunData, State, bits_of
from doubleread.recipe import Recipe
from doubleread.store import Store, weights_path
from doubleread.study import Arm, study_of
from doubleread.training.model import build_model, shapes_of, without_init
from doubleread.training.pixels import Scaling, scaling_of

MOST_SEEDS = 30
"""Seeds of an arm that read an image on a page, the first of those whose weights are kept."""
MOST_WEIGHTS = 2**32
"""Bytes of one file of weights that is read."""
HALF = Cut(rule="0.5", chosen=False, probability=0.5, logit=0.0)


def open_reader(store: Store, study: str, arm: str, seeds: Sequence[int] | None = None) -> Predictor:
    """Return an arm's finished runs whose weights are kept, all up to `MOST_SEEDS` or those of `seeds`, as a predictor.

    It calls at 0.5, and knows neither a calibration nor what its training images look like.

    Raises:
        UserError: the store has no such study, arm or seed, or no weights of it that can be read.
    """
    found, rows = kept_runs(store, study, arm)
    if seeds is None:
        rows = rows[:MOST_SEEDS]
    elif missing := sorted(set(seeds) - {row["seed"] for row in rows}):
        there = ", ".join(str(row["seed"]) for row in rows)
        raise UserError(f"arm {arm}", f"no weights of seed {missing[0]} are kept", f"expected one of {there}")
    else:
        rows = [row for row in rows if row["seed"] in set(seeds)]
    data = open_prepared(store.data_folder / rows[0]["data_hash"])
    recipe = without_init(found.recipe)
    intensity = found.data.intensity
    runs = [data.run_data(row["seed"]) for row in rows]
    contents = [_weights(store, row) for row in rows]
    members = [
        Member(
            seed=row["seed"],
            run=row["run_id"],
            weights=f"seed-{row['seed']}.safetensors",
            sha256=sha256(content),
            shift=scaling.shift,
            factor=scaling.factor,
            each=scaling.each,
        )
        for row, content, scaling in zip(rows, contents, _scalings(intensity, runs), strict=True)
    ]
    document = _document(store, study, found, data, members)
    models = tuple(model_of(document, recipe, member, one) for member, one in zip(members, contents, strict=True))
    return Predictor(document=document, recipe=recipe, models=models)


def kept_runs(store: Store, study: str, arm: str) -> tuple[Arm, list[Mapping[str, Any]]]:
    """Return an arm of a stored study, and the rows of its finished runs whose weights are kept, by seed.

    Raises:
        UserError: the store has no such study or arm, or no weights of it.
    """
    document = store.study_document(study)
    if document is None:
        raise UserError(f"study {study}", "not in the store")
    found = {one.name: one for one in study_of(document).arms}
    if arm not in found:
        raise UserError(f"arm {arm}", f"not an arm of {study}", did_you_mean(arm, found))
    rows = [row for row in store.runs_of(study) if row["arm"] == arm and row["state"] == State.DONE]
    kept = [row for row in rows if weights_path(store.root, row["run_id"]).is_file()]
    if not kept:
        raise UserError(f"arm {arm}", "no weights of it are kept", "", "train it with keep_weights: all")
    return found[arm], sorted(kept, key=lambda row: row["seed"])


def model_of(document: Document, recipe: Recipe, member: Member, content: bytes) -> nn.Module:
    """Return the network of a member with its weights, ready to be evaluated.

    Raises:
        UserError: it cannot be built, or these are not its weights.
    """
    try:
        tensors = load(content)
        # before anything is allocated: a document could ask for a network of any size
        expected = shapes_of(recipe, _shaped(document))
        if expected is not None and expected != {name: tuple(tensor.shape) for name, tensor in tensors.items()}:
            raise UserError(f"seed {member.seed}", "its weights are not those of this network", "", "export it again")
        if not all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point()):
            raise UserError(f"seed {member.seed}", "its weights are no finite numbers", "", "export it again")
        model = build_model(recipe, member.seed, _shaped(document))
        model.load_state_dict(tensors)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise UserError(
            f"seed {member.seed}",
            f"its weights cannot be read ({str(error).splitlines()[0]})",
            "",
            "doubleread status --verify lists what is damaged",
        ) from error
    return model.eval()


def untrained(predictor: Predictor, seed: int) -> nn.Module:
    """Return the same network with weights that never learned anything, those of `seed`.

    A branch that starts as nothing, by a factor of zero behind it, is let in: else it would have no map.
    """
    model = build_model(predictor.recipe, seed, _shaped(predictor.document)).eval()
    with torch.no_grad():
        for name, values in model.named_parameters():
            if name.endswith("weight") and not values.any():
                values.fill_(1.0)
    return model


def _shaped(document: Document) -> RunData:
    """Return images of the shape that the model takes, for those who build it: none of them is looked at."""
    how, nothing = document.preprocessing, np.zeros(0, np.int64)
    shape = (1, how.image_size, how.image_size, *((3,) if how.channels == 3 else ()))
    return RunData(
        images=np.zeros(shape, np.uint8),
        labels=nothing,
        train=nothing,
        val=nothing,
        test=nothing,
        classes=len(document.classes),
    )


def _weights(store: Store, row: Mapping[str, Any]) -> bytes:
    try:
        return read_bytes(weights_path(store.root, row["run_id"]), limit=MOST_WEIGHTS)
    except OSError as error:
        raise UserError(f"seed {row['seed']}", f"its weights cannot be read ({error.strerror})") from error


def _document(store: Store, study: str, arm: Arm, data: PreparedSet, members: list[Member]) -> Document:
    document = store.study_document(study)
    assert document is not None, "its arm was found"
    try:
        source = source_of(arm.recipe.model.name)
    except NotBuilt as error:
        raise UserError(f"model {arm.recipe.model.name}", str(error)) from error
    recipe = without_init(arm.recipe).model_dump(mode="json", exclude_defaults=True)
    return Document(
        made_by=f"doubleread {__version__}",
        study=study,
        question=study_of(document).question,
        arm=arm.name,
        kind="ensemble" if len(members) > 1 else "seed",
        members=members,
        recipe=recipe,
        preprocessing=Preprocessing(
            image_size=data.images.shape[1],
            channels=3 if data.images.ndim == 4 else 1,
            bits=16 if bits_of(data.images) == 16 else 8,
            intensity=arm.data.intensity,
        ),
        classes=list(data.classes),
        threshold=HALF if len(data.classes) == 2 else None,
        calibration=None,
        likeness=None,
        data_hash=data.data_hash,
        cases=data.counts(),
        metrics={},
        remarks=[],
        source=None if source is None else sha256(read_bytes(source, limit=2**26)),
        environment={"torch": torch.__version__},
    )


def _scalings(intensity: str, runs: Sequence[RunData]) -> tuple[Scaling, ...]:
    """Return each run's scaling; runs of the same training images share it, for it may take all their pixels."""
    found: dict[bytes, Scaling] = {}
    for run in runs:
        if (key := run.train.tobytes()) not in found:
            found[key] = scaling_of(intensity, run)
    return tuple(found[run.train.tobytes()] for run in runs)
