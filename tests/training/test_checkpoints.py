"""A run that goes on from a checkpoint ends like one that was never interrupted, to the last bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from doubleread.nouns import REFERENCE
from doubleread.training import Unfit, native, train
from doubleread.training.checkpoint import Checkpoint
from doubleread.training.records import RunSpec
from doubleread.training.together import train_together
from tests.training.conftest import on, paths, recipe, run_data
from tests.training.test_loop import hash_of

OPTIMIZERS = {
    "adam": {"name": "adam", "lr": 1e-2},
    "adam-decay": {"name": "adam", "lr": 1e-2, "weight_decay": 0.01},
    "adamw": {"name": "adamw", "lr": 1e-2, "weight_decay": 0.1},
    "sgd": {"name": "sgd", "lr": 0.1, "momentum": 0.0},
    "momentum": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
}
SCHEDULES = {
    "constant": "constant",
    "step": {"name": "step", "every": 2, "gamma": 0.5},
    "exponential": {"name": "exponential", "gamma": 0.9},
    "cosine": {"name": "cosine", "per": "batch"},
    "onecycle": {"name": "onecycle", "max_lr": 0.05},
}
VARIANTS = {
    **{f"{name} {schedule}": {"optimizer": OPTIMIZERS[name], "schedule": SCHEDULES[schedule]}
       for name in OPTIMIZERS for schedule in SCHEDULES},
    "dropout": {"model": {"name": "mlp", "hidden": [6, 5], "dropout": 0.3}},
    "weighted ce": {"loss": {"name": "ce", "class_weights": "balanced"}},
    "linear": {"model": {"name": "mlp", "hidden": []}},
}  # fmt: skip


class Killed(BaseException):
    """Stands for the end of a process."""


def copy_of(checkpoint: Checkpoint) -> Checkpoint:
    """What a file would hold: tensors that no later step can reach."""
    copied = {name: tensor.clone() for name, tensor in checkpoint.state.items()}
    return replace(checkpoint, state=copied, dropout={k: v.clone() for k, v in checkpoint.dropout.items()})


def interrupted(plan, data, compute, pause, start=None):
    """Train up to a pause, 1 being the first; return its checkpoint."""
    kept, pauses = [], 0

    def on_pause(take):
        nonlocal pauses
        pauses += 1
        if pauses == pause:
            kept.append(copy_of(take()))
            raise Killed

    with pytest.raises(Killed):
        train(plan, 3, "unit", data, compute=compute, on_pause=on_pause, start=start)
    return kept[0]


@pytest.fixture(autouse=True)
def _short_stretches(monkeypatch):
    # two steps at once: epochs of six steps have pauses in their middle
    monkeypatch.setattr("doubleread.training.loop.FIRST_STRETCH", 2)
    monkeypatch.setattr("doubleread.training.loop.STRETCH_SECONDS", 0.0)


def assert_same(found, whole):
    assert hash_of(found) == hash_of(whole)
    assert np.array_equal(found.val_logits, whole.val_logits)
    assert np.array_equal(found.test_logits, whole.test_logits)
    assert [replace(e, seconds=0.0) for e in found.epochs] == [replace(e, seconds=0.0) for e in whole.epochs]


@pytest.mark.parametrize("path", ["reference", *paths()])
@pytest.mark.parametrize("name", VARIANTS)
def test_killed_in_the_first_epoch_in_the_middle_and_at_an_epochs_end(data, path, name):
    plan = recipe(**VARIANTS[name])
    whole = train(plan, 3, "unit", data, compute=on(path))
    # a stretch of two steps, then of one: the first epoch of six pauses after 2, 3, 4, 5 and 6, the others after each
    for pause, place in ((1, (0, 2)), (2, (0, 3)), (5, (1, 0)), (8, (1, 3)), (17, (3, 0)), (22, (3, 5))):
        checkpoint = interrupted(plan, data, on(path), pause)
        assert (len(checkpoint.epochs), len(checkpoint.part.losses)) == place
        torch.manual_seed(pause)
        assert_same(train(plan, 3, "unit", data, compute=on(path), start=checkpoint), whole)


@pytest.mark.parametrize("path", paths())
def test_bf16_and_more_than_one_tile(path):
    data = run_data(100, n=12)
    if path == "native" and not native.native().has_bf16:
        pytest.skip("the processor does not multiply bfloat16")
    plan = recipe(model={"name": "mlp", "hidden": [70, 5], "dropout": 0.1}, batch_size=3, precision="bf16", epochs=2)
    whole = train(plan, 3, "unit", data, compute=on(path, "bf16"))
    for pause in (1, 3, 6):
        checkpoint = interrupted(plan, data, on(path, "bf16"), pause)
        assert_same(train(plan, 3, "unit", data, compute=on(path, "bf16"), start=checkpoint), whole)


@pytest.mark.parametrize("path", ["reference", *paths()])
def test_interrupted_again_and_again(data, path):
    plan = recipe(model={"name": "mlp", "hidden": [6, 5], "dropout": 0.3})
    whole = train(plan, 3, "unit", data, compute=on(path))
    start = None
    for _ in range(5):
        start = interrupted(plan, data, on(path), 2, start)
    assert_same(train(plan, 3, "unit", data, compute=on(path), start=start), whole)


@pytest.mark.parametrize("path", ["reference", *paths()])
def test_a_state_that_is_not_put_back_is_noticed(data, path):
    """The comparison has teeth: without the moments, or with another stream, the weights are others."""
    plan = recipe(model={"name": "mlp", "hidden": [6, 5], "dropout": 0.3})
    whole = train(plan, 3, "unit", data, compute=on(path))
    checkpoint = interrupted(plan, data, on(path), 2)
    for name, tensor in checkpoint.state.items():
        state = {**checkpoint.state, name: tensor + 1}
        other = train(plan, 3, "unit", data, compute=on(path), start=replace(checkpoint, state=state))
        assert hash_of(other) != hash_of(whole), name
    dropout = {"cpu": torch.Generator().manual_seed(1).get_state()}
    other = train(plan, 3, "unit", data, compute=on(path), start=replace(checkpoint, dropout=dropout))
    assert hash_of(other) != hash_of(whole)


@pytest.mark.parametrize("path", ["reference", *paths()])
def test_another_runs_checkpoint_is_refused(data, path):
    checkpoint = interrupted(recipe(), data, on(path), 1)
    with pytest.raises(Unfit, match="it does not fit the run"):
        train(recipe(model={"name": "mlp", "hidden": [7, 5, 4]}), 3, "unit", data, compute=on(path), start=checkpoint)


def test_where_an_epoch_is_cut_changes_nothing(data, monkeypatch):
    for path in ("reference", *paths()):
        results = []
        for steps in (1, 2, 3, 100):
            monkeypatch.setattr("doubleread.training.loop.FIRST_STRETCH", steps)
            results.append(train(recipe(), 3, "unit", data, compute=on(path)))
        for found in results[1:]:
            assert_same(found, results[0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_stack_that_goes_on(data, optimizer):
    plan = recipe(optimizer=OPTIMIZERS[optimizer], model={"name": "mlp", "hidden": [6, 5], "dropout": 0.3})
    specs = [RunSpec(recipe=plan, seed=seed, intensity="unit", data=data) for seed in (0, 1, 2)]
    whole = train_together(specs, "cpu")
    for epochs in (1, 3):
        kept = {}

        def on_pause(takes, epochs=epochs, kept=kept):
            found = {run: copy_of(take()) for run, take in takes.items()}
            if len(found[0].epochs) == epochs:
                kept.update(found)
                raise Killed

        with pytest.raises(Killed):
            train_together(specs, "cpu", on_pause=on_pause)
        again = train_together(specs, "cpu", starts=[kept[run] for run in range(3)])
        for found, expected in zip(again, whole, strict=True):
            assert_same(found, expected)


def test_time_spent_before_is_counted(data):
    checkpoint = interrupted(recipe(), data, REFERENCE, 2)
    earlier = replace(checkpoint, seconds=100.0, cpu_seconds=50.0, epoch_seconds=10.0)
    result = train(recipe(), 3, "unit", data, compute=REFERENCE, start=earlier)
    assert 100 < result.seconds < 110
    assert result.cpu_seconds > 50
    assert 10 < result.epochs[0].seconds < 20
    assert result.epochs[1].seconds < 10
