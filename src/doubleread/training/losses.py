"""Losses on a model's outputs, and the logit that they all lead to."""

# B cases of a batch, C outputs

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from doubleread.recipe import Bce, Ce

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From outputs (B, C), float32, and labels (B,), int64, to the weighted mean loss, a scalar."""

OUTPUTS = {"bce": 1, "ce": 2}
"""How many outputs the model needs, by loss."""


def logit_of(outputs_BC: torch.Tensor) -> torch.Tensor:
    """Return the logit of the positive class, (…, B): the one output of (…, B, C), or output 1 minus output 0."""
    if outputs_BC.shape[-1] == 1:
        return outputs_BC[..., 0]
    return outputs_BC[..., 1] - outputs_BC[..., 0]


def make_loss(spec: Bce | Ce, train_labels: np.ndarray, device: torch.device | str = "cpu") -> Loss:
    """Return the loss that a recipe names; `balanced` class weights are counted from `train_labels`."""
    found = class_weights(spec, train_labels)
    weights = None if found is None else found.to(device)
    if isinstance(spec, Ce):

        def cross_entropy(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(outputs, labels, weight=weights)

        return cross_entropy

    def binary_cross_entropy(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits, target = outputs[:, 0], labels.to(outputs.dtype)
        if weights is None:
            return functional.binary_cross_entropy_with_logits(logits, target)
        mine = weights[labels]
        # the weighted mean, as cross_entropy takes it, so that the two losses mean the same by a class weight
        return functional.binary_cross_entropy_with_logits(logits, target, weight=mine, reduction="sum") / mine.sum()

    return binary_cross_entropy


def class_weights(spec: Bce | Ce, train_labels: np.ndarray) -> torch.Tensor | None:
    """Return the weights of the classes, shape (2,), float32, or None where all cases weigh the same."""
    if spec.class_weights == "none":
        return None
    if spec.class_weights == "balanced":
        counts = np.bincount(train_labels, minlength=2)
        return torch.tensor(len(train_labels) / (2 * counts), dtype=torch.float32)
    return torch.tensor(spec.class_weights, dtype=torch.float32)
