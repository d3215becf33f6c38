"""Images in memory: arrays, and whatever gives an image and a label for a number, as PyTorch's data sets do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from doubleread.errors import UnreadableImage, UserError, printable
from doubleread.files import sha256
from doubleread.images.pixels import check_pixels, mode_of
from doubleread.nouns import SPLITS, Item, Split

ARRAYS = "arrays"
"""The name of a study's source whose images come from Python."""
NEAR = 1e-3


class Pairs(Protocol):
    """What a `torch.utils.data.Dataset` with a length is: number i gives an image and its label."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class ArraySource:
    """Images in memory, each (height, width), (height, width, 3) or (3, height, width), uint8 or uint16.

    `labels` name the classes, in whole numbers or text; `split` is each image's `train`, `val` or `test`, `subjects`
    the person that it comes from, and `names` what the cases are called (their numbers by default).

    Raises:
        UserError: the lengths do not fit, there are no images, a split or a name is not allowed.
    """

    kind = ARRAYS

    def __init__(
        self,
        images: Sequence[Any] | np.ndarray,
        labels: Sequence[Any] | np.ndarray,
        *,
        split: Sequence[str] | None = None,
        subjects: Sequence[Any] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        n = len(images)
        for what, values in (("labels", labels), ("split", split), ("subjects", subjects), ("names", names)):
            if values is not None and len(values) != n:
                raise UserError(what, f"{len(values):,} for {n:,} images", "expected one for each")
        if not n:
            raise UserError("images", "none", "expected one at least")
        self.location = f"{n:,} images from Python"
        self._images = images
        called = [printable(str(name)) for name in names] if names is not None else [f"{i:06d}" for i in range(n)]
        if len(set(called)) < n:
            raise UserError("names", "two cases have one name", "expected another for each")
        self.items: Sequence[Item] = [
            Item(
                case=called[i],
                class_name=_class_name(labels[i], i),
                part=_part(split[i], i) if split is not None else None,
                subject=printable(str(subjects[i])) if subjects is not None else None,
            )
            for i in range(n)
        ]

    def digest(self, index: int) -> str:
        """See `Source`."""
        pixels = _pixels(self._images[index])
        return sha256(f"{pixels.dtype}{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes())

    def mode(self, index: int) -> str:
        """See `Source`."""
        return mode_of(_pixels(self._images[index])[None])

    def read(self, index: int, *, colour: bool = False) -> np.ndarray:
        """See `Source`."""
        return check_pixels(_pixels(self._images[index]), colour=colour)

    def shown(self, index: int) -> str:
        """See `Source`."""
        return self.items[index].case


def from_datasets(datasets: Mapping[str, Pairs] | Pairs) -> ArraySource:
    """Return the images of a `torch.utils.data.Dataset`, or of one for each of `train`, `val` and `test`.

    An item is a pair of an image and a label. The image may be an array or a tensor of uint8 or uint16, a picture of
    Pillow's, or a tensor of 0 to 1 in steps of 1/255, as torchvision makes them. Each item is asked for once, and kept.

    Raises:
        UserError: a name is no split, a data set is empty, or an item is no pair.
    """
    given = datasets if isinstance(datasets, Mapping) else {"": datasets}
    images: list[Any] = []
    labels: list[Any] = []
    split: list[str] = []
    names: list[str] = []
    for part, dataset in given.items():
        for index, (image, label) in enumerate(_pairs(dataset, part)):
            images.append(image)
            labels.append(label)
            split.append(part)
            names.append(f"{part}/{index:06d}".removeprefix("/"))
    return ArraySource(images, labels, split=split if isinstance(datasets, Mapping) else None, names=names)


def _pairs(dataset: Pairs, part: str) -> Iterator[tuple[np.ndarray, Any]]:
    where = f"datasets[{part!r}]" if part else "the data set"
    for index in range(len(dataset)):
        item = dataset[index]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UserError(f"{where}, item {index}", f"a {type(item).__name__}", "expected a pair: image and label")
        # a copy: some data sets give the same memory each time
        yield np.array(_array(item[0])), item[1]


def _array(image: Any) -> np.ndarray:
    # tensors of PyTorch, which these layers do without, have a way of their own
    return np.asarray(image.detach().cpu().numpy() if hasattr(image, "detach") else image)


def _pixels(image: Any) -> np.ndarray:
    """Return an image as an array, channels last and whole numbers."""
    pixels = _array(image)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[2] not in (1, 3):
        pixels = np.moveaxis(pixels, 0, 2)
    return _whole(pixels) if pixels.dtype.kind == "f" else pixels


def _whole(pixels: np.ndarray) -> np.ndarray:
    if not pixels.size:
        raise UnreadableImage(f"shape {pixels.shape}; expected pixels")
    for top, dtype in ((255, np.uint8), (65535, np.uint16)):
        steps = pixels.astype(np.float64) * top
        whole = np.rint(steps)
        if np.all(np.abs(steps - whole) < NEAR * max(top / 255, 1)) and whole.min() >= 0 and whole.max() <= top:
            return whole.astype(dtype)
    raise UnreadableImage(
        f"{pixels.dtype} pixels that are no steps of 1/255 or 1/65535 from 0 to 1; expected uint8 or uint16, which"
        " data.intensity scales"
    )


def _class_name(label: Any, index: int) -> str:
    value = np.asarray(label)
    if value.size != 1 or value.dtype.kind not in "iuUb":
        raise UserError(f"label {index}", f"got {value.tolist()!r}", "expected one whole number or name for each image")
    one = value.reshape(-1)[0].item()
    return printable(str(int(one) if isinstance(one, bool) else one))


def _part(value: str, index: int) -> Split:
    for part in SPLITS:
        if value == part:
            return part
    raise UserError(f"split {index}", f"got {value!r}", f"expected one of {', '.join(SPLITS)}")
