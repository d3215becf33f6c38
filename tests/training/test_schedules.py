"""Every schedule equals PyTorch's own, step by step, momentum too."""

import pytest
import torch
from torch.optim import lr_scheduler as theirs

from doubleread.recipe import SCHEDULES, Recipe
from doubleread.training import rate_at

STEPS, EPOCHS, LR = 7, 12, 0.02


def recipe(schedule, optimizer=None):
    return Recipe.model_validate(
        {
            "model": {"name": "mlp", "hidden": [4]},
            "loss": "bce",
            "optimizer": optimizer or {"name": "adam", "lr": LR},
            "schedule": schedule,
            "batch_size": 4,
            "epochs": EPOCHS,
        }
    )


CASES = {
    "constant": ({"name": "constant"}, lambda o: theirs.ConstantLR(o, factor=1.0)),
    "step": ({"name": "step", "every": 5, "gamma": 0.3}, lambda o: theirs.StepLR(o, 5, 0.3)),
    "step-batch": ({"name": "step", "every": 5, "gamma": 0.3, "per": "batch"}, lambda o: theirs.StepLR(o, 5, 0.3)),
    "exponential": ({"name": "exponential", "gamma": 0.9}, lambda o: theirs.ExponentialLR(o, 0.9)),
    "exponential-batch": (
        {"name": "exponential", "gamma": 0.99, "per": "batch"},
        lambda o: theirs.ExponentialLR(o, 0.99),
    ),
    "cosine": ({"name": "cosine"}, lambda o: theirs.CosineAnnealingLR(o, EPOCHS)),
    "cosine-batch": (
        {"name": "cosine", "min_lr": 1e-4, "per": "batch"},
        lambda o: theirs.CosineAnnealingLR(o, EPOCHS * STEPS, eta_min=1e-4),
    ),
    "linear": ({"name": "linear"}, lambda o: theirs.LinearLR(o, 1.0, 0.0, EPOCHS)),
    "linear-batch": (
        {"name": "linear", "min_lr": LR / 4, "per": "batch"},
        lambda o: theirs.LinearLR(o, 1.0, 0.25, EPOCHS * STEPS),
    ),
    "onecycle": (
        {"name": "onecycle", "max_lr": 0.1},
        lambda o: theirs.OneCycleLR(o, 0.1, total_steps=EPOCHS * STEPS),
    ),
    "onecycle-epoch": (
        {"name": "onecycle", "max_lr": 0.1, "per": "epoch", "pct_start": 0.4, "div_factor": 10},
        lambda o: theirs.OneCycleLR(o, 0.1, total_steps=EPOCHS, pct_start=0.4, div_factor=10),
    ),
    "onecycle-early": (
        {"name": "onecycle", "max_lr": 0.1, "per": "epoch", "pct_start": 1 / 6},
        lambda o: theirs.OneCycleLR(o, 0.1, total_steps=EPOCHS, pct_start=1 / 6),
    ),
    "onecycle-still": (
        {"name": "onecycle", "max_lr": 0.1, "cycle_momentum": False, "final_div_factor": 50},
        lambda o: theirs.OneCycleLR(o, 0.1, total_steps=EPOCHS * STEPS, cycle_momentum=False, final_div_factor=50),
    ),
}

MOVING = ["onecycle", "onecycle-epoch", "onecycle-early"]
"""Those that move the momentum."""


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_equal_to_pytorch(name, kind):
    schedule, make = CASES[name]
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = (
        torch.optim.Adam([parameter], lr=LR) if kind == "adam" else torch.optim.SGD([parameter], lr=LR, momentum=0.9)
    )
    mine = recipe(schedule, {"name": "sgd", "lr": LR, "momentum": 0.9} if kind == "sgd" else None)
    scheduler = make(optimizer)
    per_batch = getattr(mine.schedule, "per", "epoch") == "batch"
    for step in range(EPOCHS * STEPS):
        group = optimizer.param_groups[0]
        rate = rate_at(mine, step, STEPS)
        assert rate.lr == pytest.approx(float(group["lr"]), rel=1e-9, abs=1e-15)
        assert (rate.momentum is not None) == (name in MOVING)
        if rate.momentum is not None:
            theirs_now = group["betas"][0] if kind == "adam" else group["momentum"]
            assert rate.momentum == pytest.approx(theirs_now, rel=1e-9)
        optimizer.step()
        if per_batch or (step + 1) % STEPS == 0:
            last = step + 1 == EPOCHS * STEPS
            if not (last and name.startswith("onecycle")):
                scheduler.step()


LOSSES = [1.0, 0.8, 0.8, 0.79, 0.9, 0.9, 0.85, 0.7, 0.69999, 0.71, 0.71, 0.71, 0.71]
# less by the threshold exactly, which is no fall; infinite at first, which is none either
ODD_LOSSES = [float("inf"), 1.0, 1 - 1e-4, 1 - 1e-4, 0.5, 0.5 * (1 - 1e-4), 0.6, 0.6, 0.6, 0.6]


@pytest.mark.parametrize("losses", [LOSSES, ODD_LOSSES], ids=["usual", "odd"])
@pytest.mark.parametrize("patience", [0, 1, 3])
def test_plateau_is_equal_to_pytorch(patience, losses):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=LR)
    scheduler = theirs.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience, min_lr=LR / 5)
    mine = recipe({"name": "plateau", "factor": 0.5, "patience": patience, "min_lr": LR / 5})
    rates = []
    for epoch, loss in enumerate(losses):
        rates.append(rate_at(mine, epoch * STEPS, STEPS, losses[:epoch]).lr)
        assert rates[-1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        scheduler.step(loss)
    assert len(set(rates)) > 1


def test_a_warmup_multiplies_what_the_schedule_says():
    plain = recipe({"name": "cosine", "per": "batch"})
    warm = Recipe.model_validate({**plain.model_dump(), "warmup": 1.5})
    rising = 1.5 * STEPS
    for step in range(3 * STEPS):
        expected = rate_at(plain, step, STEPS).lr * min(1.0, (step + 1) / rising)
        assert rate_at(warm, step, STEPS).lr == pytest.approx(expected, rel=1e-12)
    cycled = Recipe.model_validate({**recipe({"name": "onecycle", "max_lr": 0.1}).model_dump(), "warmup": 1})
    assert rate_at(cycled, 0, STEPS).momentum is not None


def test_every_schedule_is_tested():
    assert {schedule["name"] for schedule, _ in CASES.values()} == set(SCHEDULES) - {"plateau"}


def test_only_onecycle_moves_momentum():
    moving = [n for n, (s, _) in CASES.items() if rate_at(recipe(s), 3, STEPS).momentum is not None]
    assert moving == MOVING


def test_a_cycle_that_begins_at_its_peak():
    # a twelfth of twelve epochs is one, which PyTorch divides by 0 at
    mine = recipe({"name": "onecycle", "max_lr": 0.1, "per": "epoch", "pct_start": 1 / EPOCHS})
    rates = [rate_at(mine, epoch * STEPS, STEPS) for epoch in range(EPOCHS)]
    assert (rates[0].lr, rates[0].momentum) == pytest.approx((0.1, 0.85))
    assert [rate.lr for rate in rates] == sorted((rate.lr for rate in rates), reverse=True)
    assert rates[-1].lr == pytest.approx(0.1 / 25e4)
