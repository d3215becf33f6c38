"""The loop of a course notebook, frozen: what every speed of ours is measured against. Do not tune it, either way.

Written as a student writes it who has the arrays in memory and wants the curves that both reports show: TensorDataset,
DataLoader, PyTorch's default Adam, loss and accuracy of training and validation in each epoch, all cores in one
process. Frozen before the first fast path was written.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def notebook_epochs(
    model: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    n_train: int,
    batch_size: int,
    epochs: int,
    device: str = "cpu",
) -> list[float]:
    """Return the seconds of each epoch, training and validation.

    `images` (N, height, width) uint8 and `labels` (N,), the first `n_train` for training, the rest for validation.
    `model` takes (B, height, width) float32 and gives (B, 1), a logit.
    """
    x = torch.tensor(images, dtype=torch.float32) / 255
    y = torch.tensor(labels, dtype=torch.float32)
    train_dataset = TensorDataset(x[:n_train], y[:n_train])
    val_dataset = TensorDataset(x[n_train:], y[n_train:])
    train_loader = DataLoader(train_dataset, batch_size=batch_size, shuffle=True)
    val_loader = DataLoader(val_dataset, batch_size=batch_size, shuffle=False)

    model = model.to(device)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    history = []
    seconds = []
    for _epoch in range(epochs):
        began = time.perf_counter()
        model.train()
        total_loss, correct = 0.0, 0
        for inputs, targets in train_loader:
            inputs, targets = inputs.to(device), targets.to(device)
            optimizer.zero_grad()
            outputs = model(inputs).squeeze(1)
            loss = criterion(outputs, targets)
            loss.backward()
            optimizer.step()
            total_loss += loss.item()
            correct += ((torch.sigmoid(outputs) > 0.5) == targets).sum().item()

        model.eval()
        val_loss, val_correct = 0.0, 0
        with torch.no_grad():
            for inputs, targets in val_loader:
                inputs, targets = inputs.to(device), targets.to(device)
                outputs = model(inputs).squeeze(1)
                val_loss += criterion(outputs, targets).item()
                val_correct += ((torch.sigmoid(outputs) > 0.5) == targets).sum().item()
        history.append((total_loss / len(train_loader), correct / n_train, val_loss / len(val_loader), val_correct))
        seconds.append(time.perf_counter() - began)
    return seconds
