"""The learning-rate range test: what it reads off a curve, and that it trains as a run does."""

import numpy as np
import pytest

from doubleread.nouns import REFERENCE
from doubleread.training import train
from doubleread.training.range_test import range_test, smooth, suggested
from doubleread.training.records import RunSpec
from tests.training.conftest import recipe, run_data

RATES = np.geomspace(1e-6, 1.0, 120)


def spec_of(**changes) -> RunSpec:
    return RunSpec(recipe=recipe(**changes), seed=3, intensity="unit", data=run_data(8))


def test_the_suggestion_is_where_the_loss_falls_fastest():
    fall = 0.7 - 0.6 / (1 + (1e-3 / RATES) ** 2)
    assert suggested(RATES, fall) == pytest.approx(1e-3, rel=0.1)


def test_smoothing_moves_no_rate():
    step = np.where(np.arange(101) < 50, 1.0, 0.0)
    found = smooth(step, 4.0)
    assert found[:20] == pytest.approx(1.0)
    assert found[80:] == pytest.approx(0.0, abs=1e-6)
    assert int(np.argmin(np.gradient(found))) in (49, 50)
    assert smooth(np.full(9, 0.3), 2.0) == pytest.approx(0.3)


def test_without_a_fall_nothing_is_suggested():
    assert suggested(RATES, np.full(120, 0.7)) is None
    assert suggested(RATES, np.linspace(0.7, 9.0, 120)) is None
    assert suggested(RATES[:0], np.empty(0)) is None


def test_it_trains_as_a_run_does():
    """At one rate throughout, its losses are those of a run's steps."""
    spec = spec_of()
    found = range_test(spec, REFERENCE, low=0.01, high=0.01 * (1 + 1e-9), steps=12)
    run = train(spec.recipe, 3, "unit", spec.data, compute=REFERENCE)
    cases = [len(batch) for batch in spec.rows(0).split(8)]
    for epoch in (0, 1):
        losses = found.losses_S[6 * epoch : 6 * epoch + 6]
        assert np.average(losses, weights=cases) == pytest.approx(run.epochs[epoch].train_loss, rel=1e-6)


def test_it_ends_where_the_loss_breaks():
    found = range_test(spec_of(optimizer={"name": "sgd", "lr": 1e-3, "momentum": 0.9}), REFERENCE, high=1e6, steps=80)
    assert len(found.losses_S) < 80
    assert np.isfinite(found.losses_S).all()
    assert len(found.rates_S) == len(found.losses_S) == len(found.smoothed_S)
    again = range_test(spec_of(optimizer={"name": "sgd", "lr": 1e-3, "momentum": 0.9}), REFERENCE, high=1e6, steps=80)
    assert np.array_equal(found.losses_S, again.losses_S)


def test_it_suggests_a_rate_that_learns():
    wide = {"model": {"name": "mlp", "hidden": [64]}, "batch_size": 23}
    found = range_test(spec_of(**wide), REFERENCE)
    assert found.suggestion is not None
    assert 1e-4 < found.suggestion < 0.3
    rate = {"name": "adam", "lr": found.suggestion}
    run = train(recipe(**wide, optimizer=rate, epochs=10), 3, "unit", run_data(8))
    assert run.epochs[-1].train_loss < 0.9 * run.epochs[0].train_loss
