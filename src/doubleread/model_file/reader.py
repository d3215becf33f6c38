"""Reading a new image with every trained seed of an arm, prepared as the images were that it was trained on."""

# R seeds, C classes

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from scipy.special import expit, softmax
from scipy.stats import t
from torch import nn

from doubleread.dataset import PreparedSet, open_prepared
from doubleread.errors import UserError
from doubleread.files import read_bytes
from doubleread.images.pixels import decode, resize
from doubleread.nouns import RunData, State
from doubleread.recipe import Recipe
from doubleread.store import Store, weights_path
from doubleread.study import study_of
from doubleread.training.evaluation import Evaluator
from doubleread.training.model import build_model, without_init
from doubleread.training.pixels import Scaling, scaling_of

MOST_SEEDS = 30
"""Seeds of an arm that read an image, the first of those whose weights are kept."""
MOST_WEIGHTS = 2**32
"""Bytes of one file of weights that is read."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """What the seeds of an arm say of one image.

    `chances_RC` are each seed's probabilities, (R, C); `mean_C` their mean over the seeds, what the seeds averaged as
    one predictor would say; `lo_C` and `hi_C` bound the 95 % t interval of that mean over the seeds, NaN with one seed.
    It counts the chance of the training alone: it is no statement about this image. `called` is the class with the
    highest mean, of two classes at a threshold of 0.5. `pixels` is the image as the model saw it, before scaling.
    """

    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    chances_RC: np.ndarray
    mean_C: np.ndarray
    lo_C: np.ndarray
    hi_C: np.ndarray
    called: int
    pixels: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmReader:
    """The trained seeds of one arm, ready to read images; made by `open_reader`."""

    study: str
    arm: str
    seeds: tuple[int, ...]
    models: tuple[nn.Module, ...]
    recipe: Recipe
    data: PreparedSet
    scalings: tuple[Scaling, ...]
    place: torch.Tensor
    """Where the image lies that is read, (1, height, width[, 3]), uint8; the evaluators look there."""
    evaluators: tuple[Evaluator, ...]

    def read(self, content: bytes) -> Reading:
        """Return what the seeds say of a JPEG or PNG.

        Raises:
            UnreadableImage: it is none, or damaged; the text is the reason.
        """
        pixels = self.prepared(content)
        self.place[0] = torch.from_numpy(np.array(pixels))
        logits = np.stack([evaluator.logits(np.zeros(1, np.int64))[0] for evaluator in self.evaluators])
        chances_RC = _chances(logits.astype(np.float64))
        mean_C, seeds = chances_RC.mean(axis=0), len(self.seeds)
        half_C = np.full_like(mean_C, np.nan)
        if seeds > 1:
            half_C = t.ppf(0.975, seeds - 1) * chances_RC.std(axis=0, ddof=1) / seeds**0.5
        return Reading(
            classes=self.data.classes,
            seeds=self.seeds,
            chances_RC=chances_RC,
            mean_C=mean_C,
            lo_C=np.clip(mean_C - half_C, 0.0, 1.0),
            hi_C=np.clip(mean_C + half_C, 0.0, 1.0),
            called=int(mean_C[1] > 0.5) if len(mean_C) == 2 else int(mean_C.argmax()),
            pixels=pixels,
        )

    def prepared(self, content: bytes) -> np.ndarray:
        """Return an image file's pixels as the images were prepared that the arm was trained on, uint8."""
        colour = self.data.images.ndim == 4
        return resize(decode(content, colour=colour), self.data.images.shape[1])


def open_reader(store: Store, study: str, arm: str) -> ArmReader:
    """Return the reader of an arm's finished runs whose weights are kept.

    Raises:
        UserError: the store has no such study or arm, or no weights of it that can be read.
    """
    document = store.study_document(study)
    if document is None:
        raise UserError(f"study {study}", "not in the store")
    found = {one.name: one for one in study_of(document).arms}
    if arm not in found:
        raise UserError(f"arm {arm}", f"not an arm of {study}", f"expected one of {', '.join(found)}")
    rows = [row for row in store.runs_of(study) if row["arm"] == arm and row["state"] == State.DONE]
    kept = [row for row in rows if weights_path(store.root, row["run_id"]).is_file()][:MOST_SEEDS]
    if not kept:
        raise UserError(f"arm {arm}", "no weights of it are kept", "", "train it with keep_weights: all")
    recipe, data = without_init(found[arm].recipe), open_prepared(store.data_folder / kept[0]["data_hash"])
    intensity = found[arm].data.intensity
    runs = [data.run_data(row["seed"]) for row in kept]
    models = [
        _model(recipe, row["seed"], run, weights_path(store.root, row["run_id"]))
        for row, run in zip(kept, runs, strict=True)
    ]
    scalings = _scalings(intensity, runs)
    place = torch.zeros((1, *data.images.shape[1:]), dtype=torch.uint8)
    return ArmReader(
        study=study,
        arm=arm,
        seeds=tuple(row["seed"] for row in kept),
        models=tuple(models),
        recipe=recipe,
        data=data,
        scalings=scalings,
        place=place,
        evaluators=tuple(
            Evaluator(model, intensity, run, place, scaling=scaling, test_time=recipe.test_time)
            for model, run, scaling in zip(models, runs, scalings, strict=True)
        ),
    )


def _model(recipe: Recipe, seed: int, data: RunData, path: Path) -> nn.Module:
    model = build_model(recipe, seed, data)
    try:
        model.load_state_dict(load(read_bytes(path, limit=MOST_WEIGHTS)))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"seed {seed}",
            f"its weights cannot be read ({error})",
            "",
            "doubleread status --verify lists what is damaged",
        ) from error
    return model.eval()


def _scalings(intensity: str, runs: Sequence[RunData]) -> tuple[Scaling, ...]:
    """Return each run's scaling; runs of the same training images share it, for it may take all their pixels."""
    found: dict[bytes, Scaling] = {}
    for run in runs:
        if (key := run.train.tobytes()) not in found:
            found[key] = scaling_of(intensity, run)
    return tuple(found[run.train.tobytes()] for run in runs)


def _chances(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, (R, C), of logits (R,) of the positive class, or (R, C)."""
    if logits.ndim == 2:
        return softmax(logits, axis=1)
    return np.stack([expit(-logits), expit(logits)], axis=1)
