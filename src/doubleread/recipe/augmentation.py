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

    `flip`: with a chance of one half along each axis named. `rotate`: up to so many degrees either way. `shift`: up to
    this part of the side along each axis. `zoom` z: a factor from 1/(1+z) to 1+z. `contrast` c: the distance of every
    pixel from the image's mean times a factor from 1/(1+c) to 1+c. `gamma` g: pixels, as 0–1, to a power from 1/(1+g)
    to 1+g. `brightness`: up to this part of the range added or taken. `noise`: Gaussian, its SD up to this part of the
    range. `cutout`: a square whose side is this part of the image's becomes the image's mean (DeVries & Taylor 2017).
    `mixup`: batches are mixed, image and label, in a proportion from Beta(mixup, mixup) (Zhang et al. 2018). Factors
    are drawn evenly on a log scale. New pixels at the border repeat the nearest of the image.
    """

    flip: Flip = "none"
    rotate: Degrees = 0.0
    shift: Part = 0.0
    zoom: Part = 0.0
    contrast: Part = 0.0
    gamma: Part = 0.0
    brightness: Part = 0.0
    noise: Part = 0.0
    cutout: Part = 0.0
    mixup: NotNegative = 0.0

    @model_validator(mode="after")
    def _changes_something(self) -> Augmentation:
        if self == Augmentation.model_construct():
            raise unmet(f"one of {', '.join(Augmentation.model_fields)}, or no augmentation at all")
        return self

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        return self.flip != "none" or any((self.rotate, self.shift, self.zoom))
