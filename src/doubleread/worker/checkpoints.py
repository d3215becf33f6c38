"""A run's checkpoint as a file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from doubleread.store import read_checkpoint, write_checkpoint
from doubleread.training import Checkpoint, Epoch
from doubleread.training.steps import Stretch


def save(folder: Path, checkpoint: Checkpoint, more: Mapping[str, Any]) -> None:
    """Write a checkpoint into an attempt's folder; `more` goes into its header.

    Raises:
        OSError: the disk is full or fails; an older checkpoint is as it was.
    """
    header = {
        **more,
        "epochs": [asdict(epoch) for epoch in checkpoint.epochs],
        "step": len(checkpoint.part.losses),
        "epoch_seconds": checkpoint.epoch_seconds,
        "seconds": checkpoint.seconds,
        "cpu_seconds": checkpoint.cpu_seconds,
    }
    tensors = {"part.losses": checkpoint.part.losses, "part.logits": checkpoint.part.logits}
    tensors |= {f"state.{name}": tensor.numpy() for name, tensor in checkpoint.state.items()}
    tensors |= {f"dropout.{name}": tensor.numpy() for name, tensor in checkpoint.dropout.items()}
    tensors |= {f"best.{name}": tensor.numpy() for name, tensor in checkpoint.best.items()}
    write_checkpoint(folder, header, {name: np.asarray(array, order="C") for name, array in tensors.items()})


def load(folder: Path) -> tuple[Checkpoint, dict[str, Any]]:
    """Return the checkpoint in an attempt's folder, and its header.

    Raises:
        Damaged: it is not what was written.
    """
    header, arrays = read_checkpoint(folder)
    checkpoint = Checkpoint(
        epochs=tuple(Epoch(**epoch) for epoch in header["epochs"]),
        part=Stretch(arrays["part.losses"], arrays["part.logits"]),
        state=_below("state.", arrays),
        dropout=_below("dropout.", arrays),
        best=_below("best.", arrays),
        epoch_seconds=header["epoch_seconds"],
        seconds=header["seconds"],
        cpu_seconds=header["cpu_seconds"],
    )
    return checkpoint, header


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    # copied: what comes from a file may be read-only memory
    return {
        name.removeprefix(prefix): torch.from_numpy(array.copy())
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
