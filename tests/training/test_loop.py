"""The reference loop: the same seed gives the same numbers, another seed others, and they are PyTorch's."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from doubleread.models import MultilayerPerceptron
from doubleread.nouns import REFERENCE, RunData
from doubleread.seeds import data_order
from doubleread.store import hash_weights
from doubleread.training import Diverged, compute_of, measure, train
from doubleread.training.losses import Loss
from doubleread.training.pixels import scaling_of
from doubleread.training.randomness import initialise
from tests.training.conftest import recipe


def trained(data, seed=0, intensity="unit", **changes):
    return train(recipe(**changes), seed, intensity, data, compute=REFERENCE)


def hash_of(result):
    return hash_weights({name: tensor.numpy() for name, tensor in result.weights.items()})


VARIANTS = {
    "bce": {},
    "ce": {"loss": "ce"},
    "weights": {"loss": {"name": "bce", "class_weights": "balanced"}},
    "adamw": {"optimizer": {"name": "adamw", "lr": 1e-2, "weight_decay": 0.1}},
    "sgd": {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}},
    "dropout": {"model": {"name": "mlp", "hidden": [6, 5], "dropout": 0.3}},
    "onecycle": {"schedule": {"name": "onecycle", "max_lr": 0.05}},
    "linear": {"model": {"name": "mlp", "hidden": []}},
    "one-batch": {"batch_size": 45},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_same_seed_equal_other_seed_different(data, name):
    first, again, other = (trained(data, seed, **VARIANTS[name]) for seed in (3, 3, 4))
    assert hash_of(first) == hash_of(again)
    assert np.array_equal(first.test_logits, again.test_logits)
    assert hash_of(first) != hash_of(other)


@pytest.mark.parametrize("name", ["bce", "ce", "sgd", "adamw", "onecycle"])
def test_equal_to_a_plain_loop_of_pytorch(data, name):
    """Written with nothing of ours but the start, the order and the recipe's meaning."""
    result = trained(data, 5, **VARIANTS[name])
    outputs = 2 if name == "ce" else 1
    model = MultilayerPerceptron(image_size=8, hidden=[6, 5], outputs=outputs, dropout=0.0)
    initialise(model, 5)
    optimizer = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        "adamw": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1),
    }.get(name, lambda p: torch.optim.Adam(p, lr=1e-2))(model.parameters())
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=24) if name == "onecycle" else None
    images = torch.tensor(data.images).float().div(255)
    labels = torch.tensor(data.labels)
    losses = []
    for epoch in range(4):
        total = 0.0
        rows = data.train[data_order(5, epoch, 45)]
        for start in range(0, 45, 8):
            batch = rows[start : start + 8]
            out = model(images[batch])
            criterion = nn.CrossEntropyLoss() if name == "ce" else nn.BCEWithLogitsLoss()
            loss = criterion(out, labels[batch]) if name == "ce" else criterion(out[:, 0], labels[batch].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            total += loss.item() * len(batch)
        losses.append(total / 45)
    assert [epoch.train_loss for epoch in result.epochs] == pytest.approx(losses, rel=2e-5)
    with torch.no_grad():
        out = model(images[data.test])
    logit = out[:, 1] - out[:, 0] if name == "ce" else out[:, 0]
    assert result.test_logits == pytest.approx(logit.numpy(), rel=1e-3, abs=1e-4)


def test_equal_shapes_start_equal_whatever_the_loss():
    one = MultilayerPerceptron(image_size=8, hidden=[6, 5], outputs=1, dropout=0.0)
    two = MultilayerPerceptron(image_size=8, hidden=[6, 5], outputs=2, dropout=0.0)
    initialise(one, 0)
    initialise(two, 0)
    shared = [name for name, tensor in one.state_dict().items() if tensor.shape == two.state_dict()[name].shape]
    assert len(shared) == 4
    assert all(torch.equal(one.state_dict()[name], two.state_dict()[name]) for name in shared)
    initialise(two, 1)
    assert not any(torch.equal(one.state_dict()[name], two.state_dict()[name]) for name in shared)


def test_initial_weights_are_those_of_pytorchs_own_start():
    model = MultilayerPerceptron(image_size=50, hidden=[400], outputs=1, dropout=0.0)
    initialise(model, 0)
    weight = model.layers[0].weight
    assert weight.abs().max().item() <= 1 / 50
    assert weight.std().item() == pytest.approx(1 / 50 / 3**0.5, rel=0.01)


def test_intensity():
    images = np.array([[[0, 100], [200, 255]], [[10, 10], [10, 10]]], dtype=np.uint8)
    rows = np.array([0])
    data = RunData(images=images, labels=np.array([0, 1]), train=rows, val=rows, test=rows)
    assert scaling_of("raw", data).factor == 1.0
    assert scaling_of("unit", data).factor == 1 / 255
    standard = scaling_of("standard", data)
    pixels = images[0].astype(float)
    assert standard.shift == pytest.approx(pixels.mean())
    assert 1 / standard.factor == pytest.approx(pixels.std())


@pytest.mark.parametrize("intensity", ["raw", "unit", "standard"])
def test_intensities_train_and_differ(data, intensity):
    result = trained(data, intensity=intensity, optimizer={"name": "adam", "lr": 1e-3})
    assert np.isfinite(result.test_logits).all()
    assert result.epochs[-1].train_loss < 5


def test_training_learns(data):
    result = trained(data, epochs=40)
    assert result.epochs[-1].train_loss < 0.5 * result.epochs[0].train_loss
    assert result.epochs[-1].val_accuracy > 0.7


def test_a_loss_that_is_not_finite_ends_the_run_before_the_step(data, monkeypatch):
    calls, steps = 0, []

    def make_loss(*_):
        def loss(outputs, labels):
            nonlocal calls
            calls += 1
            return outputs.sum() * (float("nan") if calls == 9 else 1.0)

        return Loss(loss, None)

    monkeypatch.setattr("doubleread.training.reference.make_loss", make_loss)
    monkeypatch.setattr("doubleread.training.reference.set_rate", lambda *_: steps.append(1))
    with pytest.raises(Diverged) as error:
        trained(data)
    # 45 cases in batches of 8 are 6 steps an epoch: the ninth is the third of the second epoch
    assert str(error.value) == "the loss is nan in epoch 2, step 3"
    assert len(steps) == 8


def test_a_huge_rate_on_raw_pixels_collapses(data):
    result = trained(data, intensity="raw", optimizer={"name": "adam", "lr": 1.0}, epochs=10)
    assert result.health["collapsed"]


def test_the_last_short_batch_counts_by_its_cases(data):
    # 45 cases in batches of 44: an epoch's accuracy is a multiple of 1/45, not a mean of 44/44 and 1/1
    accuracy = trained(data, batch_size=44).epochs[0].train_accuracy
    assert accuracy * 45 == pytest.approx(round(accuracy * 45))


def test_golden_trace(data):
    losses = [epoch.train_loss for epoch in trained(data, 7).epochs]
    assert losses == pytest.approx(GOLDEN, rel=1e-5)


GOLDEN = [0.7120362030135261, 0.7095673826005724, 0.7060863269699944, 0.7044402466879951]


@pytest.mark.parametrize("compute", [REFERENCE, compute_of(recipe()), replace(REFERENCE, path="stacked")])
def test_measure_costs_nothing_and_keeps_nothing(data, compute):
    cost = measure(recipe(), "unit", data, compute)
    assert 0 < cost.step_seconds < 1
    assert cost.weight_bytes == 4 * (64 * 6 + 6 + 6 * 5 + 5 + 5 + 1)
