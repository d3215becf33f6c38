"""Which images a run sees, how they are drawn, split and scaled: the `data` part of a study file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from doubleread.recipe.spec import Fraction, OpenFraction, Spec, Switch, Text, WholeFromOne, WholeFromZero, expecting


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[Text, ...], Field(min_length=1), BeforeValidator(_listed), expecting("a name, or a list of names")
]
Size = Annotated[int, Field(strict=True, ge=4, le=4096), expecting("a whole number from 4 to 4096")]
Intensity = Annotated[Literal["raw", "unit", "standard", "image"], expecting("raw, unit, standard or image")]


class Sample(Spec):
    """How many cases are drawn from the source: `train` before validation is split off, and `test`.

    With `per: class` the numbers count the cases of each class, else all of them, in the source's proportions.
    """

    train: WholeFromOne
    test: WholeFromOne
    per: Annotated[Literal["class", "all"], expecting("class or all")]
    seed: WholeFromZero


class DrawnSplit(Spec):
    """A split drawn from the source's training part, which its own validation part joins first.

    `val` is the fraction for validation; `test` the fraction for the test set where the source has none of its own.
    `by: case` splits images, `by: subject` keeps all images of a subject together, `by: group` joins subjects, too,
    that have a byte-identical image in common; `test_by: case` draws the test set by case all the same.
    `resample: per_seed` redraws training and validation for every seed; the test set stays.
    """

    val: OpenFraction
    by: Annotated[Literal["case", "subject", "group"], expecting("case, subject or group")]
    seed: WholeFromZero
    test: Fraction = 0.0
    test_by: Annotated[Literal["case"], expecting("case")] | None = None
    resample: Annotated[Literal["once", "per_seed"], expecting("once or per_seed")] = "once"


def _kind_of_split(value: Any) -> str:
    return "drawn" if isinstance(value, dict | DrawnSplit) else "given"


GivenSplit = Annotated[Literal["given"], expecting("given, or {val, by, seed}")]
Split = Annotated[
    Annotated[GivenSplit, Tag("given")] | Annotated[DrawnSplit, Tag("drawn")], Discriminator(_kind_of_split)
]


class Columns(Spec):
    """What the columns of a table are called that are the path, the label, the subject and the split.

    Of a MedMNIST file with several labels for each image, `label` is the one that is used, by number or name.
    """

    path: Text | None = None
    label: Annotated[Text, BeforeValidator(_as_text)] | None = None
    subject: Text | None = None
    split: Text | None = None

    def named(self) -> dict[str, str]:
        """Return those that are given."""
        return self.model_dump(exclude_none=True)


class DataSpec(Spec):
    """The `data` part of a study file.

    `source` is a name or a path, or `{name: phantom, …}` with the phantom's knobs; `kind` overrides what the path looks
    like, and `columns` names those of a table. `positive` is the class that counts as 1, the first of these names that
    the source has. `subject` is the rule that finds the subject of an image, the first that fits every image: `given`,
    `kermany`, `case` (every image its own subject), or a regular expression. `channels`: `grey`, one, or `rgb`, three.
    `intensity` is how pixels enter the model: `raw` 0–255, `unit` 0–1, `standard`, less the mean and over the SD of the
    training pixels, or `image`, the same by each image's own pixels, which takes out how it was exposed. Pixels of 16
    bits count as those of 8 with finer steps between.
    """

    source: Text | dict[str, Any]
    image_size: Size
    intensity: Intensity
    split: Split
    channels: Annotated[Literal["grey", "rgb"], expecting("grey or rgb")] = "grey"
    kind: (
        Annotated[
            Literal["folder", "dicom", "npy", "medmnist", "table", "phantom"],
            expecting("folder, dicom, npy, medmnist, table or phantom"),
        ]
        | None
    ) = None
    columns: Columns | None = None
    positive: Names | None = None
    sample: Sample | None = None
    subject: Names | None = None
    skip_unreadable: Switch = False
    allow_leakage: Text | None = None

    def preparation(self) -> dict[str, Any]:
        """Return what decides the prepared set: everything but the intensity, which is applied in training."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"intensity"})
