"""Losses, and the logit that they share."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from doubleread.recipe import Bce, Ce
from doubleread.training.losses import class_weights, logits_of, make_loss

LABELS = np.array([0, 0, 0, 1])


def test_bce_of_a_logit_is_ce_of_any_two_outputs_with_that_difference():
    outputs = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(16) % 2
    for weights in ("none", "balanced", (0.3, 2.0)):
        ce = make_loss(Ce(name="ce", class_weights=weights), LABELS)
        bce = make_loss(Bce(name="bce", class_weights=weights), LABELS)
        assert ce(outputs, labels).item() == pytest.approx(bce(logits_of(outputs)[:, None], labels).item(), rel=1e-5)


def test_equal_to_pytorch():
    outputs, labels = torch.tensor([[0.3], [-1.2], [2.0]]), torch.tensor([1, 0, 0])
    mine = make_loss(Bce(name="bce"), LABELS)(outputs, labels)
    assert mine.item() == functional.binary_cross_entropy_with_logits(outputs[:, 0], labels.float()).item()


def test_class_weights():
    assert class_weights(Bce(name="bce"), LABELS) is None
    assert class_weights(Bce(name="bce", class_weights="balanced"), LABELS).tolist() == pytest.approx([4 / 6, 2.0])
    assert class_weights(Ce(name="ce", class_weights=(1.0, 3.0)), LABELS).tolist() == [1.0, 3.0]


def test_the_logit_is_the_one_output_or_the_difference():
    assert logits_of(torch.tensor([[1.5], [-2.0]])).tolist() == [1.5, -2.0]
    assert logits_of(torch.tensor([[1.0, 4.0], [2.0, -1.0]])).tolist() == [3.0, -3.0]
