"""Every path gives the reference loop's numbers, for every loss, optimizer, schedule and batch size."""

import tomllib
from fnmatch import fnmatch

import numpy as np
import pytest
import torch

from doubleread.nouns import REFERENCE, Compute
from doubleread.recipe import Adam, Bce, Mlp, Recipe
from doubleread.store import hash_weights
from doubleread.training import Diverged, compute_of, native, train
from doubleread.training import paths as paths_module
from doubleread.training.precision import keep_gain
from doubleread.training.records import RunSpec
from doubleread.training.schedules import Rate
from doubleread.training.stacked import stack_key
from doubleread.training.together import train_together
from doubleread.training.updates import FusedUpdate, overload_for
from tests.conftest import ROOT
from tests.training.conftest import on, paths, recipe, run_data

SCHEDULES = {
    "step": {"name": "step", "every": 1, "gamma": 0.5},
    "cosine": {"name": "cosine"},
    "cosine-batch": {"name": "cosine", "per": "batch"},
    "exponential": {"name": "exponential", "gamma": 0.8},
    "onecycle": {"name": "onecycle", "max_lr": 0.05},
    "onecycle-steady": {"name": "onecycle", "max_lr": 0.05, "cycle_momentum": False},
}
OPTIMIZERS = {
    "adam-decay": {"name": "adam", "lr": 1e-2, "weight_decay": 0.05, "betas": [0.8, 0.99], "eps": 1e-6},
    "adamw": {"name": "adamw", "lr": 1e-2, "weight_decay": 0.1},
    "sgd": {"name": "sgd", "lr": 0.05, "momentum": 0.0},
    "momentum": {"name": "sgd", "lr": 0.02, "momentum": 0.9, "weight_decay": 0.01},
    "nesterov": {"name": "sgd", "lr": 0.02, "momentum": 0.9, "nesterov": True},
}
VARIANTS = {
    "bce": {},
    "ce": {"loss": "ce"},
    "balanced": {"loss": {"name": "bce", "class_weights": "balanced"}},
    "ce-weights": {"loss": {"name": "ce", "class_weights": [1.0, 3.0]}},
    "dropout": {"model": {"name": "mlp", "hidden": [6, 5], "dropout": 0.3}},
    "no-hidden": {"model": {"name": "mlp", "hidden": []}},
    "one-hidden": {"model": {"name": "mlp", "hidden": [7]}, "loss": "ce"},
    "three-hidden": {"model": {"name": "mlp", "hidden": [20, 17, 3]}},
    # at a rate of 0.01 one unit at its threshold is enough for Adam to part two roundings of one sum
    "wide": {"model": {"name": "mlp", "hidden": [130, 70]}, "optimizer": {"name": "adam", "lr": 1e-3}},
    "batch-1": {"batch_size": 1, "optimizer": {"name": "adam", "lr": 1e-3}},
    "batch-7": {"batch_size": 7},
    "short-last": {"batch_size": 44},
    "whole-set": {"batch_size": 45},
    "larger-than-the-set": {"batch_size": 200},
    **{f"optimizer-{name}": {"optimizer": spec} for name, spec in OPTIMIZERS.items()},
    **{f"schedule-{name}": {"schedule": spec} for name, spec in SCHEDULES.items()},
    "sgd-onecycle": {"optimizer": OPTIMIZERS["sgd"], "schedule": SCHEDULES["onecycle"]},
}
INTENSITIES = ["raw", "unit", "standard"]


def losses(result):
    return [epoch.train_loss for epoch in result.epochs]


def differences(found, oracle):
    """Return what of a run is not the oracle's: by name, what was found and what was expected.

    Losses of the first two epochs agree to 1e-5 relative; then rounding has grown, and the end is alike all the same.
    """
    first, whole, val, logits = (
        losses(oracle)[:2],
        losses(oracle),
        [e.val_loss for e in oracle.epochs],
        oracle.test_logits,
    )
    pairs = {
        "first losses": (losses(found)[:2], pytest.approx(first, rel=1e-5)),
        "losses": (losses(found), pytest.approx(whole, rel=1e-3)),
        "validation losses": ([e.val_loss for e in found.epochs], pytest.approx(val, rel=1e-3)),
        "rates": ([e.rate for e in found.epochs], [e.rate for e in oracle.epochs]),
        "first accuracy": (found.epochs[0].train_accuracy, oracle.epochs[0].train_accuracy),
        "test logits": (found.test_logits.tolist(), pytest.approx(logits.tolist(), rel=2e-3, abs=2e-3)),
        "weights": (
            [(k, v.shape) for k, v in found.weights.items()],
            [(k, v.shape) for k, v in oracle.weights.items()],
        ),
        "health": (found.health, oracle.health),
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def test_a_difference_is_found(data):
    one, other = (train(recipe(), seed, "unit", data, compute=REFERENCE) for seed in (3, 4))
    assert differences(one, one) == {}
    assert {"first losses", "losses", "validation losses", "test logits"} <= set(differences(one, other))


@pytest.mark.parametrize("path", paths())
@pytest.mark.parametrize("name", VARIANTS)
def test_equal_to_the_reference_loop(data, path, name):
    plan = recipe(**VARIANTS[name])
    found, oracle = (train(plan, 3, "unit", data, compute=compute) for compute in (on(path), REFERENCE))
    assert differences(found, oracle) == {}


@pytest.mark.parametrize("path", paths())
@pytest.mark.parametrize("intensity", INTENSITIES)
def test_equal_for_every_intensity(data, path, intensity):
    plan = recipe(optimizer={"name": "adam", "lr": 1e-3})
    found, oracle = (train(plan, 3, intensity, data, compute=compute) for compute in (on(path), REFERENCE))
    assert differences(found, oracle) == {}


@pytest.mark.parametrize("path", paths())
@pytest.mark.parametrize("size", [5, 16, 37, 72])
def test_equal_where_pixels_fill_no_whole_block(path, size):
    # 25 pixels are less than a block, 1,369 end in the middle of one, 5,184 in the middle of a tile
    data = run_data(size)
    plan = recipe(optimizer={"name": "adam", "lr": 1e-3}, model={"name": "mlp", "hidden": [64, 64]})
    for intensity in ("unit", "standard"):
        found, oracle = (train(plan, 1, intensity, data, compute=compute) for compute in (on(path), REFERENCE))
        assert differences(found, oracle) == {}, intensity


@pytest.mark.parametrize("path", paths())
def test_the_same_bits_every_time(data, path):
    plan = recipe(**VARIANTS["dropout"])
    first, again = (train(plan, 3, "unit", data, compute=on(path)) for _ in range(2))
    hashes = [hash_weights({k: v.numpy() for k, v in r.weights.items()}) for r in (first, again)]
    assert hashes[0] == hashes[1]
    assert np.array_equal(first.val_logits, again.val_logits)
    assert losses(first) == losses(again)


@pytest.mark.parametrize("path", ["reference", *paths()])
def test_bf16_rounds_but_learns_the_same(path):
    data = run_data(16)
    plan = recipe(optimizer={"name": "adam", "lr": 1e-3}, epochs=12)
    if path == "native" and not native.native().has_bf16:
        pytest.skip("the processor does not multiply bfloat16")
    full = train(plan, 3, "unit", data, compute=on(path))
    half = train(plan, 3, "unit", data, compute=on(path, "bf16"))
    assert losses(half) != losses(full)
    assert losses(half) == pytest.approx(losses(full), rel=0.03)
    assert all(tensor.dtype == torch.float32 for tensor in half.weights.values())


@pytest.mark.parametrize("path", ["reference", *paths()])
def test_a_loss_that_is_not_finite_ends_every_path_in_its_step(data, path):
    # a rate at which the weights overflow: the loss of the step after is no number
    plan = recipe(optimizer={"name": "sgd", "lr": 1e30, "momentum": 0.0}, epochs=3)
    with pytest.raises(Diverged) as error:
        train(plan, 0, "raw", data, compute=on(path))
    assert (error.value.epoch, error.value.step) == (0, 1)


def test_a_perceptron_takes_the_fastest_path_there_is():
    assert compute_of(recipe()) == on(paths()[-1])
    assert compute_of(recipe(threads=2)) == on("tiles")
    assert compute_of(recipe(precision="bf16")).precision == "bf16"
    assert compute_of(recipe(), "cuda") == Compute(device="cuda", precision="fp32", path="stacked")


@pytest.fixture
def another_compiler(monkeypatch, tmp_path):
    """Lets a test choose the compiler, with an empty cache; skips where the processor is the reason."""
    if native.why_not() is not None:
        pytest.skip(f"no compiled routine on this machine: {native.why_not()}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def choose(command):
        monkeypatch.setenv("CC", str(command))
        for kept in (native.native, native.why_not):
            kept.cache_clear()

    yield choose
    for kept in (native.native, native.why_not):
        kept.cache_clear()


def test_without_a_compiler_pytorch_does_the_work(another_compiler):
    another_compiler("no-such-compiler")
    assert native.why_not() == "no C compiler (no-such-compiler)"
    assert compute_of(recipe()) == on("tiles")


def test_a_compiler_that_fails_is_a_reason_and_is_asked_once(another_compiler, tmp_path):
    script, asked = tmp_path / "cc", tmp_path / "asked"
    script.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "a compiler 1.0" && exit\n'
                      f'echo x >> {asked}\necho "first" >&2\necho "error: no vectors" >&2\nexit 1\n')  # fmt: skip
    script.chmod(0o755)
    another_compiler(script)
    assert native.why_not() == "the C compiler failed (error: no vectors)"
    assert compute_of(recipe()) == compute_of(recipe(batch_size=4)) == on("tiles")
    assert asked.read_text() == "x\n"
    assert list(tmp_path.glob("doubleread/kernels/*")) == []


def test_what_is_compiled_is_kept(another_compiler, tmp_path):
    another_compiler("cc")
    assert native.is_available()
    (library,) = (tmp_path / "doubleread" / "kernels").iterdir()
    written = library.stat().st_mtime_ns
    native.native.cache_clear()
    native.native()
    assert library.stat().st_mtime_ns == written


@pytest.fixture
def without_avx512(another_compiler, monkeypatch):
    """The routine as a processor with AVX2 alone gets it."""
    flags = ["-march=x86-64-v3" if flag == "-march=native" else flag for flag in native.FLAGS]
    monkeypatch.setattr(native, "FLAGS", tuple(flags))
    another_compiler("cc")
    assert native.native().lanes == 8
    assert not native.native().has_bf16


@pytest.mark.slow
def test_equal_without_avx512(data, without_avx512):
    for name in ("bce", "ce-weights", "dropout", "wide", "batch-7", "no-hidden", "optimizer-adamw", "sgd-onecycle"):
        plan = recipe(**VARIANTS[name])
        found, oracle = (train(plan, 3, "standard", data, compute=compute) for compute in (on("native"), REFERENCE))
        assert differences(found, oracle) == {}, name
    assert compute_of(recipe(precision="bf16")) == on("tiles", "bf16")


def test_every_source_of_the_routine_is_in_the_package():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["doubleread"]
    for name in native.SOURCES:
        assert any(fnmatch(f"training/kernels/{name}", pattern) for pattern in patterns), name


@pytest.mark.parametrize("part", [Recipe, Mlp, Bce, Adam])
def test_what_the_closed_form_does_not_know_goes_to_the_reference_loop(monkeypatch, part):
    plan = recipe(schedule="cosine", model={"name": "mlp", "hidden": [6], "dropout": 0.1})
    assert compute_of(plan).path != "reference"
    monkeypatch.setitem(paths_module.KNOWN, part, paths_module.KNOWN[part] - {"batch_size", "hidden", "name", "lr"})
    assert compute_of(plan) == REFERENCE


def test_auto_is_fp32_until_the_benchmark_has_shown_a_gain(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    plan = recipe(precision="auto")
    path = compute_of(plan).path
    assert compute_of(plan).precision == "fp32"
    try:
        keep_gain(path, 1.05)
    except native.Unavailable:
        pytest.skip("no benchmark can be kept for this processor")
    assert compute_of(plan).precision == "fp32"
    keep_gain(path, 1.3)
    assert compute_of(plan).precision == "bf16"


STACK = [
    (recipe(), 0, "unit"),
    (recipe(optimizer={"name": "adam", "lr": 1e-3}), 1, "unit"),
    (recipe(loss="ce"), 2, "standard"),
    (recipe(loss={"name": "bce", "class_weights": "balanced"}), 0, "unit"),
    (recipe(schedule={"name": "onecycle", "max_lr": 0.05}), 3, "unit"),
    (recipe(schedule={"name": "exponential", "gamma": 0.8}, optimizer=OPTIMIZERS["adam-decay"]), 3, "unit"),
    (recipe(optimizer={"name": "adam", "lr": 1e-4}), 0, "raw"),
]


def stacked(runs, data, **options):
    return train_together([RunSpec(recipe=r, seed=s, intensity=i, data=data) for r, s, i in runs], "cpu", **options)


def test_a_stack_gives_each_run_what_it_gets_alone(data):
    assert len({stack_key(r) for r, _, _ in STACK}) == 1
    together = stacked(STACK, data)
    for found, (plan, seed, intensity) in zip(together, STACK, strict=True):
        assert differences(found, train(plan, seed, intensity, data, compute=REFERENCE)) == {}


@pytest.mark.parametrize("name", VARIANTS)
def test_stacks_of_other_shapes(data, name):
    plan = recipe(**VARIANTS[name])
    together = stacked([(plan, seed, "unit") for seed in (0, 5)], data)
    for found, seed in zip(together, (0, 5), strict=True):
        assert differences(found, train(plan, seed, "unit", data, compute=REFERENCE)) == {}


def test_a_run_that_diverges_in_a_stack_harms_no_other(data):
    broken = recipe(optimizer={"name": "adam", "lr": 1e38})
    epochs = {0: 0, 1: 0}
    together = stacked(
        [(broken, 0, "raw"), (recipe(), 0, "unit")], data,
        on_epoch=lambda run, _: epochs.__setitem__(run, epochs[run] + 1),
    )  # fmt: skip
    with pytest.raises(Diverged) as alone:
        train(broken, 0, "raw", data, compute=REFERENCE)
    assert isinstance(together[0], Diverged)
    assert (together[0].epoch, together[0].step) == (alone.value.epoch, alone.value.step)
    assert differences(together[1], train(recipe(), 0, "unit", data, compute=REFERENCE)) == {}
    assert epochs == {0: 0, 1: 4}


def test_bf16_in_a_stack_learns_the_same(data):
    full, half = (stacked([(recipe(), 0, "unit")], data, bf16=bf16)[0] for bf16 in (False, True))
    assert losses(half) != losses(full)
    assert losses(half) == pytest.approx(losses(full), rel=0.05)


def test_a_rate_in_a_tensor_is_taken_as_it_is():
    # left to itself, PyTorch would take the number out of the tensor, which a graph being captured does not allow
    for packet in (torch.ops.aten._fused_adam_, torch.ops.aten._fused_adamw_, torch.ops.aten._fused_sgd_):
        assert overload_for(packet, torch.tensor(0.1)) is packet.tensor_lr
        assert overload_for(packet, 0.1) is overload_for(packet, None) is packet.default


def test_steps_that_are_forgotten_leave_no_trace():
    spec = recipe(optimizer=OPTIMIZERS["adamw"]).optimizer
    weights, gradients = [torch.ones(4), torch.ones(4)], [torch.ones(4), torch.ones(4)]
    fresh, used = (FusedUpdate(spec, [w], [g]) for w, g in zip(weights, gradients, strict=True))
    used.apply(Rate(0.1))
    used.reset()
    weights[1].fill_(1)
    for update in (fresh, used):
        update.apply(Rate(0.01))
        update.apply(Rate(0.01))
    assert torch.equal(weights[0], weights[1])
    used.apply(Rate(0.01), stop=torch.ones(()))
    assert torch.equal(weights[0], weights[1])


def test_a_stack_needs_one_shape():
    assert stack_key(recipe()) != stack_key(recipe(batch_size=4))
    assert stack_key(recipe()) != stack_key(recipe(optimizer=OPTIMIZERS["sgd"]))
    assert stack_key(recipe()) != stack_key(Recipe.model_validate({**recipe().model_dump(), "epochs": 5}))
