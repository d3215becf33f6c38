"""What is wrong with a finished run: collapsed, undertrained, overfit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from doubleread.metrics import calls

SHORTEST = 5
UNDERTRAINED_SHARE = 0.1
OVERFIT_RATIO = 1.25


def is_collapsed(*logits_N: np.ndarray) -> bool:
    """Tell whether the run is a constant predictor: one and the same class for every validation and test case."""
    called = np.concatenate([calls(logits) for logits in logits_N])
    return bool((called == called[0]).all())


def is_undertrained(train_loss: Sequence[float]) -> bool:
    """Tell whether the training loss was still falling at the end.

    It was if the last fifth of the epochs brought more than a tenth of the whole fall since the first epoch. Runs
    of fewer than five epochs are too short to tell and are not flagged.
    """
    if len(train_loss) < SHORTEST:
        return False
    tail = max(1, len(train_loss) // 5)
    whole = train_loss[0] - train_loss[-1]
    late = train_loss[-1 - tail] - train_loss[-1]
    return whole > 0 and late > UNDERTRAINED_SHARE * whole


def is_overfit(train_loss: Sequence[float], val_loss: Sequence[float]) -> bool:
    """Tell whether the validation loss rose while the training loss went on falling.

    It did if the mean validation loss of the last fifth of the epochs is more than a quarter above the lowest of
    any epoch, and the last training loss is below that of the epoch with the lowest validation loss. Runs of fewer
    than five epochs are not flagged.
    """
    if len(val_loss) < SHORTEST:
        return False
    tail = max(1, len(val_loss) // 5)
    best = int(np.argmin(val_loss))
    return bool(np.mean(val_loss[-tail:]) > OVERFIT_RATIO * val_loss[best] and train_loss[-1] < train_loss[best])
