"""Samples and splits: exact counts, whole subjects, the same draw for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubleread.dataset.split import draw_part, draw_sample, split_development
from doubleread.errors import UserError
from doubleread.recipe.data import DrawnSplit, Sample
from doubleread.seeds import stream

SAMPLE = Sample(train=10, test=4, per="class", seed=0)


def drawn(**changes):
    return DrawnSplit(**{"val": 0.2, "by": "case", "seed": 0, **changes})


def test_a_split_by_case_is_exact_in_each_class():
    labels = np.repeat([0, 1], 1000)
    train, val = split_development(labels, np.arange(2000).astype(str), np.arange(2000), drawn(), None)
    assert np.bincount(labels[val]).tolist() == [200, 200]
    assert np.bincount(labels[train]).tolist() == [800, 800]
    assert sorted([*train, *val]) == list(range(2000))


@given(st.integers(0, 1000), st.lists(st.integers(1, 6), min_size=10, max_size=40), st.floats(0.1, 0.5))
def test_a_split_by_subject_keeps_subjects_whole_and_counts_near(seed, sizes, fraction):
    subjects = np.repeat(np.arange(len(sizes)), sizes).astype(str)
    labels = np.repeat(np.arange(len(sizes)) % 2, sizes)
    rows = np.arange(len(labels))
    val = draw_part(labels, subjects, rows, fraction, "subject", stream("test", seed))
    assert not set(subjects[val]) & set(np.delete(subjects, val))
    for label in (0, 1):
        wanted = fraction * np.sum(labels == label)
        assert abs(np.sum(labels[val] == label) - wanted) <= 6


def test_the_seed_of_the_split_decides_and_a_run_seed_redraws():
    labels, rows = np.repeat([0, 1], 50), np.arange(100)
    subjects = rows.astype(str)

    def val(split_seed, run_seed):
        return split_development(labels, subjects, rows, drawn(seed=split_seed), run_seed)[1].tolist()

    assert val(0, None) == val(0, None)
    assert len({tuple(val(0, None)), tuple(val(1, None)), tuple(val(0, 0)), tuple(val(0, 1))}) == 4


def test_a_sample_per_class_and_of_all():
    labels = np.array([0] * 30 + [1] * 70)
    rows = np.arange(100)
    per_class = draw_sample(labels, rows, 10, SAMPLE, "train", ("n", "p"))
    assert np.bincount(labels[per_class]).tolist() == [10, 10]
    of_all = draw_sample(labels, rows, 60, SAMPLE.model_copy(update={"per": "all"}), "train", ("n", "p"))
    assert len(set(of_all.tolist())) == 60
    assert not np.array_equal(
        per_class, draw_sample(labels, rows, 10, SAMPLE.model_copy(update={"seed": 1}), "train", ("n", "p"))
    )


def test_a_sample_larger_than_the_source():
    with pytest.raises(UserError) as error:
        draw_sample(np.array([0, 0, 1]), np.arange(3), 2, SAMPLE, "train", ("NORMAL", "PNEUMONIA"))
    assert str(error.value) == (
        "data.sample.train: asks for 2 images of PNEUMONIA, the source has 1; for example --set data.sample.train=1"
    )
