"""Every model, loss, optimizer, schedule, augmentation and part of a recipe, by being listed: what each must do.

It trains on the phantom; the same seed gives the same bits, another seed others; killed and resumed it ends with the
same bits; and what it leaves is a network that other programs can run.
"""

from dataclasses import fields

import numpy as np
import onnxruntime
import pytest
import torch

from doubleread.images.phantom import CLASSES, PhantomSource, PhantomSpec
from doubleread.model_file import write_onnx
from doubleread.nouns import REFERENCE, RunData
from doubleread.recipe import PARTS, Augmentation, Recipe
from doubleread.recipe.model import MODELS
from doubleread.training import compute_of, train
from doubleread.training.augment import Changes, change, draw_changes, mixed
from doubleread.training.model import build_model, try_model
from doubleread.training.stopping import best_epoch
from tests.model_file.made import made_predictor
from tests.training.conftest import recipe
from tests.training.test_checkpoints import assert_same, interrupted
from tests.training.test_loop import hash_of

SIZE = 32
SMALL_CNN = {"name": "cnn", "widths": [4, 8], "blocks": [1, 1], "dropout": 0.1}
FEW = {"epochs": 2, "batch_size": 10, "optimizer": {"name": "adam", "lr": 1e-3}}
MODEL_CASES = {
    "mlp": {"name": "mlp", "hidden": [6], "dropout": 0.2},
    "linear": "linear",
    "cnn": SMALL_CNN,
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "densenet121": {"name": "densenet121", "dropout": 0.1},
    "efficientnet_b0": "efficientnet_b0",
    "vit": {"name": "vit", "patch": 8, "width": 24, "depth": 2, "heads": 2, "dropout": 0.1},
    "own": {"name": "tests.training.own_nets:Tiny", "width": 3},
    "own-with-everything": {"name": "tests.training.own_nets:Everything", "anything": 1},
}
LARGE = tuple(f"model-{name}" for name in ("resnet18", "resnet34", "resnet50", "densenet121", "efficientnet_b0"))
"""Models of which one epoch of two steps must do."""
AUGMENTATIONS = {
    "flip": {"flip": "both"},
    "rotate": {"rotate": 20.0},
    "shift": {"shift": 0.2},
    "zoom": {"zoom": 0.3},
    "contrast": {"contrast": 0.5},
    "gamma": {"gamma": 0.5},
    "brightness": {"brightness": 0.2},
    "noise": {"noise": 0.1},
    "cutout": {"cutout": 0.4},
    "mixup": {"mixup": 0.4},
    "everything": {"flip": "horizontal", "rotate": 10.0, "shift": 0.1, "zoom": 0.1, "contrast": 0.2, "gamma": 0.2,
                   "brightness": 0.1, "noise": 0.05, "cutout": 0.2, "mixup": 0.2},
}  # fmt: skip
PART_CASES = {
    "bce": {"loss": {"name": "bce", "label_smoothing": 0.1, "class_weights": "balanced"}},
    "ce": {"loss": {"name": "ce", "label_smoothing": 0.1, "class_weights": [1.0, 2.0]}},
    "focal": {"loss": {"name": "focal", "class_weights": "balanced"}},
    "adam": {"optimizer": {"name": "adam", "lr": 1e-3, "weight_decay": 0.01}},
    "adamw": {"optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 0.05}},
    "sgd": {"optimizer": {"name": "sgd", "lr": 1e-2, "momentum": 0.9}},
    "constant": {"schedule": "constant"},
    "step": {"schedule": {"name": "step", "every": 1, "gamma": 0.5}},
    "cosine": {"schedule": {"name": "cosine", "per": "batch"}},
    "linear": {"schedule": {"name": "linear", "min_lr": 1e-4}},
    "exponential": {"schedule": {"name": "exponential", "gamma": 0.5}},
    "onecycle": {"schedule": {"name": "onecycle", "max_lr": 1e-2}},
    "plateau": {"schedule": {"name": "plateau", "factor": 0.5, "patience": 0}, "epochs": 4,
                "optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.9}},
}  # fmt: skip
STEEP = {"name": "sgd", "lr": 0.5, "momentum": 0.9}
RECIPE_CASES = {
    "augmentation": {"augmentation": AUGMENTATIONS["everything"]},
    "sampling": {"sampling": "balanced"},
    "warmup": {"warmup": 1.5},
    "clip_norm": {"clip_norm": 0.1},
    "accumulate": {"accumulate": 3},
    "ema": {"ema": 0.9},
    # at this rate validation gets worse before the end
    "stop": {"stop": {"metric": "val_loss", "patience": 1}, "epochs": 5, "optimizer": STEEP},
    "keep": {"keep": "best", "epochs": 5, "optimizer": STEEP},
    "test_time": {"test_time": "flip"},
    "precision": {"precision": "bf16"},
}
CASES = {
    **{f"model-{name}": {"model": model} for name, model in MODEL_CASES.items()},
    **{f"augmentation-{name}": {"augmentation": spec} for name, spec in AUGMENTATIONS.items()},
    **{f"part-{name}": changes for name, changes in PART_CASES.items()},
    **{f"recipe-{name}": changes for name, changes in RECIPE_CASES.items()},
}
ALWAYS = {"model", "loss", "optimizer", "schedule", "batch_size", "epochs", "threads"}


def plan_of(case: str) -> Recipe:
    few = {**FEW, "epochs": 1, "batch_size": 13} if case in LARGE else FEW
    return recipe(**{**few, "model": SMALL_CNN, **CASES[case]})


@pytest.fixture(scope="session")
def phantom() -> RunData:
    """Forty-eight phantoms of 32 × 32 pixels: 26 for training, 12 for validation, 10 for test."""
    spec = PhantomSpec(seed=3, size=SIZE, train_per_class=13, val_per_class=6, test_per_class=5)
    source = PhantomSource(spec)
    rows = {
        part: np.array([i for i, item in enumerate(source.items) if item.part == part])
        for part in ("train", "val", "test")
    }
    return RunData(
        images=np.stack([source.read(index) for index in range(len(source.items))]),
        labels=np.array([CLASSES.index(item.class_name) for item in source.items]),
        **rows,
    )


@pytest.fixture(autouse=True)
def _as_a_worker_trains(monkeypatch):
    """One thread, as a run has; one step at once, so that a run pauses after each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr("doubleread.training.loop.FIRST_STRETCH", 1)
    monkeypatch.setattr("doubleread.training.loop.STRETCH_SECONDS", 0.0)
    yield
    torch.set_num_threads(threads)


def trained(plan: Recipe, data: RunData, seed: int = 3):
    return train(plan, seed, "unit", data, compute=REFERENCE)


def test_everything_there_is_stands_in_the_suite():
    assert set(MODELS) <= set(MODEL_CASES)
    assert {name for part in ("loss", "optimizer", "schedule") for name in PARTS[part]} == set(PART_CASES)
    assert set(Augmentation.model_fields) <= set(AUGMENTATIONS)
    assert set(Recipe.model_fields) - ALWAYS == set(RECIPE_CASES)


@pytest.mark.parametrize("case", CASES)
def test_it_trains_and_the_same_seed_gives_the_same_bits(phantom, case):
    plan = plan_of(case)
    try_model(plan, phantom)
    first, again, other = (trained(plan, phantom, seed) for seed in (3, 3, 4))
    assert np.isfinite([epoch.train_loss for epoch in first.epochs]).all()
    assert first.test_logits.shape == (10,)
    assert_same(again, first)
    assert hash_of(other) != hash_of(first)
    start = build_model(plan, 3, phantom).state_dict()
    assert any(not torch.equal(start[name], tensor) for name, tensor in first.weights.items())


@pytest.mark.parametrize("case", CASES)
def test_killed_and_resumed_it_ends_with_the_same_bits(phantom, case):
    plan = plan_of(case)
    whole = trained(plan, phantom)
    # three steps an epoch: in the middle of the first epoch, at its end, in the middle of the second
    for pause in (1,) if case in LARGE else (1, 3, 4):
        checkpoint = interrupted(plan, phantom, REFERENCE, pause)
        torch.manual_seed(pause)
        assert_same(train(plan, 3, "unit", phantom, compute=REFERENCE, start=checkpoint), whole)


PLAIN = ("part-constant", "part-adam")
"""What the others are compared with."""


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("model-") and case not in PLAIN])
def test_it_has_an_effect(phantom, case):
    # what a case needs besides, to have its effect at all
    needs = {key: value for key, value in CASES[case].items() if key in ("epochs", "optimizer")}
    if case.removeprefix("part-") in PARTS["optimizer"]:
        needs = {}
    without = recipe(**{**FEW, "model": SMALL_CNN, **needs})
    plans = (plan_of(case), without)
    found, plain = (train(plan, 3, "unit", phantom, compute=compute_of(plan)) for plan in plans)
    assert not np.array_equal(found.test_logits, plain.test_logits)


def test_a_run_stops_and_the_best_epoch_is_kept(phantom):
    plain = trained(recipe(**{**FEW, "model": SMALL_CNN, "epochs": 5, "optimizer": STEEP}), phantom)
    val_loss = [epoch.val_loss for epoch in plain.epochs]
    stopped = trained(plan_of("recipe-stop"), phantom)
    first_rise = next(place for place in range(1, 5) if val_loss[place] >= min(val_loss[:place]))
    assert [epoch.val_loss for epoch in stopped.epochs] == val_loss[: first_rise + 1]
    best = best_epoch(plain.epochs)
    assert best < 4
    until_then = trained(recipe(**{**FEW, "model": SMALL_CNN, "epochs": best + 1, "optimizer": STEEP}), phantom)
    assert hash_of(trained(plan_of("recipe-keep"), phantom)) == hash_of(until_then)


@pytest.mark.parametrize("name", MODEL_CASES)
def test_two_losses_start_from_the_same_numbers_wherever_shapes_are_equal(phantom, name):
    one, two = (build_model(recipe(model=MODEL_CASES[name], loss=loss), 5, phantom) for loss in ("bce", "ce"))
    shared = {k: v for k, v in one.state_dict().items() if v.shape == two.state_dict()[k].shape}
    assert len(shared) >= len(one.state_dict()) - 2
    assert all(torch.equal(tensor, two.state_dict()[key]) for key, tensor in shared.items())


# PyTorch's exporter uses what PyTorch is giving up
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", MODEL_CASES)
def test_onnx_gives_the_same_at_any_batch_size(tmp_path, phantom, name):
    """The file is written only if it agrees with PyTorch at batches of 1, 2 and 7; here at 5, too."""
    predictor = made_predictor(recipe(model=MODEL_CASES[name]), SIZE)
    images = np.array(phantom.images[:7])
    assert write_onnx(tmp_path / "m.onnx", predictor, images) <= 1e-4
    session = onnxruntime.InferenceSession((tmp_path / "m.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    probability, calibrated, called = session.run(None, {"pixels": images[:5]})
    ours = predictor.predictions(images[:5])
    assert probability == pytest.approx(ours.mean_NC, abs=1e-4)
    assert calibrated == pytest.approx(ours.calibrated_NC, abs=1e-4)
    assert np.array_equal(called, ours.called_N)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_batch_is_what_its_images_are_alone(phantom, name):
    spec = Augmentation(**AUGMENTATIONS[name])
    images = torch.from_numpy(phantom.images[:6]).float().div(255).unsqueeze(1)
    changes = draw_changes(spec, 1, 0, 6)
    together = change(spec, changes, images)
    assert together.shape == images.shape
    assert together.min() >= 0
    assert together.max() <= 1
    for place in range(6):
        here = slice(place, place + 1)
        assert torch.allclose(change(spec, changes.at(here), images[here]), together[here], atol=1e-6), place


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_changes_are_drawn_once_for_a_seed_an_epoch_and_a_place(name):
    spec = Augmentation(**AUGMENTATIONS[name])
    drawn = draw_changes(spec, 1, 0, 8)
    assert drawn.digest() == draw_changes(spec, 1, 0, 8).digest()
    assert drawn.digest() != draw_changes(spec, 2, 0, 8).digest()
    assert drawn.digest() != draw_changes(spec, 1, 1, 8).digest()
    assert drawn.at(slice(2, 5)).angle.tolist() == drawn.angle[2:5].tolist()
    neutral = {"zoom": 1, "contrast": 1, "gamma": 1, "mirror": 1, "upend": 1, "share": 1}
    moved = {
        f.name
        for f in fields(Changes)
        if np.ptp(getattr(drawn, f.name)) or getattr(drawn, f.name)[0] != neutral.get(f.name, 0)
    }
    expected = {"flip": {"mirror", "upend"}, "rotate": {"angle"}, "shift": {"shift_x", "shift_y"}, "mixup": {"share"}}
    if name != "everything":
        always = {"noise_seed", "cutout_x", "cutout_y"}
        assert moved - always == expected.get(name, {name} - {"cutout"})


def test_an_arm_that_turns_twice_as_far_turns_each_image_the_same_way():
    less, more = (draw_changes(Augmentation(rotate=degrees), 0, 2, 20) for degrees in (10.0, 20.0))
    assert more.angle == pytest.approx(2 * less.angle)


def test_what_each_change_does():
    images = torch.zeros(1, 1, 9, 9)
    images[0, 0, 4, 6] = 1.0
    one = draw_changes(Augmentation(flip="both"), 0, 0, 1)

    def changed(spec, **values):
        fixed = {f.name: getattr(one, f.name) for f in fields(Changes)} | {"mirror": np.ones(1), "upend": np.ones(1)}
        return change(
            Augmentation(**spec), Changes(**{**fixed, **{k: np.array([v]) for k, v in values.items()}}), images
        )[0, 0]

    where = lambda found: tuple(np.unravel_index(int(found.argmax()), (9, 9)))  # noqa: E731
    assert where(changed({"flip": "both"}, mirror=-1.0)) == (4, 2)
    assert where(changed({"rotate": 90.0}, angle=np.pi / 2)) in ((2, 4), (6, 4))
    assert where(changed({"shift": 1.0}, shift_x=2 / 9)) == (4, 4)
    assert where(changed({"zoom": 1.0}, zoom=2.0)) == (4, 8)
    assert float(changed({"brightness": 0.5}, brightness=0.25)[0, 0]) == 0.25
    assert float(changed({"contrast": 0.5}, contrast=0.5)[4, 6]) == pytest.approx(0.5 + 0.5 / 81)
    cut = changed({"cutout": 3 / 9}, cutout_x=6.5 / 9, cutout_y=4.5 / 9)
    assert float(cut.max()) == pytest.approx(1 / 81)
    noisy = changed({"noise": 0.5}, noise=0.1)
    assert 0.02 < float(noisy.std()) < 0.2


def test_a_mixture_is_of_an_image_and_the_next():
    images = torch.arange(3.0).view(3, 1, 1, 1)
    changes = draw_changes(Augmentation(mixup=0.4), 0, 0, 3)
    found, share = mixed(changes, images)
    assert 0.5 <= share <= 1
    assert found.flatten().tolist() == pytest.approx([1 - share, share + 2 * (1 - share), 2 * share])


def test_gradients_of_parts_are_those_of_the_whole(phantom):
    """A perceptron has no batch norm, so a batch in parts gives the same update, up to rounding."""
    changes = {**FEW, "model": {"name": "mlp", "hidden": [6]}, "loss": {"name": "ce", "class_weights": "balanced"}}
    whole, parts = (trained(recipe(**changes, accumulate=number), phantom) for number in (1, 4))
    assert parts.test_logits == pytest.approx(whole.test_logits, abs=1e-4)
    assert [e.train_loss for e in parts.epochs] == pytest.approx([e.train_loss for e in whole.epochs], rel=1e-5)
