"""Which optimizers there are, and their options; the defaults are PyTorch's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from doubleread.recipe.spec import ByName, Fraction, NotNegative, Positive, Spec, Switch, unmet


class Adam(Spec):
    """Adam (Kingma & Ba 2015)."""

    name: Literal["adam"]
    lr: Positive
    """The learning rate."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: Positive = 1e-8
    """Added to the denominator."""
    weight_decay: NotNegative = 0.0
    """Times the weights, added to the gradient."""


class AdamW(Spec):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"]
    lr: Positive
    """The learning rate."""
    weight_decay: NotNegative
    """Times the rate and the weights, taken from the weights at each step."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """As in `adam`."""
    eps: Positive = 1e-8
    """As in `adam`."""


class Sgd(Spec):
    """Stochastic gradient descent with momentum, as PyTorch defines it."""

    name: Literal["sgd"]
    lr: Positive
    """The learning rate."""
    momentum: Fraction
    """The part of the last step that is taken again."""
    nesterov: Switch = False
    """Nesterov's momentum; it takes a momentum above 0."""
    weight_decay: NotNegative = 0.0
    """Times the weights, added to the gradient."""

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Sgd:
        if self.nesterov and not self.momentum:
            raise unmet("a momentum above 0 beside nesterov")
        return self


OptimizerSpec = Annotated[Annotated[Adam | AdamW | Sgd, Field(discriminator="name")], ByName]
OPTIMIZERS: dict[str, type[Spec]] = {"adam": Adam, "adamw": AdamW, "sgd": Sgd}
