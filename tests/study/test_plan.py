"""Identities of runs: what retrains, what does not, and that nothing is planned twice."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubleread.files import hash_of
from doubleread.nouns import REFERENCE
from doubleread.recipe import Recipe
from doubleread.study import data_key, parse_study, plan_runs, variants_of
from doubleread.study.plan import identity_of, limited
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


def test_data_that_is_prepared_otherwise_is_other_data():
    def key(**changes):
        raw = small_study("phantom")
        return data_key(parse_study({**raw, "data": {**raw["data"], **changes}}, place="s").data)

    assert key(image_size=16) != key()
    assert key(split={"val": 0.5, "by": "case", "seed": 0}) != key()
    # applied in training
    assert key(intensity="raw") == key()


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


def test_a_run_tells_the_store_what_it_is():
    run = planned(small_study("phantom")).runs[0]
    assert run.row() == {
        "run_id": hash_of(run.identity)[:20],
        "identity": run.identity,
        "recipe": run.recipe.complete(),
        "seed": 0,
        "data_hash": "d",
    }
    assert run.identity == identity_of(run.recipe, "unit", 0, "d", REFERENCE)
    assert (run.intensity, run.data_hash, run.compute) == ("unit", "d", REFERENCE)


def test_the_contents_of_files_are_part_of_the_identity():
    study = parse_study(small_study("phantom"), place="s")
    hashes = {data_key(arm.data): "d" for arm in study.arms}
    plain = plan_runs(study, hashes, lambda *_: REFERENCE)
    same = plan_runs(study, hashes, lambda *_: REFERENCE, contents_of=lambda _: {})
    other = plan_runs(study, hashes, lambda *_: REFERENCE, contents_of=lambda recipe: {"init": recipe.loss.name})
    assert plain.runs == same.runs
    assert {run.identity["init"] for run in other.runs} == {"bce", "ce"}
    assert not {run.run_id for run in plain.runs} & {run.run_id for run in other.runs}


def test_how_an_arm_is_computed_may_depend_on_its_set():
    study = parse_study(small_study("phantom"), place="s")
    asked = []

    def compute_of(arm, data_hash):
        asked.append((arm.name, data_hash))
        return replace(REFERENCE, path="native") if arm.name == "loss/ce" else REFERENCE

    plan = plan_runs(study, {data_key(arm.data): "d" for arm in study.arms}, compute_of)
    assert set(asked) == {(arm.name, "d") for arm in study.arms}
    assert {run.uses for run in plan.runs if run.compute.path == "native"} == {("loss/ce",)}


def test_variants_stand_after_the_study_and_a_part_of_a_plan_keeps_the_first_seeds():
    raw = small_study(
        "phantom", seeds=3,
        assumptions={"it": {"path": "epochs", "assumed": 3, "alternatives": [5], "because": "not stated",
                            "experiments": ["loss"]}},
    )  # fmt: skip
    study = parse_study(raw, place="s")
    plan = plan_runs(study, {data_key(arm.data): "d" for arm in study.arms}, lambda *_: REFERENCE, variants_of(study))
    assert [run.recipe.epochs for run in plan.runs] == [3] * 12 + [5] * 6
    assert plan.study is study
    seeds_of = {arm.name: 1 for arm in study.arms} | {"loss/ce": 2}
    part = limited(plan, seeds_of)
    assert {key for key in part.run_of if key[0].startswith("loss/ce")} == {
        ("loss/ce", 0), ("loss/ce", 1), ("loss/ce@it=5", 0), ("loss/ce@it=5", 1)
    }  # fmt: skip
    assert {key for key in part.run_of if key[1] == 1} == {("loss/ce", 1), ("loss/ce@it=5", 1)}
    assert {run.run_id for run in part.runs} == set(part.run_of.values())
    assert [run for run in plan.runs if run in part.runs] == list(part.runs)


GOLDEN_HASH = "e3a541fb604c2abc993ac3383116bc3cef5d326f9423c83977a679b78cb1bd14"
