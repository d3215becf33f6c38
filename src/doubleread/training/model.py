"""The model of a run, built and started, and its dropout drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from doubleread.models import BUILDERS
from doubleread.nouns import RunData
from doubleread.recipe import Recipe
from doubleread.training.losses import OUTPUTS
from doubleread.training.randomness import initialise


def build_model(recipe: Recipe, seed: int, data: RunData) -> nn.Module:
    """Return the recipe's model for images of this size, with the initial weights of `seed`."""
    options = recipe.model.model_dump(exclude={"name"})
    pixels = data.images.shape[1] * data.images.shape[2]
    model = BUILDERS[recipe.model.name](pixels=pixels, outputs=OUTPUTS[recipe.loss.name], **options)
    initialise(model, seed)
    return model


def count_parameters(recipe: Recipe, pixels: int) -> int:
    """Return how many numbers a perceptron learns on images of so many pixels."""
    widths = [pixels, *recipe.model.hidden, OUTPUTS[recipe.loss.name]]
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(widths))


def draw_masks(widths: Sequence[int], n: int, dropout: float) -> list[torch.Tensor]:
    """Return the dropout masks of one batch, (n, width) for each hidden layer; none without dropout.

    The same numbers in the same order as `nn.Dropout` draws them in a forward pass.
    """
    if not dropout:
        return []
    return [torch.empty(n, width).bernoulli_(1 - dropout).div_(1 - dropout) for width in widths]
