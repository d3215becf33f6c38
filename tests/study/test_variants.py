"""Assumptions varied: which arms change, and how."""

import copy

from doubleread.study import parse_study, variants_of
from doubleread.study.levels import value_at
from doubleread.study.variants import leakage_variant
from tests.conftest import small_study
from tests.refusals import refusal

SCHEDULES = [
    {"label": "once", "name": "onecycle", "max_lr": 0.1},
    {"label": "falling", "name": "exponential", "gamma": 0.9},
]


def variants(assumption, **experiments):
    raw = small_study("phantom", assumptions={"it": {"because": "not stated", **assumption}})
    raw["experiments"] = experiments or {
        "loss": {"factors": {"loss": ["bce", "ce"]}},
        "batch": {"factors": {"batch_size": [4, 8]}},
        "schedule": {"base": {"epochs": 7}, "factors": {"schedule": SCHEDULES}},
    }
    return variants_of(parse_study(raw, place="study.yaml"))


def test_an_alternative_goes_under_the_factors_and_under_an_experiments_own_base():
    (found,) = variants({"path": "epochs", "assumed": 3, "alternatives": [5]})
    assert set(found.arms) == {"loss/bce", "loss/ce", "batch/4", "batch/8"}
    assert {arm.recipe.epochs for arm in found.arms.values()} == {5}
    assert (found.assumption, found.path, found.alternative) == ("it", "epochs", 5)
    assert found.arms["loss/bce"].name == "loss/bce@it=5"
    assert {arm.experiment for arm in found.arms.values()} == {"loss", "batch"}


def test_what_a_factor_varies_is_not_assumed():
    (found,) = variants({"path": "batch_size", "assumed": 8, "alternatives": [16]})
    assert set(found.arms) == {"loss/bce", "loss/ce", "schedule/once", "schedule/falling"}


def test_a_setting_inside_a_level_changes_the_levels_that_have_the_assumed_value():
    (found,) = variants(
        {"path": "schedule.gamma", "assumed": 0.9, "alternatives": [0.5]}, s={"factors": {"schedule": SCHEDULES}}
    )
    assert set(found.arms) == {"s/falling"}
    assert value_at(found.arms["s/falling"], "schedule.gamma") == 0.5
    assert found.arms["s/falling"].experiment == "s"


def test_an_assumption_holds_for_the_experiments_that_it_names():
    (found,) = variants({"path": "epochs", "assumed": 3, "alternatives": [5], "experiments": ["loss"]})
    assert set(found.arms) == {"loss/bce", "loss/ce"}
    assert (
        refusal(variants, {"path": "epochs", "assumed": 3, "alternatives": [5], "experiments": ["los"]})
        == 'study.yaml, assumptions.it.experiments: no experiment los; did you mean "loss"?'
    )


def test_data_can_be_assumed_too():
    (found,) = variants({"path": "data.intensity", "assumed": "unit", "alternatives": ["raw"]})
    assert {arm.data.intensity for arm in found.arms.values()} == {"raw"}


def test_an_arm_that_the_setting_has_no_effect_on_stays():
    (found,) = variants({"path": "optimizer.lr", "assumed": 1e-2, "alternatives": [1e-3]})
    assert "schedule/once" not in found.arms
    assert "schedule/falling" in found.arms


def test_a_level_that_is_only_named_is_written_out():
    (found,) = variants(
        {"path": "loss.class_weights", "assumed": "none", "alternatives": ["balanced"]},
        s={"factors": {"loss": ["bce", "ce"]}},
    )
    assert {name: arm.recipe.loss.class_weights for name, arm in found.arms.items()} == {
        "s/bce": "balanced",
        "s/ce": "balanced",
    }


def test_a_setting_deep_in_a_level():
    levels = [
        {"label": "narrow", "name": "nets:Net", "block": {"width": 4, "depth": 2}},
        {"label": "wide", "name": "nets:Net", "block": {"width": 8, "depth": 2}},
    ]
    (found,) = variants(
        {"path": "model.block.width", "assumed": 4, "alternatives": [2]}, s={"factors": {"model": levels}}
    )
    assert {name: arm.recipe.model.options for name, arm in found.arms.items()} == {
        "s/narrow": {"block": {"width": 2, "depth": 2}}
    }
    assert levels[0]["block"]["width"] == 4
    raw = small_study("phantom", experiments={"s": {"factors": {"model": levels}}})
    raw["assumptions"] = {
        part: {"path": f"model.block.{part}", "assumed": assumed, "alternatives": [9], "because": "not stated"}
        for part, assumed in (("width", 4), ("depth", 2))
    }
    width, depth = variants_of(parse_study(raw, place="s"))
    assert width.arms["s/narrow"].recipe.model.options == {"block": {"width": 9, "depth": 2}}
    assert depth.arms["s/narrow"].recipe.model.options == {"block": {"width": 4, "depth": 9}}


def test_one_assumption_is_varied_at_a_time():
    raw = small_study("phantom")
    raw["assumptions"] = {
        "rate": {"path": "optimizer.lr", "assumed": 1e-2, "alternatives": [0.1, 0.2], "because": "not stated"},
        "hidden": {"path": "model.hidden", "assumed": [6], "alternatives": [[7]], "because": "not stated"},
    }
    study = parse_study(raw, place="s")
    before = copy.deepcopy(study.raw)
    found = [
        (v.label, {(a.recipe.optimizer.lr, a.recipe.model.hidden) for a in v.arms.values()}) for v in variants_of(study)
    ]
    assert found == [
        ("rate=0.1", {(0.1, (6,))}),
        ("rate=0.2", {(0.2, (6,))}),
        ("hidden=[7]", {(0.01, (7,))}),
    ]
    assert study.raw == before


def test_an_alternative_that_fits_no_recipe():
    raw = small_study("phantom")
    raw["assumptions"] = {
        "it": {"path": "epochs", "assumed": 3, "alternatives": [5, 0], "because": "not stated"},
    }
    study = parse_study(raw, place="s")
    assert refusal(variants_of, study) == (
        "s, assumptions.it.alternatives.1, experiments.loss, base.epochs: got 0; expected a whole number from 1 to"
        " 1,000,000"
    )
    raw["assumptions"]["it"]["path"] = "augmentation.shift.most"
    raw["assumptions"]["it"]["assumed"] = None
    assert refusal(variants_of, parse_study(raw, place="s")).startswith("s, assumptions.it.alternatives.0.augment")


def test_an_alternative_that_fits_no_level():
    found = refusal(
        variants,
        {"path": "schedule.gamma", "assumed": 0.9, "alternatives": [-1]},
        s={"factors": {"schedule": SCHEDULES}},
    )
    assert found.startswith(
        "study.yaml, assumptions.it.alternatives.0, experiments.s.factors.schedule.gamma: got -1; expected a"
    )


def test_values_of_an_arm_are_as_json_has_them():
    arm = parse_study(small_study("phantom"), place="s").arms[0]
    assert value_at(arm, "data.positive") == ["PNEUMONIA"]
    assert value_at(arm, "data.split.by") == "case"
    assert value_at(arm, "model.dropout") == 0
    # a shorthand is written out
    assert value_at(arm, "schedule") == {"name": "constant"}
    assert value_at(arm, "epochs.of.what") is None
    assert value_at(arm, "model.nothing") is None


def test_a_twin_of_every_arm_that_splits_by_case():
    raw = small_study("phantom")
    raw["experiments"] = {
        "loss": {"factors": {"loss": ["bce", "ce"]}},
        "split": {
            "factors": {
                "data.split": [
                    {"label": "own", "val": 0.5, "by": "case", "seed": 1, "test": 0.25},
                    {"label": "whole", "val": 0.5, "by": "subject", "seed": 1},
                ]
            }
        },
        "given": {"factors": {"data.split": ["given"]}},
    }
    study = parse_study(raw, place="s")
    found = leakage_variant(study)
    assert (found.assumption, found.path, found.alternative) == ("split", "data.split.by", "group")
    assert found.label == "split=group"
    assert list(found.arms) == ["loss/bce", "loss/ce", "split/own"]
    twins = {arm.name: arm.data.split for arm in found.arms.values()}
    same = {"val": 0.25, "by": "group", "seed": 0, "test": 0.0, "test_by": None, "resample": "once"}
    assert {name: split.model_dump() for name, split in twins.items()} == {
        "loss/bce@by-group": same,
        "loss/ce@by-group": same,
        # a test set that is drawn holds the same cases as before
        "split/own@by-group": {**same, "val": 0.5, "seed": 1, "test": 0.25, "test_by": "case"},
    }
    for arm in study.arms:
        if arm.name in found.arms:
            twin = found.arms[arm.name]
            assert (twin.recipe, twin.levels, twin.experiment) == (arm.recipe, arm.levels, arm.experiment)
            assert twin.data.model_copy(update={"split": arm.data.split}) == arm.data
