"""Which models there are, and their options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from doubleread.recipe.spec import ByName, Fraction, Spec, WholeFromOne


class Mlp(Spec):
    """A multilayer perceptron on the flattened pixels: linear layers with ReLU between them.

    `hidden` are the widths of the hidden layers, first to last; `dropout` the probability that a hidden unit is
    set to zero in training (Srivastava et al. 2014), after each hidden ReLU.
    """

    name: Literal["mlp"]
    hidden: tuple[WholeFromOne, ...]
    dropout: Fraction = 0.0


# One model so far: a union of one needs no discriminator, and the next model only has to be added here.
ModelSpec = Annotated[Mlp, ByName, Field()]
MODELS: dict[str, type[Spec]] = {"mlp": Mlp}
