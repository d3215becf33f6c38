"""When a run ends early, and which of its epochs is the best: pure functions of the epochs behind it."""

from __future__ import annotations

from collections.abc import Sequence

from doubleread.recipe import Stop
from doubleread.training.result import Epoch


def best_epoch(epochs: Sequence[Epoch]) -> int:
    """Return the place of the epoch with the highest validation AUROC, the first of equals; one without any is last."""
    return max(range(len(epochs)), key=lambda place: (_auroc(epochs[place]), -place))


def stops(spec: Stop | None, epochs: Sequence[Epoch]) -> bool:
    """Tell whether a run ends here: the last `patience` epochs brought nothing better than those before them."""
    if spec is None or len(epochs) <= spec.patience:
        return False
    values = [-epoch.val_loss if spec.metric == "val_loss" else _auroc(epoch) for epoch in epochs]
    return max(values[-spec.patience :]) <= max(values[: -spec.patience])


def _auroc(epoch: Epoch) -> float:
    return -1.0 if epoch.val_auroc is None else epoch.val_auroc
