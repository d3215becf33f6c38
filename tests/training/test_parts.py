"""What the parts of a recipe compute, against their formulas."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from doubleread.nouns import REFERENCE, RunData
from doubleread.recipe import Bce, Ce, Focal, Stop
from doubleread.seeds import balanced
from doubleread.training import Epoch, train
from doubleread.training.averaging import AveragedWeights
from doubleread.training.evaluation import Evaluator
from doubleread.training.losses import make_loss, outputs_of
from doubleread.training.model import build_model
from doubleread.training.pixels import PixelReader, scaling_of
from doubleread.training.records import RunSpec
from doubleread.training.reference import ReferenceTrainer
from doubleread.training.schedules import Rate
from doubleread.training.stopping import best_epoch, stops
from tests.training.conftest import recipe, run_data

LABELS = np.array([0, 0, 0, 1])
OUTPUTS = torch.tensor([[0.3], [-1.2], [2.0], [0.1]])
TARGETS = torch.tensor([1, 0, 0, 1])


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_loss_is_its_formula(gamma):
    found = make_loss(Focal(name="focal", gamma=gamma), LABELS)(OUTPUTS, TARGETS)
    p = torch.sigmoid(OUTPUTS[:, 0])
    given = torch.where(TARGETS == 1, p, 1 - p)
    assert found.item() == pytest.approx((-((1 - given) ** gamma) * given.log()).mean().item(), rel=1e-5)


def test_focal_loss_of_many_classes_and_of_two():
    outputs = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    found = make_loss(Focal(name="focal"), np.array([0, 1, 2]), classes=3)(outputs, labels)
    given = outputs.softmax(dim=1)[torch.arange(6), labels]
    assert found.item() == pytest.approx((-((1 - given) ** 2) * given.log()).mean().item(), rel=1e-5)
    assert [outputs_of(spec, 3) for spec in (Focal(name="focal"), Ce(name="ce"))] == [3, 3]
    assert [outputs_of(spec) for spec in (Focal(name="focal"), Ce(name="ce"), Bce(name="bce"))] == [1, 2, 1]


def test_a_confident_case_has_no_loss_and_no_nan():
    found = make_loss(Focal(name="focal"), LABELS)(torch.tensor([[80.0], [-80.0]]), torch.tensor([1, 1]))
    assert found.item() == pytest.approx(40.0)


def test_label_smoothing_means_the_same_in_both_losses():
    two = torch.cat([torch.zeros_like(OUTPUTS), OUTPUTS], dim=1)
    bce = make_loss(Bce(name="bce", label_smoothing=0.2), LABELS)(OUTPUTS, TARGETS)
    ce = make_loss(Ce(name="ce", label_smoothing=0.2), LABELS)(two, TARGETS)
    smooth = TARGETS.float() * 0.8 + 0.1
    assert bce.item() == pytest.approx(functional.binary_cross_entropy_with_logits(OUTPUTS[:, 0], smooth).item())
    assert ce.item() == pytest.approx(bce.item(), rel=1e-5)


def test_a_weight_of_a_batch_is_that_of_its_cases():
    loss = make_loss(Bce(name="bce", class_weights="balanced"), LABELS)
    assert loss.weight_of(torch.tensor([0, 1])) == pytest.approx(4 / 6 + 2)
    assert make_loss(Bce(name="bce"), LABELS).weight_of(torch.tensor([0, 1])) == 2


@pytest.mark.parametrize("counts", [(30, 10), (5, 40, 17), (8, 8)])
def test_balanced_sampling(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    drawn = balanced(labels, 3, 0)
    assert len(drawn) == len(labels)
    each = np.bincount(labels[drawn])
    assert np.ptp(each) <= 1
    for label, count in enumerate(counts):
        times = np.bincount(drawn[labels[drawn] == label], minlength=len(labels))[labels == label]
        # none is drawn twice before all have been drawn once
        assert times.max() - times.min() <= 1
        assert times.sum() == each[label], (label, count)
    assert balanced(labels, 3, 0).tolist() == drawn.tolist()
    if len(set(counts)) > 1:
        assert balanced(labels, 3, 1).tolist() != drawn.tolist()
        assert balanced(labels, 4, 0).tolist() != drawn.tolist()


def test_averaged_weights_are_the_recurrence():
    model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    average = AveragedWeights(model, 0.9)
    expected = model[0].weight.detach().clone()
    for step in range(1, 20):
        with torch.no_grad():
            model[0].weight += 1.0
            model[1].running_mean += 0.5
            model[1].num_batches_tracked += 1
        average.add(model)
        stays = min(0.9, (1 + step) / (10 + step))
        expected = stays * expected + (1 - stays) * model[0].weight.detach()
    assert torch.allclose(average.model[0].weight, expected)
    assert 0 < average.model[1].running_mean.item() < model[1].running_mean.item()
    assert average.model[1].num_batches_tracked == 19


def test_a_gradient_that_is_too_long_is_scaled_down():
    data = run_data(8)
    plans = [recipe(clip_norm=norm, optimizer={"name": "sgd", "lr": 1.0, "momentum": 0.0}) for norm in (1e-3, 1e6)]
    moved = []
    for plan in plans:
        trainer = ReferenceTrainer(RunSpec(recipe=plan, seed=0, intensity="raw", data=data), bf16=False)
        before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
        trainer.train(torch.arange(8), [Rate(1.0)])
        squares = [(a - b).square().sum() for a, b in zip(trainer.model.parameters(), before, strict=True)]
        moved.append(math.sqrt(sum(square.item() for square in squares)))
    assert moved[0] == pytest.approx(1e-3, rel=1e-3)
    assert moved[1] > 5e-3


def epochs_of(losses, aurocs=None):
    aurocs = aurocs or [0.5] * len(losses)
    return [
        Epoch(
            epoch=place,
            rate=0.1,
            train_loss=1.0,
            train_accuracy=0.5,
            val_loss=loss,
            val_accuracy=0.5,
            seconds=1.0,
            val_auroc=auroc,
        )
        for place, (loss, auroc) in enumerate(zip(losses, aurocs, strict=True))
    ]


def test_when_a_run_stops():
    falling = epochs_of([3.0, 2.0, 1.0])
    assert not stops(None, falling)
    assert not stops(Stop(metric="val_loss", patience=1), falling)
    assert stops(Stop(metric="val_loss", patience=1), epochs_of([3.0, 2.0, 2.0]))
    assert not stops(Stop(metric="val_loss", patience=2), epochs_of([3.0, 2.0, 2.5]))
    assert stops(Stop(metric="val_loss", patience=2), epochs_of([3.0, 2.0, 2.5, 2.1]))
    rising = epochs_of([1.0] * 3, [0.6, 0.7, 0.7])
    assert stops(Stop(metric="val_auroc", patience=1), rising)
    assert not stops(Stop(metric="val_auroc", patience=2), rising)


def test_the_best_epoch_is_the_first_of_equals():
    assert best_epoch(epochs_of([1.0] * 4, [0.6, 0.8, 0.8, 0.7])) == 1
    assert best_epoch(epochs_of([1.0] * 2, [None, 0.2])) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"stop": {"metric": "val_loss", "patience": 3}}, "a patience of at most 2 with 4 epochs"),
        ({"schedule": {"name": "plateau", "factor": 0.5, "patience": 2}}, "a patience of at most 1 with 4 epochs"),
        (
            {"schedule": {"name": "plateau", "factor": 0.5, "patience": 1, "min_lr": 0.5}},
            "a min_lr below the optimizer's rate, 0.01",
        ),
        ({"augmentation": {"mixup": 0.2}, "batch_size": 1}, "no mixup with a batch of one"),
        ({"accumulate": 9}, "at most as many parts as a batch has cases, 8"),
        ({"warmup": 4}, "a warmup below the number of epochs, 4"),
        ({"keep": "best", "epochs": 1}, "keep: last, since one epoch leaves no choice"),
        ({"augmentation": {}}, "one of flip, rotate"),
        ({"augmentation": {"flip": "none", "rotate": 0.0}}, "one of flip, rotate"),
        ({"loss": {"name": "focal", "gamma": 0.0}}, "a number > 0"),
        ({"model": {"name": "cnn", "widths": [4, 8], "blocks": [1]}}, "as many blocks as widths, not 1 and 2"),
        ({"model": {"name": "vit", "width": 10, "heads": 3}}, "10 is no multiple of 3"),
        ({"model": "nets:class"}, "a module, a colon and a name, such as my_package.nets:Net"),
        ({"model": "a b:Net"}, "a module, a colon and a name"),
    ],
)
def test_what_has_no_effect_or_does_not_fit_is_refused(changes, expected):
    with pytest.raises(ValidationError) as error:
        recipe(**changes)
    assert expected in str(error.value)


def test_each_image_is_standardised_by_its_own_pixels():
    images = torch.from_numpy(np.stack([np.full((4, 4), 7), np.arange(16).reshape(4, 4) * 10]).astype(np.uint8))
    rows = np.arange(2)
    data = RunData(images=images.numpy(), labels=np.array([0, 1]), train=rows, val=rows, test=rows)
    flat, ramp = PixelReader(images, scaling_of("image", data), 2).batch(torch.tensor([0, 1])).clone()
    assert flat.abs().max() == 0
    assert ramp.mean().item() == pytest.approx(0, abs=1e-6)
    assert ramp.std(correction=0).item() == pytest.approx(1)


def test_exposure_is_taken_out_by_each_images_own_pixels():
    data = run_data(8)
    darker = replace(data, images=(data.images // 2 + 20).astype(np.uint8))
    even = replace(data, images=(data.images // 2 * 2).astype(np.uint8))
    first, second = (train(recipe(), 0, "image", one) for one in (darker, even))
    assert first.test_logits == pytest.approx(second.test_logits, abs=1e-4)


def test_a_test_time_flip_is_the_mean_of_both():
    data = run_data(8)
    plan = recipe(model={"name": "cnn", "widths": [4], "blocks": [1]})
    model = build_model(plan, 0, data).eval()
    both = Evaluator(model, "unit", data, test_time="flip").logits(data.test)
    images = torch.from_numpy(data.images[data.test]).float().div(255).unsqueeze(1)
    with torch.no_grad():
        expected = (model(images) + model(images.flip(3)))[:, 0] / 2
    assert both == pytest.approx(expected.numpy(), abs=1e-6)
    mirrored = replace(data, images=data.images[:, :, ::-1].copy())
    assert Evaluator(model, "unit", mirrored, test_time="flip").logits(data.test) == pytest.approx(both, abs=1e-6)


def test_mixup_mixes_the_loss_as_it_mixes_the_images():
    data = run_data(8)
    plan = recipe(augmentation={"mixup": 0.4}, model="linear", epochs=1, batch_size=45)
    spec = RunSpec(recipe=plan, seed=2, intensity="unit", data=data)
    found = train(plan, 2, "unit", data, compute=REFERENCE).epochs[0].train_loss
    model = build_model(plan, 2, data)
    rows, share = spec.rows(0), float(spec.changes(0).share[0])
    images, labels = torch.from_numpy(data.images)[rows].float() / 255, torch.from_numpy(data.labels)[rows].float()
    outputs = model(share * images + (1 - share) * images.roll(-1, 0))[:, 0]
    each = [functional.binary_cross_entropy_with_logits(outputs, y) for y in (labels, labels.roll(-1))]
    assert found == pytest.approx((share * each[0] + (1 - share) * each[1]).item(), rel=1e-5)


def test_none_is_what_is_not_there():
    plan = recipe(ema="none", stop="none", augmentation="none", clip_norm="none")
    assert plan == recipe()


@pytest.mark.parametrize("loss", ["bce", {"name": "bce", "class_weights": [1.0, 10.0]}])
def test_mixtures_in_parts_are_those_of_the_whole(loss):
    data = run_data(8)
    changes = {"augmentation": {"mixup": 0.4}, "loss": loss, "epochs": 2}
    whole, parts = (train(recipe(**changes, accumulate=n), 2, "unit", data, compute=REFERENCE) for n in (1, 4))
    assert [e.train_loss for e in parts.epochs] == pytest.approx([e.train_loss for e in whole.epochs], rel=1e-4)
    assert parts.test_logits == pytest.approx(whole.test_logits, abs=1e-3)
