"""Which losses there are, and their options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from doubleread.recipe.spec import ByName, Fraction, Positive, Spec, expecting

ClassWeights = Annotated[
    Literal["none", "balanced"] | Annotated[tuple[Positive, ...], Field(min_length=2)],
    expecting("none, balanced, or a number > 0 for each class, negative class first"),
]
"""`none`; `balanced`, n / (classes · n of the class) over the training cases; or a number for each class, negative
class first. The loss of a batch is the weighted mean, as in PyTorch's cross-entropy."""


class Bce(Spec):
    """Binary cross-entropy on one output, the logit of the positive class."""

    name: Literal["bce"]
    class_weights: ClassWeights = "none"
    label_smoothing: Fraction = 0.0
    """ε: the label counts 1 − ε, and ε is shared by all classes (Szegedy et al. 2016)."""


class Ce(Spec):
    """Cross-entropy on one output for each class; of two the logit that is stored is output 1 minus output 0."""

    name: Literal["ce"]
    class_weights: ClassWeights = "none"
    label_smoothing: Fraction = 0.0
    """As in `bce`, but where class weights are set too: then PyTorch weighs what is smoothed over each class by that
    class's weight, and `bce` all of a case by its label's."""


class Focal(Spec):
    """Focal loss (Lin et al. 2017): the cross-entropy of a case times (1 − p)^`gamma`, p what its label is given.

    One output for two classes, else one for each.
    """

    name: Literal["focal"]
    gamma: Positive = 2.0
    """How far a case that is called right is played down."""
    class_weights: ClassWeights = "none"


LossSpec = Annotated[Annotated[Bce | Ce | Focal, Field(discriminator="name")], ByName]
LOSSES: dict[str, type[Spec]] = {"bce": Bce, "ce": Ce, "focal": Focal}
