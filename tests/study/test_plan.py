"""Identities of runs: what retrains, what does not, and that nothing is planned twice."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubleread.files import hash_of
from doubleread.nouns import REFERENCE
from doubleread.recipe import Recipe
from doubleread.study import data_key, parse_study, plan_runs
from doubleread.study.plan import identity_of
from tests.conftest import small_study


def planned(raw, data="d"):
    study = parse_study(raw, place="s")
    return plan_runs(study, {data_key(arm.data): data for arm in study.arms}, lambda *_: REFERENCE)


def ids(raw, data="d"):
    return [run.run_id for run in planned(raw, data).runs]


def test_a_recipe_that_stands_in_two_experiments_is_planned_once():
    plan = planned(small_study("phantom"))
    assert len(plan.runs) == 4 * 2
    assert plan.run_of["loss/bce", 1] == plan.run_of["batch/8", 1]
    assert plan.runs[0].uses == ("loss/bce", "batch/8")
    assert len({run.run_id for run in plan.runs}) == len(plan.runs)


def test_seeds_stand_one_after_the_other():
    assert [run.seed for run in planned(small_study("phantom")).runs] == [0] * 4 + [1] * 4


def reordered(value, random):
    if isinstance(value, dict):
        items = [(k, reordered(v, random)) for k, v in value.items()]
        random.shuffle(items)
        return dict(items)
    return value


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_retrains_nothing(random):
    raw = small_study("phantom")
    shuffled = reordered(raw, random)
    assert set(ids(shuffled)) == set(ids(raw))


def test_the_name_of_a_level_retrains_nothing():
    raw = small_study("phantom")
    raw["experiments"]["loss"]["factors"]["loss"] = [
        {"label": "one output", "name": "bce"},
        {"label": "two", "name": "ce"},
    ]
    raw["experiments"]["loss"]["reported"] = {}
    assert ids(raw) == ids(small_study("phantom"))


def test_more_seeds_and_levels_keep_what_is_there():
    raw = small_study("phantom")
    more = small_study("phantom", seeds=5)
    more["experiments"]["batch"]["factors"]["batch_size"] = [4, 8, 16, 32]
    assert set(ids(raw)) < set(ids(more))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("model", {"name": "mlp", "hidden": [6], "dropout": 0.0}),
        ("optimizer", {"name": "adam", "lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0}),
        ("loss", {"name": "bce", "class_weights": "none"}),
        ("threads", 1),
    ],
)
def test_a_default_that_is_written_out_retrains_nothing(part, value):
    raw = small_study("phantom")
    raw["base"][part] = value
    assert set(ids(raw)) == set(ids(small_study("phantom")))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("model", {"name": "mlp", "hidden": [7]}),
        ("optimizer", {"name": "adam", "lr": 0.02}),
        ("epochs", 4),
        ("threads", 2),
        ("schedule", "cosine"),
    ],
)
def test_what_changes_results_retrains(part, value):
    raw = small_study("phantom")
    raw["base"][part] = value
    assert not set(ids(raw)) & set(ids(small_study("phantom")))


def test_data_and_intensity_are_part_of_the_identity():
    raw = small_study("phantom")
    assert not set(ids(raw, "d")) & set(ids(raw, "e"))
    other = small_study("phantom")
    other["data"]["intensity"] = "standard"
    assert not set(ids(raw)) & set(ids(other))


def test_an_identity_stays_what_it_is():
    # golden: releases must not retrain old runs
    recipe = Recipe.model_validate(small_study("phantom")["base"])
    identity = identity_of(recipe, "unit", 3, "abc", REFERENCE)
    assert hash_of(identity) == GOLDEN_HASH
    assert json.dumps(identity, sort_keys=True) == (
        '{"data": "abc", "device": "cpu", "intensity": "unit", "numerics": 1, "path": "reference", "precision": "fp32",'
        ' "recipe": {"batch_size": 8, "epochs": 3, "loss": {"name": "bce"}, "model": {"hidden": [6], "name": "mlp"},'
        ' "optimizer": {"lr": 0.01, "name": "adam"}, "schedule": {"name": "constant"}}, "seed": 3}'
    )


def test_how_a_run_is_computed_is_part_of_it():
    recipe = Recipe.model_validate(small_study("phantom")["base"])
    ways = [REFERENCE, replace(REFERENCE, path="native"), replace(REFERENCE, precision="bf16"),
            replace(REFERENCE, device="cuda")]  # fmt: skip
    assert len({hash_of(identity_of(recipe, "unit", 3, "abc", way)) for way in ways}) == 4


def test_auto_is_the_run_that_it_comes_to():
    base = small_study("phantom")["base"]
    plain, auto = (Recipe.model_validate({**base, **extra}) for extra in ({}, {"precision": "auto"}))
    assert identity_of(plain, "unit", 3, "abc", REFERENCE) == identity_of(auto, "unit", 3, "abc", REFERENCE)


GOLDEN_HASH = "e3a541fb604c2abc993ac3383116bc3cef5d326f9423c83977a679b78cb1bd14"
