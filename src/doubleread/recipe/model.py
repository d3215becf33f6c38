"""Which models there are, and their options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from doubleread.recipe.spec import ByName, Fraction, Spec, WholeFromOne, unmet


class Mlp(Spec):
    """A multilayer perceptron on the flattened pixels: linear layers with ReLU between them.

    `hidden` are the widths of the hidden layers, first to last; `dropout` the probability that a hidden unit is
    set to zero in training (Srivastava et al. 2014), after each hidden ReLU.
    """

    name: Literal["mlp"]
    hidden: tuple[WholeFromOne, ...]
    dropout: Fraction = 0.0

    @model_validator(mode="after")
    def _dropout_needs_a_layer(self) -> Mlp:
        if self.dropout and not self.hidden:
            raise unmet("no dropout, which has no effect without a hidden layer")
        return self


ModelSpec = Annotated[Mlp, ByName]
MODELS: dict[str, type[Spec]] = {"mlp": Mlp}
