"""The peers: the notebook loop, skorch and scikit-learn, each with all cores in one process."""

from __future__ import annotations

import time

import numpy as np
import torch
from notebook import notebook_epochs
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetBinaryClassifier
from skorch.callbacks import EpochScoring
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import TensorDataset
from workloads import CORES, HIDDEN, MODELS, TRAIN, VALIDATION, images, median_of, perceptron


def notebook(size: int, batch: int, epochs: int, model: str = "mlp") -> float:
    """Return the notebook loop's seconds an epoch, all cores in this process."""
    torch.set_num_threads(CORES)
    pixels, labels = images(size)
    seen = TRAIN + VALIDATION
    return median_of(notebook_epochs(MODELS[model](size), pixels[:seen], labels[:seen], TRAIN, batch, epochs))


def skorch(size: int, batch: int, epochs: int) -> float:
    """Return skorch's seconds an epoch, all cores in this process."""
    torch.set_num_threads(CORES)
    pixels, labels = images(size)
    x, y = torch.tensor(pixels, dtype=torch.float32) / 255, torch.tensor(labels, dtype=torch.float32)
    net = NeuralNetBinaryClassifier(
        _Squeezed,
        module__size=size,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=batch,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=predefined_split(TensorDataset(x[TRAIN : TRAIN + VALIDATION], y[TRAIN : TRAIN + VALIDATION])),
        callbacks=[("train_acc", EpochScoring("accuracy", on_train=True, lower_is_better=False, name="train_acc"))],
        verbose=0,
    )
    net.fit(x[:TRAIN], y[:TRAIN])
    return median_of([row["dur"] for row in net.history])


class _Squeezed(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.inner = perceptron(size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x).squeeze(1)


def sklearn(size: int, batch: int, epochs: int) -> float:
    """Return the seconds an epoch of scikit-learn's MLPClassifier, all cores in this process; it has no validation."""
    pixels, labels = images(size)
    x, y = pixels[:TRAIN].reshape(TRAIN, -1).astype(np.float32) / 255, labels[:TRAIN]
    model = MLPClassifier(HIDDEN, batch_size=batch, learning_rate_init=1e-3, random_state=0)
    spent = []
    for _ in range(epochs):
        began = time.perf_counter()
        model.partial_fit(x, y, classes=[0, 1])
        spent.append(time.perf_counter() - began)
    return median_of(spent)
