"""What a model says of images, as a table: the interface from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from doubleread.late import late
from doubleread.model_file.predictor import Predictor
from doubleread.model_file.reading import Given, columns_of, read_images

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = late("pandas")


def predict(
    model: Predictor, images: Sequence[Given] | np.ndarray | str | Path, *, threads: int | None = None
) -> pd.DataFrame:
    """Return what a model says of images, a row each, with the columns of the command `predict`.

    `images` are a path or several, one array (height, width), or several of (height, width[, 3]), uint8 or uint16. One
    that cannot be read has the reason as its `error`, and nothing else. `threads` are those of the model, by default as
    many as in training: others change the last bits, as does the number of images that are read together.
    """
    alone = isinstance(images, str | Path) or (isinstance(images, np.ndarray) and images.ndim == 2)
    given: Sequence[Any] = [images] if alone else list(cast("Sequence[Given]", images))
    answers = read_images(model, given, threads=threads)
    rows = [{"image": one.image, **one.facts, "error": one.error} for one in answers]
    return pd.DataFrame(rows, columns=["image", *columns_of(model), "error"])
