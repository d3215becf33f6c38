"""Leakage measured: twins on a split by groups, trained beside the arms, nothing trained twice, the same test set."""

import json

import pytest

from doubleread.analysis import analyse
from doubleread.runner import Silent, prepare_study, train_study
from doubleread.store import open_store
from doubleread.study import TWIN, leakage_variant, parse_study, variants_of
from tests.conftest import small_study

# two to six images of a subject, and copies
PHANTOM = {
    "name": "phantom",
    "size": 32,
    "train_per_class": 30,
    "test_per_class": 12,
    "repeat_subjects": 1.0,
    "most_images": 6,
    "train_duplicates": 6,
}


def study_of(*, leakage=True, source=None, subject="given", split=None, **changes):
    raw = small_study("phantom", seeds=6, **changes)
    raw["data"] |= {"source": source or PHANTOM, "subject": subject, "allow_leakage": "it is what is measured"}
    raw["data"]["split"] = split or {"val": 0.25, "by": "case", "seed": 0}
    raw["experiments"] = {"batch": {"factors": {"batch_size": [8, 16]}}}
    if leakage:
        raw["gap"] = {"leakage": True}
    return parse_study(raw, place="s")


def trained(study, store):
    counts = train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=Silent())
    return counts, analyse(study, store)


def test_every_arm_has_a_twin_on_a_split_by_groups():
    arms = leakage_variant(study_of()).arms
    assert {name: arm.name for name, arm in arms.items()} == {
        "batch/8": f"batch/8{TWIN}",
        "batch/16": f"batch/16{TWIN}",
    }
    assert {arm.data.split.by for arm in arms.values()} == {"group"}
    assert all(arm.recipe == own.recipe for arm, own in zip(arms.values(), study_of().arms, strict=True))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A store in which the arms were trained first, and their twins later."""
    root = tmp_path_factory.mktemp("leakage")
    with open_store(root, write=True) as store:
        counts, result = trained(study_of(leakage=False), store)
        assert (counts.planned, counts.reused) == (12, 0)
        assert result.gaps.arms[0].gap.leakage is None
        counts, _ = trained(study_of(), store)
        assert (counts.planned, counts.done, counts.reused) == (24, 24, 12), "the twins alone are new"
    return root


def test_leakage_is_the_study_s_validation_less_the_twins(root):
    with open_store(root, write=False) as store:
        result = analyse(study_of(), store)
    arm = result.gaps.arms[0]
    own, twins = result.of("batch/8").runs, result.grouped["batch/8"]
    own_accuracy, twin_accuracy = (sum(run.metrics["val_accuracy"] for run in runs) / 6 for runs in (own, twins))
    assert arm.gap.val.value == pytest.approx(own_accuracy)
    # both splits have as many cases of each class as whole groups allow
    assert arm.gap.leakage.value == pytest.approx(own_accuracy - twin_accuracy, abs=0.02)
    assert sum(part.value for part in arm.gap.parts().values()) == pytest.approx(arm.gap.gap.value, abs=1e-12)
    assert result.gaps.overall.leakage is not None
    # counts and health are those of the study's own arms
    assert result.counts()["planned"] == 12


def test_twins_share_the_test_set_and_part_no_group(root):
    with open_store(root, write=False) as store:
        result = analyse(study_of(), store)
    own, twin = result.of("batch/8").runs[0], result.grouped["batch/8"][0]
    assert own.case_sets[0].names == twin.case_sets[0].names
    groups = {split: set(twin.data.groups[twin.data.rows(split)]) for split in ("train", "val")}
    assert not groups["train"] & groups["val"]
    shared = {split: set(own.data.groups[own.data.rows(split)]) for split in ("train", "val")}
    assert shared["train"] & shared["val"], "the study's own split does"


def test_a_study_that_has_ceased_to_ask_is_read_without_it(root):
    with open_store(root, write=False) as store:
        result = analyse(study_of(leakage=False), store)
    assert result.grouped == {}
    assert result.varied == {}


def test_an_alternative_called_group_is_no_twin():
    study = study_of(
        leakage=True,
        assumptions={
            "split": {"path": "data.split.by", "assumed": "case", "alternatives": ["group"], "because": "not stated"}
        },
    )
    named = {arm.name for variant in variants_of(study) for arm in variant.arms.values()}
    assert not named & {arm.name for arm in leakage_variant(study).arms.values()}


def test_a_test_set_that_is_drawn_stays_the_same(tmp_path):
    source = {**PHANTOM, "test_per_class": 0}
    study = study_of(source=source, split={"val": 0.25, "test": 0.25, "by": "case", "seed": 0})
    with open_store(tmp_path, write=True) as store:
        prepared = prepare_study(study, store.data_folder, Silent())
        (own,) = (prepared.sets[key] for key in prepared.own)
        (twin,) = (data for key, data in prepared.sets.items() if key not in prepared.own)
    names = [{case.case for case in data.cases if case.split == "test"} for data in (own, twin)]
    assert names[0] == names[1]
    assert not set(twin.groups[twin.rows("train")]) & set(twin.groups[twin.rows("val")])


def test_where_nothing_leaks_the_twins_are_the_arms_and_nothing_is_trained_for_them(tmp_path):
    source = {**PHANTOM, "repeat_subjects": 0.0, "train_duplicates": 0}
    study = study_of(source=source)
    with open_store(tmp_path, write=True) as store:
        counts, result = trained(study, store)
        document = json.dumps(store.study_document(study.name)["data"])
    assert counts.planned == 12
    assert result.gaps.arms[0].gap.leakage.value == 0
    assert '"by": "case"' in document
    assert '"by": "group"' not in document, "what is said of the set is what the study asks for"


def test_validation_that_is_redrawn_for_each_seed_has_twins_too(tmp_path):
    study = study_of(split={"val": 0.25, "by": "case", "seed": 0, "resample": "per_seed"})
    with open_store(tmp_path, write=True) as store:
        counts, result = trained(study, store)
    assert counts.done == 24
    arm = result.gaps.arms[0]
    assert arm.gap.leakage is not None
    assert arm.gap.gap.lo < arm.gap.gap.hi


def test_without_subjects_leakage_is_that_of_the_copies(tmp_path):
    with open_store(tmp_path, write=True) as store:
        prepared = prepare_study(study_of(subject="case"), store.data_folder, Silent())
    (twin,) = (data for key, data in prepared.sets.items() if key not in prepared.own)
    assert all(len(set(group["splits"])) == 1 for group in twin.meta["audit"]["duplicates"])
