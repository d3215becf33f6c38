"""Streams are named, independent and stable; the order of the data depends on seed and epoch alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from doubleread.seeds import data_order, stream, stream_seed

SEEDS = st.integers(0, 2**31)


@given(SEEDS, st.integers(0, 500), st.integers(1, 300))
def test_data_order_is_a_permutation_fixed_by_seed_and_epoch(seed, epoch, n):
    order = data_order(seed, epoch, n)
    assert sorted(order) == list(range(n))
    assert np.array_equal(order, data_order(seed, epoch, n))


def test_data_order_differs_between_epochs_and_seeds():
    assert not np.array_equal(data_order(0, 0, 100), data_order(0, 1, 100))
    assert not np.array_equal(data_order(0, 0, 100), data_order(1, 0, 100))


@given(SEEDS)
def test_streams_of_other_names_seeds_and_keys_differ(seed):
    draws = [
        stream("order", seed).integers(2**62),
        stream("weights", seed).integers(2**62),
        stream("order", seed + 1).integers(2**62),
        stream("order", seed, 0).integers(2**62),
        stream("order", seed, "0").integers(2**62),
    ]
    assert len(set(draws)) == len(draws)


def test_numbers_stay_what_they_are():
    # golden: a change here would retrain every run of every store
    assert data_order(0, 0, 8).tolist() == GOLDEN_ORDER
    assert stream_seed("weights", 3, "layers.0.weight", "64x4096") == GOLDEN_SEED


GOLDEN_ORDER = [5, 0, 1, 3, 2, 6, 7, 4]
GOLDEN_SEED = 1108899465443962275
