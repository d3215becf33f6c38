"""Architectures, one a file, and building the one that a recipe names."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from doubleread.models.mlp import MultilayerPerceptron

BUILDERS: dict[str, Callable[..., nn.Module]] = {"mlp": MultilayerPerceptron}
"""Builders by name, called with `pixels`, `outputs` and the options of the model's specification."""

__all__ = ["BUILDERS", "MultilayerPerceptron"]
