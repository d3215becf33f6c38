"""The two reports as studies: every row and every number of the reports is there."""

import pytest

from doubleread.nouns import REFERENCE
from doubleread.study import REPORTS, data_key, load_study, plan_runs, variants_of
from doubleread.study.levels import value_at

REPORTED = {
    "report-a": {
        ("loss/bce", "accuracy"): "0.7275",
        ("loss/ce", "accuracy"): "0.695",
        ("batch/8", "accuracy"): "0.7375",
        ("batch/32", "accuracy"): "0.7525",
        ("batch/128", "accuracy"): "0.7925",
        ("batch/8", "seconds"): "about 60",
        ("batch/128", "seconds"): "about 20",
        ("rate/0.1", "accuracy"): "0.795",
        ("rate/0.001", "accuracy"): "0.7525",
        ("rate/1e-06", "accuracy"): "0.695",
    },
    "report-b": {
        ("batch/10", "accuracy"): "0.73",
        ("batch/50", "accuracy"): "0.735",
        ("batch/100", "accuracy"): "0.785",
        ("batch/10", "lowest_train_loss"): "≥ 0.1",
        ("batch/100", "lowest_train_loss"): "0.0163",
        ("schedule/cosine", "accuracy"): "0.7875",
        ("schedule/onecycle", "accuracy"): "0.805",
        ("schedule/exponential", "accuracy"): "0.725",
        ("schedule/onecycle", "train_loss"): "0.26",
        ("schedule/onecycle", "train_accuracy"): "0.9012",
        ("schedule/onecycle", "val_loss"): "0.19",
        ("schedule/onecycle", "val_accuracy"): "0.9375",
        ("schedule/exponential", "val_accuracy"): "0.90 to 0.95",
    },
}
ARMS = {
    "report-a": ["loss/bce", "loss/ce", "batch/8", "batch/32", "batch/128", "rate/0.1", "rate/0.001", "rate/1e-06"],
    "report-b": [
        "loss/bce",
        "loss/ce",
        "batch/10",
        "batch/50",
        "batch/100",
        "schedule/cosine",
        "schedule/onecycle",
        "schedule/exponential",
    ],
}
DIFFERENT_RECIPES = {"report-a": 6, "report-b": 7}


@pytest.mark.parametrize("name", REPORTS)
def test_every_reported_number_stands_with_its_arm(name):
    found = {
        (arm, metric): number.text
        for experiment in load_study(name).experiments
        for metric, by_arm in experiment.reported.items()
        for arm, number in by_arm.items()
    }
    assert found == REPORTED[name]


@pytest.mark.parametrize("name", REPORTS)
def test_every_row_is_an_experiment_and_equal_recipes_are_trained_once(name):
    study = load_study(name, overrides={"seeds": 1})
    assert [arm.name for arm in study.arms] == ARMS[name]
    plan = plan_runs(study, {data_key(arm.data): "d" for arm in study.arms}, lambda *_: REFERENCE)
    assert len(plan.runs) == DIFFERENT_RECIPES[name]


@pytest.mark.parametrize("name", REPORTS)
def test_assumptions_are_what_the_study_does(name):
    study = load_study(name)
    for assumption in study.assumptions.values():
        scope = assumption.experiments or [experiment.name for experiment in study.experiments]
        values = [value_at(arm, assumption.path) for arm in study.arms if arm.experiment in scope]
        parts = assumption.assumed.items() if isinstance(assumption.assumed, dict) else None
        held = [parts <= value.items() if parts else value == assumption.assumed for value in values]
        assert any(held), assumption.path
        assert assumption.because
        assert assumption.alternatives


@pytest.mark.parametrize("name", REPORTS)
def test_every_assumption_can_be_varied(name):
    study = load_study(name)
    variants = variants_of(study)
    tried = {(variant.assumption, str(variant.alternative)) for variant in variants}
    assert tried == {(key, str(value)) for key, a in study.assumptions.items() for value in a.alternatives}
    originals = {arm.name: arm for arm in study.arms}
    for variant in variants:
        for old, new in variant.arms.items():
            assert (new.recipe, new.data) != (originals[old].recipe, originals[old].data)


def test_one_recipe_with_two_reported_results_is_one_run():
    study = load_study("report-a", overrides={"seeds": 1})
    plan = plan_runs(study, {data_key(arm.data): "d" for arm in study.arms}, lambda *_: REFERENCE)
    assert plan.run_of["batch/128", 0] == plan.run_of["rate/0.001", 0]
    assert plan.run_of["loss/bce", 0] == plan.run_of["batch/32", 0]
    assert any("one recipe" in c.says for c in study.contradictions)
