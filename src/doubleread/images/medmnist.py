"""A MedMNIST .npz: `train_images`, `train_labels`, and the same for val and test (Yang et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from doubleread.errors import UserError
from doubleread.files import sha256
from doubleread.images.arrays import check_count, read_npz
from doubleread.images.pixels import check_pixels, mode_of
from doubleread.images.reader import Reader
from doubleread.nouns import SPLITS, Item, Split

KEYS = tuple(f"{split}_{what}" for split in SPLITS for what in ("images", "labels"))

CHEST = (
    *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia", "pneumothorax"),
    *("consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia"),
)
"""The labels of ChestMNIST, in their order (Yang et al. 2023)."""


class MedmnistSource:
    """Images (N, height, width[, 3]), uint8, and labels (N, 1) or (N,), whole numbers, which name the classes.

    Where an image has several labels, as in ChestMNIST, `columns` says which is the `label`: its number, or its name
    where it is one of ChestMNIST's.
    """

    kind = "medmnist"

    def __init__(self, path: Path, columns: Mapping[str, str] | None = None) -> None:
        self.location = str(path)
        arrays = read_npz(path, KEYS)
        if others := set(columns or {}) - {"label"}:
            raise UserError(f"data.columns.{min(others)}", "it has no effect with a MedMNIST file", "", "delete it")
        chosen = (columns or {}).get("label")
        self._at: list[tuple[np.ndarray, int]] = []
        items: list[Item] = []
        for split in SPLITS:
            images, labels = _pair(arrays, split, path, chosen)
            for row, label in enumerate(labels):
                items.append(Item(case=f"{split}/{row:06d}", class_name=str(label), part=split))
                self._at.append((images, row))
        self.items: Sequence[Item] = items

    def digest(self, index: int) -> str:
        """See `Source`."""
        images, row = self._at[index]
        return sha256(f"{images.dtype}{images.shape[1:]}".encode() + np.ascontiguousarray(images[row]).tobytes())

    def mode(self, index: int) -> str:
        """See `Source`."""
        return mode_of(self._at[index][0])

    def read(self, index: int, *, colour: bool = False) -> np.ndarray:
        """See `Source`."""
        images, row = self._at[index]
        return check_pixels(images[row], colour=colour)

    def shown(self, index: int) -> str:
        """See `Source`."""
        return self.items[index].case


def _pair(arrays: dict[str, np.ndarray], split: Split, path: Path, chosen: str | None) -> tuple[np.ndarray, list[int]]:
    missing = [key for key in (f"{split}_images", f"{split}_labels") if key not in arrays]
    if missing:
        raise UserError(
            str(path),
            f"the array {missing[0]} is missing",
            f"expected {', '.join(KEYS)}",
            "add it, or save the images as one .npy per class",
        )
    images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
    labels = _one_label(labels, chosen, f"{path}, {split}_labels")
    if images.ndim == 5 or (images.ndim == 4 and images.shape[3] != 3):
        raise UserError(
            f"{path}, {split}_images",
            f"shape {images.shape}: volumes",
            "expected images, (N, height, width) or (N, height, width, 3)",
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UserError(
            f"{path}, {split}_labels",
            f"{labels.dtype}, shape {labels.shape}",
            "expected one whole number for each image",
        )
    if images.ndim not in (3, 4) or len(images) != len(labels):
        raise UserError(
            f"{path}, {split}_images",
            f"shape {images.shape} beside {len(labels)} labels",
            "expected (images, height, width) with as many images as labels",
        )
    check_count(len(labels), f"{path}, {split}_labels")
    return images, labels.tolist()


def _one_label(labels: np.ndarray, chosen: str | None, place: str) -> np.ndarray:
    """Return one label for each image, (N,): of several the one that was chosen."""
    if labels.ndim != 2:
        several = 1
    elif (several := labels.shape[1]) == 1:
        labels = labels[:, 0]
    if several == 1:
        if chosen is not None:
            raise UserError("data.columns", "label has no effect: each image has one", "", "delete it")
        return labels
    known = CHEST if several == len(CHEST) else ()
    allowed = f"expected a number from 0 to {several - 1}" + (f", or one of {', '.join(known)}" if known else "")
    if chosen is None:
        raise UserError(place, f"{several} labels for each image", allowed, "set data.columns.label")
    if chosen in known:
        return labels[:, known.index(chosen)]
    if not chosen.isdecimal() or int(chosen) >= several:
        raise UserError("data.columns.label", f'got "{chosen}"', allowed)
    return labels[:, int(chosen)]


READER = Reader(
    kind="medmnist",
    layout="a MedMNIST .npz",
    fits=lambda path: path.suffix.lower() == ".npz",
    open=MedmnistSource,
    is_file=True,
    has_columns=True,
)
