"""Losses on a model's outputs, and the logits that they all lead to."""

# B cases of a batch, C outputs

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from doubleread.recipe import Bce, Ce, Focal, LossSpec


class Loss:
    """From outputs (B, C), float32, and labels (B,), int64, to the weighted mean loss, a scalar.

    `mean_of` is the loss where all cases weigh what `weights_C` says of their label; None where they weigh the same.
    """

    def __init__(
        self, mean_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], weights_C: torch.Tensor | None
    ) -> None:
        self._mean_of, self._weights_C = mean_of, weights_C

    def __call__(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self._mean_of(outputs, labels)

    def weight_of(self, labels: torch.Tensor) -> float:
        """Return what the cases weigh together in a mean over more of them."""
        return float(len(labels)) if self._weights_C is None else float(self._weights_C[labels].sum())


def outputs_of(spec: LossSpec, classes: int = 2) -> int:
    """Return how many outputs the model needs."""
    if isinstance(spec, Ce) or (isinstance(spec, Focal) and classes > 2):
        return classes
    return 1


def logits_of(outputs_BC: torch.Tensor) -> torch.Tensor:
    """Return the logits of outputs (…, B, C).

    Of two classes the logit of the positive class, (…, B): the one output, or output 1 minus output 0. Of more classes
    the outputs.
    """
    if outputs_BC.shape[-1] == 1:
        return outputs_BC[..., 0]
    if outputs_BC.shape[-1] == 2:
        return outputs_BC[..., 1] - outputs_BC[..., 0]
    return outputs_BC


def make_loss(spec: LossSpec, train_labels: np.ndarray, device: torch.device | str = "cpu", classes: int = 2) -> Loss:
    """Return the loss that a recipe names; `balanced` class weights are counted from `train_labels`."""
    found = class_weights(spec, train_labels, classes)
    weights = None if found is None else found.to(device)
    if isinstance(spec, Ce):

        def cross_entropy(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(outputs, labels, weight=weights, label_smoothing=spec.label_smoothing)

        return Loss(cross_entropy, weights)
    each = _binary(spec) if isinstance(spec, Bce) else _focal(spec, classes)

    def weighted_mean(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if weights is None:
            return each(outputs, labels, None).mean()
        mine = weights[labels]
        # the weighted mean, as cross_entropy takes it, so that the losses mean the same by a class weight
        return each(outputs, labels, mine).sum() / mine.sum()

    return Loss(weighted_mean, weights)


_EachLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""From outputs (B, C), labels (B,) and weights (B,) to the loss of each case, weighted, (B,)."""


def _binary(spec: Bce) -> _EachLoss:
    def each(outputs: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        target = labels.to(outputs.dtype)
        if spec.label_smoothing:
            target = target * (1 - spec.label_smoothing) + spec.label_smoothing / 2
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], target, weight=weights, reduction="none")

    return each


def _focal(spec: Focal, classes: int) -> _EachLoss:
    def each(outputs: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        if classes > 2:
            log_p = functional.log_softmax(outputs, dim=1).gather(1, labels[:, None])[:, 0]
        else:
            log_p = functional.logsigmoid(torch.where(labels == 1, outputs[:, 0], -outputs[:, 0]))
        # 1 − p as −expm1(log p): exact where p is nearly 1
        loss = -((-torch.expm1(log_p)) ** spec.gamma) * log_p
        return loss if weights is None else loss * weights

    return each


def class_weights(spec: LossSpec, train_labels: np.ndarray, classes: int = 2) -> torch.Tensor | None:
    """Return the weights of the classes, (classes,), float32, or None where all cases weigh the same."""
    if spec.class_weights == "none":
        return None
    if spec.class_weights == "balanced":
        counts = np.bincount(train_labels, minlength=classes)
        return torch.tensor(len(train_labels) / (classes * counts), dtype=torch.float32)
    return torch.tensor(spec.class_weights, dtype=torch.float32)
