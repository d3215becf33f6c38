"""Assumptions varied: which arms change, and how."""

import pytest

from doubleread.errors import UserError
from doubleread.study import parse_study, variants_of
from doubleread.study.levels import value_at
from tests.conftest import small_study

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
    assert found.arms["loss/bce"].name == "loss/bce@it=5"


def test_what_a_factor_varies_is_not_assumed():
    (found,) = variants({"path": "batch_size", "assumed": 8, "alternatives": [16]})
    assert set(found.arms) == {"loss/bce", "loss/ce", "schedule/once", "schedule/falling"}


def test_a_setting_inside_a_level_changes_the_levels_that_have_the_assumed_value():
    (found,) = variants(
        {"path": "schedule.gamma", "assumed": 0.9, "alternatives": [0.5]}, s={"factors": {"schedule": SCHEDULES}}
    )
    assert set(found.arms) == {"s/falling"}
    assert value_at(found.arms["s/falling"], "schedule.gamma") == 0.5


def test_an_assumption_holds_for_the_experiments_that_it_names():
    (found,) = variants({"path": "epochs", "assumed": 3, "alternatives": [5], "experiments": ["loss"]})
    assert set(found.arms) == {"loss/bce", "loss/ce"}
    with pytest.raises(UserError) as caught:
        variants({"path": "epochs", "assumed": 3, "alternatives": [5], "experiments": ["los"]})
    assert str(caught.value) == 'study.yaml, assumptions.it.experiments: no experiment los; did you mean "loss"?'


def test_data_can_be_assumed_too():
    (found,) = variants({"path": "data.intensity", "assumed": "unit", "alternatives": ["raw"]})
    assert {arm.data.intensity for arm in found.arms.values()} == {"raw"}


def test_an_arm_that_the_setting_has_no_effect_on_stays():
    (found,) = variants({"path": "optimizer.lr", "assumed": 1e-2, "alternatives": [1e-3]})
    assert "schedule/once" not in found.arms
    assert "schedule/falling" in found.arms
