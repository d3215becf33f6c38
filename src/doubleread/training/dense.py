"""What stands behind a perceptron's first products, of one run or of several at once: forward, loss, gradients."""

# R runs, B cases of a batch, U units of a layer, C outputs

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from doubleread.training.losses import logits_of


class Dense:
    """The first layer's bias, and every layer after it, in closed form.

    `biases` has for each layer (R, U), `weights` for each but the first (R, U, U of the layer before); the gradients
    are written to `bias_gradients` and `weight_gradients`, of the same shapes.
    """

    def __init__(
        self,
        biases: Sequence[torch.Tensor],
        weights: Sequence[torch.Tensor],
        bias_gradients: Sequence[torch.Tensor],
        weight_gradients: Sequence[torch.Tensor],
    ) -> None:
        self._biases, self._weights = biases, weights
        self._bias_gradients, self._weight_gradients = bias_gradients, weight_gradients
        self._inputs: list[torch.Tensor] = []
        self._masks: Sequence[torch.Tensor] = ()

    def forward(self, products_RBU: torch.Tensor, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the outputs, (R, B, C), and remember what `backward` needs.

        `masks` has the dropout mask of each hidden layer, (R, B, U), or none.
        """
        values, inputs = self._biases[0].unsqueeze(1) + products_RBU, []
        for number, (weight, bias) in enumerate(zip(self._weights, self._biases[1:], strict=True)):
            values = values.clamp_min(0)
            if masks:
                values = values * masks[number]
            inputs.append(values)
            values = torch.baddbmm(bias.unsqueeze(1), values, weight.transpose(1, 2))
        self._inputs, self._masks = inputs, masks
        return values

    def backward(self, delta_RBC: torch.Tensor) -> torch.Tensor:
        """Write the gradients for the loss's derivative by the outputs; return that by the products, (R, B, U)."""
        delta = delta_RBC
        for layer in reversed(range(len(self._weights))):
            below = self._inputs[layer]
            torch.bmm(delta.transpose(1, 2), below, out=self._weight_gradients[layer])
            torch.sum(delta, 1, out=self._bias_gradients[layer + 1])
            delta = torch.bmm(delta, self._weights[layer])
            if self._masks:
                delta = delta * self._masks[layer]
            delta = delta * (below > 0)
        torch.sum(delta, 1, out=self._bias_gradients[0])
        return delta


def loss_and_gradient(
    outputs_RBC: torch.Tensor, labels_RB: torch.Tensor, weights_R2: torch.Tensor, two_R1: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the losses, (R,), the logits, (R, B), and the losses' derivatives by the outputs, (R, B, C).

    With z the logit (the difference of two outputs, which cross-entropy depends on alone), a case costs softplus(z) −
    label · z, and its derivative by z is σ(z) − label; the loss is the mean weighted by `weights_R2`, by class.
    `two_R1` is 1 for a run with two outputs, 0 for one with one; among several of C = 2 that one is the second.
    """
    z_RB = logits_of(outputs_RBC)
    target = labels_RB.to(z_RB.dtype)
    share_RB = torch.gather(weights_R2, 1, labels_RB)
    share_RB = share_RB / share_RB.sum(1, keepdim=True)
    losses_R = ((functional.softplus(z_RB) - target * z_RB) * share_RB).sum(1)
    by_z = (torch.sigmoid(z_RB) - target) * share_RB
    if outputs_RBC.shape[-1] == 1:
        return losses_R, z_RB, by_z.unsqueeze(-1)
    return losses_R, z_RB, torch.stack((-by_z * two_R1, by_z), dim=-1)
