"""A trained model in use: prepared pixels in, logits and probabilities of every seed out."""

# N images, R seeds, C classes

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from doubleread.images import decode_file, resize, to_depth
from doubleread.late import late
from doubleread.model_file.document import Document
from doubleread.model_file.likeness import Unlike, unlike
from doubleread.nouns import RunData
from doubleread.recipe import Recipe
from doubleread.stats import ensemble_logits
from doubleread.training.evaluation import Evaluator
from doubleread.training.pixels import Scaling

special = late("scipy.special")

scipy_stats = late("scipy.stats")

MOST_THREADS = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What the seeds say of N images.

    `chances_RNC` are each seed's probabilities, `mean_NC` their mean, `sd_NC` the standard deviation over the seeds,
    `lo_NC` and `hi_NC` the 95 % t interval of that mean, NaN with one seed: they count the chance of the training
    alone, and are no statement about an image. `calibrated_NC` is the mean over its temperature, None where none was
    fitted. `called_N` is the class: of two by the threshold, of more the likeliest. `unlike_N` says how far each image
    is from the training images, None where the model does not know.
    """

    chances_RNC: np.ndarray
    mean_NC: np.ndarray
    sd_NC: np.ndarray
    lo_NC: np.ndarray
    hi_NC: np.ndarray
    calibrated_NC: np.ndarray | None
    called_N: np.ndarray
    unlike_N: tuple[Unlike | None, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictor:
    """One or more trained seeds of an arm, with all that goes before and after them; see `document`."""

    document: Document
    recipe: Recipe
    models: tuple[nn.Module, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The negative and the positive class, or all of more than two."""
        return tuple(self.document.classes)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that are averaged."""
        return tuple(member.seed for member in self.document.members)

    @property
    def scalings(self) -> tuple[Scaling, ...]:
        """How pixels enter each seed's model."""
        return tuple(Scaling(one.shift, one.factor, each=one.each) for one in self.document.members)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of prepared pixels: (size, size), or in colour (size, size, 3)."""
        how = self.document.preprocessing
        return (how.image_size, how.image_size, *((3,) if how.channels == 3 else ()))

    @property
    def dtype(self) -> np.dtype:
        """The type of prepared pixels: uint8 or uint16."""
        return np.dtype(np.uint16 if self.document.preprocessing.bits == 16 else np.uint8)

    def prepared(self, content: bytes) -> np.ndarray:
        """Return an image file's pixels as those were prepared that the model was trained on.

        Raises:
            UnreadableImage: it is no JPEG, PNG, TIFF or DICOM, or damaged; the text is the reason.
        """
        return self.resized(decode_file(content, colour=len(self.shape) == 3))

    def resized(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels of any size and depth, grey or in colour as the model takes them, prepared."""
        return to_depth(resize(pixels, self.shape[0]), self.dtype)

    def logits(self, images: np.ndarray, threads: int | None = None) -> np.ndarray:
        """Return the logits of prepared images, (N, *shape): (R, N), or of more than two classes (R, N, C); float32.

        In batches of one fixed size, with as many threads as in training or `threads`: the last bits depend on both.
        """
        before = torch.get_num_threads()
        torch.set_num_threads(min(threads or self.recipe.threads, MOST_THREADS))
        try:
            return np.stack([self._member(model, scaling, images) for model, scaling in self._pairs()])
        finally:
            torch.set_num_threads(before)

    def unlike(self, pixels: np.ndarray) -> Unlike | None:
        """Return how far prepared pixels are from the training images, None where the model does not know."""
        return None if self.document.likeness is None else unlike(self.document.likeness, pixels)

    def predictions(
        self, images: np.ndarray, threads: int | None = None, *, unlike_N: Sequence[Unlike | None] | None = None
    ) -> Predictions:
        """Return what the seeds say of prepared images, (N, *shape).

        `unlike_N` is what `unlike` says of them, where that is known already.
        """
        logits_RN = self.logits(images, threads)
        chances_RNC = chances_of(logits_RN)
        mean_NC, seeds = chances_RNC.mean(axis=0), len(chances_RNC)
        sd_NC = chances_RNC.std(axis=0, ddof=1) if seeds > 1 else np.full_like(mean_NC, np.nan)
        half_NC = scipy_stats.t.ppf(0.975, max(seeds - 1, 1)) * sd_NC / seeds**0.5
        joined = ensemble_logits(logits_RN.astype(np.float64))
        cut, fitted = self.document.threshold, self.document.calibration
        return Predictions(
            chances_RNC=chances_RNC,
            mean_NC=mean_NC,
            sd_NC=sd_NC,
            lo_NC=np.clip(mean_NC - half_NC, 0.0, 1.0),
            hi_NC=np.clip(mean_NC + half_NC, 0.0, 1.0),
            calibrated_NC=None if fitted is None else chances_of(joined[None] / fitted.temperature)[0],
            called_N=(joined > cut.logit).astype(np.int64) if cut is not None else mean_NC.argmax(axis=1),
            unlike_N=tuple(map(self.unlike, images) if unlike_N is None else unlike_N),
        )

    def _pairs(self) -> Sequence[tuple[nn.Module, Scaling]]:
        return list(zip(self.models, self.scalings, strict=True))

    def _member(self, model: nn.Module, scaling: Scaling, images: np.ndarray) -> np.ndarray:
        nothing = np.zeros(0, np.int64)
        # PyTorch wraps no memory that is read-only, as that of a decoded file is
        whole = images if images.flags.writeable else images.copy()
        data = RunData(images=whole, labels=nothing, train=nothing, val=nothing, test=nothing)
        intensity, test_time = self.document.preprocessing.intensity, self.recipe.test_time
        evaluator = Evaluator(model, intensity, data, scaling=scaling, test_time=test_time)
        return evaluator.logits(np.arange(len(images)))


def chances_of(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, (…, C), of logits (…) of the positive class, or with (R, N, C) given, of each class."""
    if logits.ndim == 3:
        return special.softmax(logits.astype(np.float64), axis=2)
    wide = logits.astype(np.float64)
    return np.stack([special.expit(-wide), special.expit(wide)], axis=-1)
