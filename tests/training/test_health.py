"""Collapsed, undertrained, overfit: each on curves where it is plain."""

import numpy as np

from doubleread.training.health import is_collapsed, is_overfit, is_undertrained

FALLING = [1.0 - 0.05 * i for i in range(10)]
SETTLED = [1.0, 0.5, 0.3, 0.22, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]


def test_collapsed_is_one_class_for_every_case():
    assert is_collapsed(np.array([0.3, 0.1]), np.array([2.0, 0.4]))
    assert is_collapsed(np.array([-0.3, 0.0]), np.array([-1.0]))
    assert not is_collapsed(np.array([0.3, 0.1]), np.array([-0.1, 0.2]))


def test_undertrained_is_still_falling():
    assert is_undertrained(FALLING)
    assert not is_undertrained(SETTLED)
    assert not is_undertrained([0.7] * 10)
    assert not is_undertrained(FALLING[::-1])
    assert not is_undertrained(FALLING[:4])


def test_overfit_is_a_validation_loss_that_rose_while_training_fell():
    rising = [1.0, 0.6, 0.5, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert is_overfit(FALLING, rising)
    assert not is_overfit(FALLING, SETTLED)
    assert not is_overfit([0.2] * 10, rising)
    assert not is_overfit(FALLING[:4], rising[:4])
