"""How long runs take: as those like them took, else as a few steps take here, else nobody knows."""

from dataclasses import replace

import pytest

from doubleread.nouns import State
from doubleread.runner import Silent, prepare_study
from doubleread.runner import estimate as estimates
from doubleread.runner.estimate import UNKNOWN_SECONDS, Estimate
from doubleread.study import parse_study
from doubleread.training import Cost
from tests.conftest import small_study

TRAIN = 36
"""Cases of the small study that are trained on: 48, of which a quarter is for validation."""


@pytest.fixture(scope="module")
def ready(image_folder, tmp_path_factory):
    """The small study with its images, planned."""
    study = parse_study(small_study(image_folder), place="s")
    return prepare_study(study, tmp_path_factory.mktemp("sets"), Silent(), device="cpu")


@pytest.fixture
def measured(monkeypatch):
    """The recipes that are measured; a step of each takes half a second for every case of its batch."""
    recipes = []

    def measure(recipe, intensity, data, compute):
        recipes.append(recipe)
        return Cost(recipe.batch_size / 2, 100)

    monkeypatch.setattr(estimates, "measure", measure)
    return recipes


def run_of(ready, arm, seed=0):
    return next(run for run in ready.plan.runs if run.run_id == ready.plan.run_of[arm, seed])


def like(run, **recipe):
    return replace(run, recipe=run.recipe.model_copy(update=recipe))


def test_how_many_updates_a_run_makes(ready):
    known = Estimate(ready.sets)
    assert len(next(iter(ready.sets.values())).rows("train")) == TRAIN
    # three epochs, the last batch of each a short one
    assert {arm: known.steps(run_of(ready, f"batch/{arm}")) for arm in ("4", "8", "16")} == {
        "4": 27,
        "8": 15,
        "16": 9,
    }


def test_runs_that_cost_the_same_are_measured_once(ready, measured):
    known = Estimate(ready.sets)
    first = run_of(ready, "batch/8")
    assert known.cost(first) == known.cost(first) == Cost(4.0, 100)
    assert known.seconds(first) == 15 * 4.0
    # another seed, a longer run, other rates
    assert known.seconds(run_of(ready, "batch/8", 1)) == 15 * 4.0
    assert known.seconds(like(first, epochs=30)) == 150 * 4.0
    cosine = parse_study(small_study("phantom"), place="s", overrides={"base.schedule": "cosine"}).base.schedule
    assert cosine != first.recipe.schedule
    assert known.seconds(like(first, schedule=cosine)) == 15 * 4.0
    assert [recipe.batch_size for recipe in measured] == [8]
    assert known.seconds(run_of(ready, "batch/4")) == 27 * 2.0
    assert known.seconds(run_of(ready, "loss/ce")) == 15 * 4.0
    assert [(recipe.batch_size, recipe.loss.name) for recipe in measured] == [(8, "bce"), (4, "bce"), (8, "ce")]


def test_every_run_of_a_plan_is_measured_as_often_as_it_has_recipes(ready, measured):
    known = Estimate(ready.sets)
    assert sum(known.seconds(run) for run in ready.plan.runs) == 2 * (60.0 + 60.0 + 54.0 + 72.0)
    assert len(ready.plan.runs) == 8
    assert len(measured) == 4


def row(seconds, state=State.DONE):
    return {"state": state, "seconds": seconds}


def test_what_runs_took_goes_before_what_is_measured(ready, measured):
    one, other = (run_of(ready, "batch/8", seed) for seed in (0, 1))
    known = Estimate(ready.sets, ready.plan.runs, {one.run_id: row(3.0)})
    assert known.seconds(one) == known.seconds(other) == 3.0
    assert known.seconds(like(one, epochs=30)) == 30.0
    # of two, what they took on the whole
    known = Estimate(ready.sets, ready.plan.runs, {one.run_id: row(3.0), other.run_id: row(9.0)})
    assert known.seconds(one) == known.seconds(other) == 6.0
    assert measured == []
    # nothing is known of another recipe
    assert known.seconds(run_of(ready, "batch/4")) == 54.0
    assert len(measured) == 1


@pytest.mark.parametrize("known", [row(3.0, State.FAILED), row(3.0, State.DIVERGED), row(None), row(0.0), None])
def test_a_run_that_is_not_done_tells_nothing(ready, measured, known):
    run = run_of(ready, "batch/8")
    rows = {} if known is None else {run.run_id: known}
    assert Estimate(ready.sets, ready.plan.runs, rows).seconds(run) == 60.0
    assert len(measured) == 1


def on_cuda(run):
    return replace(run, compute=replace(run.compute, device="cuda"))


def test_of_a_device_that_is_elsewhere_nothing_is_known(ready, measured, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    runs = [on_cuda(run_of(ready, "batch/8", seed)) for seed in (0, 1)]
    assert Estimate(ready.sets).seconds(runs[0]) == UNKNOWN_SECONDS == 3600.0
    assert measured == []
    # until a run has been there
    known = Estimate(ready.sets, runs, {runs[0].run_id: row(3.0)})
    assert [known.seconds(run) for run in runs] == [3.0, 3.0]
    # which tells nothing of the processor
    assert known.seconds(run_of(ready, "batch/8")) == 60.0
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert Estimate(ready.sets).seconds(runs[0]) == 60.0


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("CUDA out of memory")])
def test_of_what_cannot_be_trained_here_nothing_is_known(ready, monkeypatch, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(estimates, "measure", fails)
    run = run_of(ready, "batch/8")
    assert Estimate(ready.sets).seconds(run) == UNKNOWN_SECONDS
    with pytest.raises(type(error)):
        Estimate(ready.sets).cost(run)


def test_a_step_is_really_measured(ready):
    run = run_of(ready, "batch/8")
    known = Estimate(ready.sets)
    cost = known.cost(run)
    # 8 × 8 pixels, 6 hidden units, one output, in float32
    assert cost.weight_bytes == 4 * (64 * 6 + 6 + 6 + 1)
    assert 0 < cost.step_seconds < 1
    assert known.seconds(run) == 15 * cost.step_seconds
