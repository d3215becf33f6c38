"""The built-in source: synthetic chest radiographs with knobs whose effect is known."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from doubleread.errors import UserError
from doubleread.files import hash_of, write_bytes
from doubleread.images.pixels import check_pixels
from doubleread.images.thorax import draw_thorax, render
from doubleread.nouns import SPLITS, Item, Source, Split
from doubleread.seeds import stream

PHANTOM_REVISION = 1
"""Raised whenever the pixels of an equal specification change."""
CLASSES = ("NORMAL", "PNEUMONIA")
NOTE = "Synthetic phantom, not a patient"
MOST = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class PhantomSpec:
    """What the phantom holds; every knob has a known effect.

    Raises: UserError: a value that is not allowed.
    """

    seed: int = 0
    """What every image is drawn from."""
    size: int = 256
    """The side in pixels."""
    train_per_class: int = 1000
    """Images of each class in the training part, where it has equal classes."""
    val_per_class: int = 0
    """The same in the validation part; 0 for none."""
    test_per_class: int = 200
    """The same in the test part; 0 for none."""
    contrast: float = 1.0
    """Scales the density of the pneumonia; with 0 the classes do not differ."""
    test_contrast: float | None = None
    """The same in the test part; as in the others where it is left out."""
    prevalence: float | None = None
    """The share of PNEUMONIA in the test part, which keeps its size; half where it is left out."""
    train_prevalence: float | None = None
    """The same in the training and validation parts."""
    exposure_shift: float = -0.5
    """The exposure of the test part minus that of the others, in stops: below 0 its films are lighter."""
    repeat_subjects: float = 0.2
    """The share of subjects with several images."""
    most_images: int = 4
    """The most images of a subject that has several."""
    duplicates: int = 0
    """Images of the test part that are copies from the training part."""
    train_duplicates: int = 0
    """Images of the training part that are copies of others there."""
    label_noise: float = 0.0
    """The share of each training class that is listed as the other."""
    test_label_noise: float = 0.0
    """The same in the test part."""

    def __post_init__(self) -> None:
        _whole("seed", self.seed, 0, 2**63 - 1)
        _whole("size", self.size, 32, 1024)
        _whole("train_per_class", self.train_per_class, 1, MOST)
        _whole("val_per_class", self.val_per_class, 0, MOST)
        _whole("test_per_class", self.test_per_class, 0, MOST)
        _number("contrast", self.contrast, 0, 5)
        _number("exposure_shift", self.exposure_shift, -3, 3)
        _number("repeat_subjects", self.repeat_subjects, 0, 1)
        _whole("most_images", self.most_images, 2, 99)
        _number("label_noise", self.label_noise, 0, 1)
        _number("test_label_noise", self.test_label_noise, 0, 1)
        if self.train_prevalence is not None:
            _number("train_prevalence", self.train_prevalence, 0, 1)
        if self.prevalence is not None:
            _number("prevalence", self.prevalence, 0, 1)
        if self.test_contrast is not None:
            _number("test_contrast", self.test_contrast, 0, 5)
        _whole("duplicates", self.duplicates, 0, min(self.train_per_class, 2 * self.test_per_class))
        _whole("train_duplicates", self.train_duplicates, 0, self.train_per_class)
        for knob, unset in (("prevalence", None), ("test_contrast", None), ("test_label_noise", 0)):
            if getattr(self, knob) != unset and not self.test_per_class:
                raise UserError(f"data.source.{knob}", "has no effect without a test part", next_step="delete it")


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UserError(f"data.source.{name}", f"got {value!r}", f"expected a whole number from {low} to {high}")


def _number(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UserError(f"data.source.{name}", f"got {value!r}", f"expected a number from {low} to {high}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shot:
    """One image before it is rendered; `made_for` is the part whose exposure and contrast it has."""

    subject: int
    number: int
    truth: str
    label: str
    made_for: Split
    part: Split
    copy: bool = False

    @property
    def item(self) -> Item:
        name = f"phantom-{self.subject:04d}-{self.number:02d}{'-copy' if self.copy else ''}"
        return Item(
            case=f"{self.part}/{self.label}/{name}",
            class_name=self.label,
            part=self.part,
            subject=f"s{self.subject:04d}",
        )


class PhantomSource:
    """The images that a `PhantomSpec` describes; each is rendered when it is read, from its own random streams."""

    kind = "phantom"
    location = "phantom"

    def __init__(self, spec: PhantomSpec) -> None:
        self.spec = spec
        self._shots = _plan(spec)
        self.items: Sequence[Item] = [shot.item for shot in self._shots]
        self.truth: Sequence[str] = [shot.truth for shot in self._shots]
        """The class that each image shows, which label noise does not touch."""

    def __reduce__(self) -> tuple[type[PhantomSource], tuple[PhantomSpec]]:
        # another process plans the images itself
        return PhantomSource, (self.spec,)

    def digest(self, index: int) -> str:
        """See `Source`; knobs without effect on the image stay out, so equal images have equal digests."""
        shot, spec = self._shots[index], self.spec
        numbers = [PHANTOM_REVISION, spec.seed, spec.size, shot.subject, shot.number]
        return hash_of(["phantom", *numbers, self._contrast(shot), self._shift(shot)])

    def mode(self, index: int) -> str:
        """See `Source`."""
        return "L"

    def shown(self, index: int) -> str:
        """See `Source`."""
        return self.items[index].case

    def read(self, index: int, *, colour: bool = False) -> np.ndarray:
        """See `Source`; a radiograph has no colour, so in colour it is grey three times."""
        shot, seed = self._shots[index], self.spec.seed
        thorax = draw_thorax(
            stream("phantom", seed, "subject", shot.subject),
            stream("phantom", seed, "image", shot.subject, shot.number),
            contrast=self._contrast(shot),
            exposure_shift=self._shift(shot),
        )
        noise_rng = stream("phantom", seed, "quanta", shot.subject, shot.number)
        pixels = render(thorax, noise_rng.standard_normal((self.spec.size, self.spec.size), dtype=np.float32))
        return check_pixels(pixels, colour=colour)

    def _contrast(self, shot: _Shot) -> float:
        if shot.truth != CLASSES[1]:
            return 0.0
        other = self.spec.test_contrast if shot.made_for == "test" else None
        return float(self.spec.contrast if other is None else other)

    def _shift(self, shot: _Shot) -> float:
        return float(self.spec.exposure_shift) if shot.made_for == "test" else 0.0


def write_png(source: Source, folder: Path, progress: Callable[[int, int], object] | None = None) -> None:
    """Write every image of a phantom to `folder`/part/class/name.png, marked as synthetic.

    `progress(done, total)` is called after each image.

    Raises:
        UserError: `folder` is not empty, or is no folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(str(folder), "is not empty", "expected a new or empty folder", "name another one")
    note = PngInfo()
    note.add_text("Comment", NOTE)
    for index, item in enumerate(source.items):
        image = Image.fromarray(source.read(index))
        content = io.BytesIO()
        image.save(content, format="PNG", pnginfo=note)
        write_bytes(folder / f"{item.case}.png", content.getvalue())
        if progress is not None:
            progress(index + 1, len(source.items))


def _plan(spec: PhantomSpec) -> list[_Shot]:
    """List every image, by part, class and name; subjects are numbered through, so none is in two parts."""
    shots: list[_Shot] = []
    for part in SPLITS:
        for truth in CLASSES:
            copies = _copies(spec, truth, shots) if part == "test" else []
            count = _count(spec, part, truth) - len(copies)
            more = _share(spec.train_duplicates, spec.train_prevalence, truth) if part == "train" else 0
            more = min(more, count // 2)
            subject = 1 + max((shot.subject for shot in shots), default=0)
            new = _new_shots(spec, part, truth, count - more, subject)
            shots += new + copies + _copied_within(spec, truth, new, more)
    return sorted(_with_label_noise(spec, shots), key=lambda shot: (SPLITS.index(shot.part), shot.item.case))


def _count(spec: PhantomSpec, part: Split, truth: str) -> int:
    if part == "test":
        return _share(2 * spec.test_per_class, spec.prevalence, truth)
    each = spec.train_per_class if part == "train" else spec.val_per_class
    return _share(2 * each, spec.train_prevalence, truth)


def _share(total: int, prevalence: float | None, truth: str) -> int:
    positive = round(total * (0.5 if prevalence is None else prevalence))
    return positive if truth == CLASSES[1] else total - positive


def _new_shots(spec: PhantomSpec, part: Split, truth: str, count: int, subject: int) -> list[_Shot]:
    """Draw how many images each subject has until there are `count`."""
    rng = stream("phantom", spec.seed, "subjects", part, truth)
    shots: list[_Shot] = []
    while len(shots) < count:
        images = int(rng.integers(2, spec.most_images + 1)) if rng.random() < spec.repeat_subjects else 1
        for number in range(1, min(images, count - len(shots)) + 1):
            shots.append(_Shot(subject=subject, number=number, truth=truth, label=truth, made_for=part, part=part))
        subject += 1
    return shots


def _copies(spec: PhantomSpec, truth: str, shots: list[_Shot]) -> list[_Shot]:
    """Draw the training images that appear in the test part again, in the proportion of its classes."""
    train = [shot for shot in shots if shot.part == "train" and shot.truth == truth]
    rng = stream("phantom", spec.seed, "duplicates", truth)
    chosen = rng.permutation(len(train))[: _share(spec.duplicates, spec.prevalence, truth)]
    return [replace(train[index], part="test") for index in chosen.tolist()]


def _copied_within(spec: PhantomSpec, truth: str, shots: list[_Shot], count: int) -> list[_Shot]:
    """Draw `count` of the training images to stand there a second time."""
    chosen = stream("phantom", spec.seed, "copies", truth).permutation(len(shots))[:count]
    return [replace(shots[index], copy=True) for index in chosen.tolist()]


def _with_label_noise(spec: PhantomSpec, shots: list[_Shot]) -> list[_Shot]:
    """Swap the label of the stated share of each training and test class."""
    result = list(shots)
    for part, share in (("train", spec.label_noise), ("test", spec.test_label_noise)):
        for truth in CLASSES:
            mine = [index for index, shot in enumerate(shots) if shot.part == part and shot.truth == truth]
            keys = (truth,) if part == "train" else (part, truth)
            rng = stream("phantom", spec.seed, "labels", *keys)
            other = CLASSES[1 - CLASSES.index(truth)]
            for place in rng.permutation(len(mine))[: round(share * len(mine))].tolist():
                result[mine[place]] = replace(result[mine[place]], label=other)
    return result
