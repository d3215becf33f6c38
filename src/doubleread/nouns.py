"""The nouns that packages hand to each other, frozen, and the protocols between packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

import numpy as np

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
VARIED = "@"
"""Stands in the name of an arm under another value of an assumption, between the arm's own name and that value."""


INTENDED_USE = "For research and teaching only. Not a medical device; nothing here is advice about a patient."
"""Said with everything that a reader could take for more."""


class State(StrEnum):
    """What has become of a run; only `done` enters the statistics."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One image as a source lists it, before it is read.

    `case` is unique within the source; `part` is the split that the source itself puts it in, None where the
    source has none; `subject` is the person it comes from, None where the source does not say.
    """

    case: str
    class_name: str
    part: Split | None
    subject: str | None = None


class Source(Protocol):
    """Images somewhere. Listing is cheap; reading may be called from several threads at once.

    One whose images take work may be read by several processes too, each with a copy of the source.
    """

    @property
    def kind(self) -> str:
        """`folder`, `dicom`, `npy`, `medmnist`, `table`, `phantom` or `arrays`."""
        ...

    @property
    def location(self) -> str:
        """The path or name as the user knows it, for messages and the report."""
        ...

    @property
    def items(self) -> Sequence[Item]:
        """Every image that the source lists, in a stable order."""
        ...

    def digest(self, index: int) -> str:
        """Return a hexadecimal SHA-256 of the item's stored content (for a phantom: of what determines it).

        Raises:
            UnreadableImage: the content cannot be had; the text is the reason.
        """
        ...

    def mode(self, index: int) -> str:
        """Return how the pixels are stored, by Pillow's name of the mode: `L` for grey, `RGB` for colour, `I;16` and
        `RGB;16` where they have more than 8 bits.

        Raises:
            UnreadableImage: the image cannot be used; the text is the reason.
        """
        ...

    def read(self, index: int, *, colour: bool = False) -> np.ndarray:
        """Return the pixels, uint8 or uint16: grey, shape (height, width), or in `colour`, (height, width, 3).

        Raises:
            UnreadableImage: the image cannot be used; the text is the reason.
        """
        ...

    def shown(self, index: int) -> str:
        """Return what the user knows the item as, for the terminal in front of them; it is never kept."""
        ...


DEEP_STEPS = 257
"""Steps of 16 bits to one of 8: 65535 / 255."""


def shape_of(images: np.ndarray) -> tuple[int, int, int]:
    """Return (channels, height, width) of one of the images, (N, height, width) or (N, height, width, channels)."""
    height, width = images.shape[1:3]
    return (images.shape[3] if images.ndim == 4 else 1, height, width)


def bits_of(images: np.ndarray) -> int:
    """Return how many bits each channel of stored images has: 8 or 16."""
    return 8 * images.dtype.itemsize


@dataclass(frozen=True, kw_only=True)
class RunData:
    """What one run is trained and tested on: all images, and which of them are in which split.

    `images` has shape (N, size, size), or (N, size, size, 3) in colour, uint8 or uint16; `labels` (N,), int64, from 0
    to `classes` − 1; `train`, `val` and `test` are rows of both, int64.
    """

    images: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    classes: int = 2

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image as a model takes it: (channels, height, width)."""
        return shape_of(self.images)

    def rows(self, split: Split) -> np.ndarray:
        """Return the rows of one split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


@dataclass(frozen=True, kw_only=True, slots=True)
class Compute:
    """How a run is computed; part of its identity, because the last bits of its numbers depend on it.

    `precision` is that of the products (see `Recipe`), as it has been resolved. `path` is
    `reference` (autograd), `tiles` (a perceptron's closed form by PyTorch's operations), `native` (the same by the
    compiled routine) or `stacked` (runs of equal shape in one batched computation).
    """

    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    path: Literal["reference", "tiles", "native", "stacked"]


REFERENCE = Compute(device="cpu", precision="fp32", path="reference")
"""The path that every other is measured against."""
