"""When a run ends before its last epoch."""

from __future__ import annotations

from typing import Annotated, Literal

from doubleread.recipe.spec import Spec, WholeFromOne, expecting


class Stop(Spec):
    """Early stopping: a run ends when `metric` has not got better for `patience` epochs in a row."""

    metric: Annotated[Literal["val_loss", "val_auroc"], expecting("val_loss or val_auroc")]
    """What is watched after each epoch: `val_loss` gets better by falling, `val_auroc` by rising."""
    patience: WholeFromOne
    """Epochs without an improvement after which the run ends; at most the number of epochs − 2."""
