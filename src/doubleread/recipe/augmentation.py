"""How training images are changed as they are drawn; what is left out does not happen."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from doubleread.recipe.spec import NotNegative, Spec, expecting, unmet

Flip = Annotated[Literal["none", "horizontal", "vertical", "both"], expecting("none, horizontal, vertical or both")]
Degrees = Annotated[float, Field(strict=True, ge=0, le=180), expecting("degrees, a number from 0 to 180")]
Part = Annotated[float, Field(strict=True, ge=0, le=1), expecting("a number from 0 to 1")]


class Augmentation(Spec):
    """Random changes of each training image, drawn anew in each epoch; together they are one resampling of the image.

    Factors are drawn evenly on a log scale. New pixels at the border repeat the nearest of the image.
    """

    flip: Flip = "none"
    """Mirrors, with a chance of one half along each axis named."""
    rotate: Degrees = 0.0
    """Turns by up to so many degrees either way."""
    shift: Part = 0.0
    """Moves by up to this part of the side along each axis."""
    zoom: Part = 0.0
    """Magnifies by a factor from 1 / (1 + z) to 1 + z."""
    contrast: Part = 0.0
    """The distance of every pixel from the image's mean times a factor from 1 / (1 + c) to 1 + c."""
    gamma: Part = 0.0
    """Pixels, as 0 to 1, to a power from 1 / (1 + g) to 1 + g."""
    brightness: Part = 0.0
    """Adds or takes up to this part of the range."""
    noise: Part = 0.0
    """Gaussian noise, its SD up to this part of the range."""
    cutout: Part = 0.0
    """A square whose side is this part of the image's becomes the image's mean (DeVries & Taylor 2017)."""
    mixup: NotNegative = 0.0
    """Mixes each image of a batch, and its label, with another, in a proportion from Beta(m, m) (Zhang et al. 2018)."""

    @model_validator(mode="after")
    def _changes_something(self) -> Augmentation:
        if self == Augmentation.model_construct():
            raise unmet(f"one of {', '.join(Augmentation.model_fields)}, or no augmentation at all")
        return self

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        return self.flip != "none" or any((self.rotate, self.shift, self.zoom))
