"""Which losses there are, and their options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from doubleread.recipe.spec import ByName, Positive, Spec, expecting

ClassWeights = Annotated[
    Literal["none", "balanced"] | tuple[Positive, Positive],
    expecting("none, balanced, or two numbers > 0, negative class first"),
]


class Bce(Spec):
    """Binary cross-entropy on one output, the logit of the positive class.

    `class_weights`: `none`; `balanced`, n / (2 · n of the class) over the training cases; or two numbers, negative
    class first. The loss of a batch is the weighted mean, as in PyTorch's cross-entropy.
    """

    name: Literal["bce"]
    class_weights: ClassWeights = "none"


class Ce(Spec):
    """Cross-entropy on one output for each class; the logit that is stored is output 1 minus output 0.

    `class_weights` as in `bce`.
    """

    name: Literal["ce"]
    class_weights: ClassWeights = "none"


LossSpec = Annotated[Annotated[Bce | Ce, Field(discriminator="name")], ByName]
LOSSES: dict[str, type[Spec]] = {"bce": Bce, "ce": Ce}
