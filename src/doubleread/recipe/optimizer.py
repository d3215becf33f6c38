"""Which optimizers there are, and their options; the defaults are PyTorch's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from doubleread.recipe.spec import ByName, Fraction, NotNegative, Positive, Spec, Switch, unmet


class Adam(Spec):
    """Adam (Kingma & Ba 2015); `lr` is the rate, `weight_decay` is added to the gradient."""

    name: Literal["adam"]
    lr: Positive
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0


class AdamW(Spec):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"]
    lr: Positive
    weight_decay: NotNegative
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    eps: Positive = 1e-8


class Sgd(Spec):
    """Stochastic gradient descent with momentum, as PyTorch defines it."""

    name: Literal["sgd"]
    lr: Positive
    momentum: Fraction
    nesterov: Switch = False
    weight_decay: NotNegative = 0.0

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Sgd:
        if self.nesterov and not self.momentum:
            raise unmet("a momentum above 0 beside nesterov")
        return self


OptimizerSpec = Annotated[Annotated[Adam | AdamW | Sgd, Field(discriminator="name")], ByName]
OPTIMIZERS: dict[str, type[Spec]] = {"adam": Adam, "adamw": AdamW, "sgd": Sgd}
