"""Groups: subjects joined by images that they have in common; a split by groups keeps them whole."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleread.dataset import open_prepared, open_run_data
from doubleread.dataset.groups import groups_of
from tests.conftest import write_folder
from tests.dataset.test_prepare import made

SUBJECT = r"-(\d\d)\d\.png$"
PERSON = r"([NP])\w+/\w+-(\d)(\d)\d\.png$"


def test_groups_are_joined_through_images_and_named_by_their_first_subject():
    subjects, digests = ["c", "c", "b", "a", "d"], ["1", "2", "2", "3", "4"]
    assert groups_of(subjects, digests).tolist() == ["b", "b", "b", "a", "d"]
    # a chain: a has an image of b, b one of c
    assert groups_of(["a", "b", "b", "c"], ["x", "x", "y", "y"]).tolist() == ["a"] * 4
    assert groups_of([], []).tolist() == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=20))
def test_two_cases_are_together_exactly_if_a_chain_joins_them(pairs):
    subjects, digests = [f"s{s}" for s, _ in pairs], [f"d{d}" for _, d in pairs]
    found = groups_of(subjects, digests)
    # the slow way: merge until nothing changes
    group = list(range(len(pairs)))
    for _ in pairs:
        for i in range(len(pairs)):
            for j in range(len(pairs)):
                if subjects[i] == subjects[j] or digests[i] == digests[j]:
                    group[i] = group[j] = min(group[i], group[j])
    for i in range(len(pairs)):
        for j in range(len(pairs)):
            assert (found[i] == found[j]) == (group[i] == group[j])


@pytest.fixture
def copied(tmp_path):
    """Images of which one subject's stands under another's name too."""
    root = write_folder(tmp_path / "images")
    for k in range(3):
        shutil.copy(
            root / "train" / "NORMAL" / f"normal-00{k}.png", root / "train" / "NORMAL" / f"normal-01{k + 5}.png"
        )
    return root


@pytest.mark.parametrize("seed", range(4))
def test_a_split_by_group_parts_neither_subjects_nor_copies(copied, tmp_path, seed):
    split = {"val": 0.3, "by": "group", "seed": seed}
    data = made(copied, tmp_path / "cache", split=split, subject=PERSON, allow_leakage="test subjects are shared")
    of_group = {}
    for case, group in zip(data.cases, data.groups, strict=True):
        if case.split != "test":
            of_group.setdefault(group, set()).add(case.split)
    assert all(len(splits) == 1 for splits in of_group.values())
    assert {"train", "val"} == set().union(*of_group.values())
    again = made(copied, tmp_path / "cache", split=split, subject=PERSON, allow_leakage="test subjects are shared")
    assert again.data_hash == data.data_hash


def test_a_split_by_group_that_is_redrawn_parts_none_for_any_seed(copied, tmp_path):
    split = {"val": 0.3, "by": "group", "seed": 0, "resample": "per_seed"}
    data = made(copied, tmp_path / "cache", split=split, subject=PERSON, allow_leakage="test subjects are shared")
    drawn = [data.run_data(seed) for seed in range(5)]
    assert len({tuple(d.val) for d in drawn}) > 1
    for seed, d in enumerate(drawn):
        assert not set(data.groups[d.train]) & set(data.groups[d.val])
        assert np.array_equal(open_run_data(data.folder, seed).val, d.val)
    across = [set(group["splits"]) for group in data.meta["audit"]["duplicates"]]
    assert all(not {"train", "val"} <= splits for splits in across)


def test_the_same_images_split_by_group_and_by_case_share_their_test_set(copied, tmp_path):
    by_case = made(copied, tmp_path / "cache", subject=SUBJECT, allow_leakage="a test")
    split = {"val": 0.25, "by": "group", "seed": 0}
    grouped = made(copied, tmp_path / "cache", split=split, subject=SUBJECT, allow_leakage="a test")
    names = [{case.case for case in data.cases if case.split == "test"} for data in (by_case, grouped)]
    assert names[0] == names[1]


def test_copies_are_kept_together_where_subjects_are_not_known(copied, tmp_path):
    data = made(copied, tmp_path / "cache", split={"val": 0.4, "by": "group", "seed": 1})
    assert data.meta["audit"]["duplicates_across"] == 0
    assert len(data.meta["audit"]["duplicates"]) == 3


def test_sets_of_older_versions_open_without_a_mode(copied, tmp_path):
    data = made(copied, tmp_path / "cache", allow_leakage="a test")
    assert {case.mode for case in data.cases} == {"L"}
    table = data.folder / "cases.csv"
    lines = [line.rpartition(",")[0] for line in table.read_text().splitlines()]
    table.write_text("\n".join(lines) + "\n")
    assert {case.mode for case in open_prepared(data.folder).cases} == {""}
