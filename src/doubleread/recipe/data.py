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
    """How many cases are drawn from the source."""

    train: WholeFromOne
    """Cases of training, before validation is split off."""
    test: WholeFromOne
    """Test cases."""
    per: Annotated[Literal["class", "all"], expecting("class or all")]
    """Whether the numbers count the cases of each `class`, or of `all` together, in the source's proportions."""
    seed: WholeFromZero
    """What the draw depends on."""


class DrawnSplit(Spec):
    """A split drawn from the source's training part, which its own validation part joins first."""

    val: OpenFraction
    """The fraction for validation."""
    by: Annotated[Literal["case", "subject", "group"], expecting("case, subject or group")]
    """`case` splits images; `subject` keeps all images of a subject together; `group` joins subjects, too, that have a
    byte-identical image in common."""
    seed: WholeFromZero
    """What the draw depends on."""
    test: Fraction = 0.0
    """The fraction for the test set, where the source has none of its own."""
    test_by: Annotated[Literal["case"], expecting("case")] | None = None
    """`case` draws the test set by case, whatever `by` says."""
    resample: Annotated[Literal["once", "per_seed"], expecting("once or per_seed")] = "once"
    """`per_seed` redraws training and validation for every seed; the test set stays."""


def _kind_of_split(value: Any) -> str:
    return "drawn" if isinstance(value, dict | DrawnSplit) else "given"


GivenSplit = Annotated[Literal["given"], expecting("given, or {val, by, seed}")]
Split = Annotated[
    Annotated[GivenSplit, Tag("given")] | Annotated[DrawnSplit, Tag("drawn")], Discriminator(_kind_of_split)
]


class Columns(Spec):
    """What the columns of a table are called."""

    path: Text | None = None
    """The column with the path of the image, from the table's folder."""
    label: Annotated[Text, BeforeValidator(_as_text)] | None = None
    """The column with the class; of a MedMNIST file with several labels for each image the one that is used, by number
    or name."""
    subject: Text | None = None
    """The column with the person that the image comes from."""
    split: Text | None = None
    """The column with the split that the table itself puts it in."""

    def named(self) -> dict[str, str]:
        """Return those that are given."""
        return self.model_dump(exclude_none=True)


class DataSpec(Spec):
    """The `data` part of a study file."""

    source: Text | dict[str, Any]
    """A path; a relative one is looked up beside the file first. Or `phantom`, or `{name: phantom, …}` with its knobs.
    """
    image_size: Size
    """The side in pixels; images are made square, with antialiasing."""
    intensity: Intensity
    """How pixels enter the model: `raw`, 0 to 255; `unit`, 0 to 1; `standard`, less the mean and over the SD of the
    training pixels; or `image`, the same by each image's own pixels, which takes out how light it is as a whole, and
    how strong its contrasts. Pixels of 16 bits count as those of 8 with finer steps between."""
    split: Split
    """`given` keeps the source's own parts; else how they are drawn."""
    channels: Annotated[Literal["grey", "rgb"], expecting("grey or rgb")] = "grey"
    """`grey`, one channel, or `rgb`, three, for images in colour."""
    kind: Text | None = None
    """What the source is, where the path is not to be judged by its looks."""
    columns: Columns | None = None
    """What the columns of a table are called."""
    positive: Names | None = None
    """Of two classes the one that counts as 1; of a list the first that the source has. Not needed for classes 0 and 1;
    left out for more than two."""
    sample: Sample | None = None
    """How many cases are drawn; all of them where it is left out."""
    subject: Names | None = None
    """The rule that finds the subject of an image, of a list the first that fits every image: `given` by the source,
    `kermany`, `case` (every image its own), or a regular expression that is searched in the case's path. Without it
    what the source says, else every image its own."""
    skip_unreadable: Switch = False
    """Leave out images that cannot be used, and count them; otherwise they stop the study."""
    allow_leakage: Text | None = None
    """Why images or subjects may stand in two splits; without it they stop the study."""

    def preparation(self) -> dict[str, Any]:
        """Return what decides the prepared set: everything but the intensity, which is applied in training."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"intensity"})
