"""Selecting the cases of a study: what a split asks of the source's parts, classes and subjects, and what is drawn."""

import numpy as np
import pytest

from doubleread.dataset.select import classes_of, select
from doubleread.nouns import Item
from doubleread.recipe.data import DataSpec
from tests.refusals import refusal

PARTS = ("train", "val", "test")


def items(counts, subjects=lambda _case, _i: None):
    """Return cases of classes a and b: `counts` says how many of each there are in a part."""
    return [
        Item(case=f"{part}/{name}/{i}.png", class_name=name, part=part or None, subject=subjects(f"{part}{name}", i))
        for part, numbers in counts.items()
        for name, n in zip("ab", numbers, strict=True)
        for i in range(n)
    ]


def spec(**changes):
    drawn = {"val": 0.25, "by": "case", "seed": 0}
    given = {"source": "x", "positive": "b", "image_size": 8, "intensity": "unit", "split": drawn}
    return DataSpec.model_validate({**given, **changes})


def chosen(cases, **changes):
    return select(cases, spec(**changes), range(len(cases)))


def counted(found):
    """Return how many cases of each class are in each split."""
    splits, labels = np.array(found.splits), found.labels
    return {part: tuple(int(np.sum(labels[splits == part] == label)) for label in (0, 1)) for part in PARTS}


BY_SUBJECT = {"val": 0.25, "by": "subject", "seed": 0}
BOTH = "expected every class in each split"


@pytest.mark.parametrize(
    ("counts", "changes", "said"),
    [
        ({"train": (8, 8), "test": (4, 4)}, {"split": BY_SUBJECT, "subject": "case"},
         "data.split.by: subjects are not known; by: subject needs a rule that finds them; set data.subject"),
        ({"train": (8, 8), "test": (4, 4)}, {"split": {"val": 0.25, "by": "case", "seed": 0, "test": 0.2}},
         "data.split.test: the source has a test part of its own; delete it, or set it to 0"),
        ({"test": (4, 4)}, {}, "data.source: it has a test part and no training part; add a train folder"),
        ({"": (8, 8)}, {},
         "data.split.test: missing, and the source has no test part of its own; --set data.split.test=0.2"),
        ({"train": (8, 8), "test": (4, 4)}, {"split": "given"},
         "data.split: given, but the source has no val part; expected {val, by, seed}; for example --set"
         " data.split='{val: 0.2, by: case, seed: 0}'"),
        ({"": (8, 8)}, {"split": "given"},
         "data.split: given, but the source has no train and no val and no test part; expected {val, by, seed}; for"
         " example --set data.split='{val: 0.2, by: case, seed: 0}'"),
        ({"train": (8, 8), "val": (2, 2), "test": (4, 0)}, {"split": "given"},
         f"data.split: no images of b in test; {BOTH}"),
        ({"train": (8, 1), "test": (4, 4)}, {"split": {"val": 0.2, "by": "case", "seed": 0}},
         f"data.split: no images of b in val; {BOTH}"),
        ({"train": (8, 8), "test": (4, 4)}, {"sample": {"train": 9, "test": 2, "per": "class", "seed": 0}},
         "data.sample.train: asks for 9 images of a, the source has 8; for example --set data.sample.train=8"),
        ({"train": (8, 8), "val": (2, 2), "test": (4, 4)},
         {"split": "given", "sample": {"train": 4, "test": 9, "per": "all", "seed": 0}},
         "data.sample.test: asks for 9 images, the source has 8; for example --set data.sample.test=8"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_source(counts, changes, said):
    assert refusal(chosen, items(counts), **changes) == said


@pytest.mark.parametrize(
    ("counts", "changes", "found"),
    [
        ({"train": (8, 8), "val": (2, 3), "test": (4, 5)}, {"split": "given"},
         {"train": (8, 8), "val": (2, 3), "test": (4, 5)}),
        # a sample is of training and test; validation stays as it was given
        ({"train": (8, 8), "val": (2, 3), "test": (4, 5)},
         {"split": "given", "sample": {"train": 5, "test": 3, "per": "class", "seed": 0}},
         {"train": (5, 5), "val": (2, 3), "test": (3, 3)}),
        # of a drawn split the sample is drawn first: a quarter of it is for validation
        ({"train": (9, 12), "test": (4, 5)}, {"sample": {"train": 8, "test": 3, "per": "class", "seed": 0}},
         {"train": (6, 6), "val": (2, 2), "test": (3, 3)}),
        # the source's own validation part joins training before the draw
        ({"train": (8, 8), "val": (4, 8), "test": (4, 5)}, {},
         {"train": (9, 12), "val": (3, 4), "test": (4, 5)}),
        ({"": (20, 10)}, {"split": {"val": 0.25, "by": "case", "seed": 0, "test": 0.2}},
         {"train": (12, 6), "val": (4, 2), "test": (4, 2)}),
    ],
)  # fmt: skip
def test_how_many_cases_of_each_class_are_in_each_split(counts, changes, found):
    assert counted(chosen(items(counts), **changes)) == found


def test_another_seed_draws_other_cases_and_the_same_seed_the_same():
    cases = items({"train": (20, 20), "test": (9, 9)})
    drawn = [chosen(cases, sample={"train": 9, "test": 4, "per": "class", "seed": seed}) for seed in (0, 0, 1)]
    first, again, other = (tuple(found.indices) for found in drawn)
    assert first == again != other


def test_only_usable_cases_are_drawn():
    cases = items({"train": (8, 8), "test": (4, 4)})
    usable = [i for i in range(len(cases)) if i not in (0, 23)]
    found = select(cases, spec(), usable)
    assert sorted(found.indices) == usable
    assert counted(found)["test"] == (4, 3)


def test_a_subject_of_the_sources_own_test_part_may_not_be_trained_on():
    shared = items(
        {"train": (8, 8), "test": (4, 4)}, lambda where, i: "p7" if i == 0 and "b" in where else f"{where}{i}"
    )
    assert refusal(chosen, shared, split=BY_SUBJECT).removeprefix("data.split.by: subject p7 is in ") in (
        f"{part} and in the source's own test part; by: subject needs parts that share no subject; remove its"
        " images from one part, or split by case and state allow_leakage"
        for part in ("train", "val")
    )


@pytest.mark.parametrize(
    ("names", "positive", "classes"),
    [
        (("0", "1"), None, ("0", "1")),
        (("0", "1"), ("0",), ("1", "0")),
        (("cat", "dog"), ("bird", "cat"), ("dog", "cat")),
        (("10", "9", "x", "1"), None, ("1", "9", "10", "x")),
    ],
)
def test_the_order_of_the_classes(names, positive, classes):
    cases = [Item(case=name, class_name=name, part=None, subject=None) for name in names]
    assert classes_of(cases, positive) == classes


@pytest.mark.parametrize(
    ("names", "positive", "said"),
    [
        ("a", None, "data.source: one class only, a; expected two classes or more; check the folder above the class"
         " folders"),
        ("ab", None, "data.positive: missing; expected a or b; --set data.positive=b"),
        ("ab", ("c", "d"), "data.positive: c or d is no class of the source; expected a or b; --set data.positive=b"),
        ("abc", ("a",), "data.positive: the source has 3 classes, a, b, c; expected two, of which one is positive;"
         " delete it to compare recipes on all classes, or check the folder above the class folders"),
    ],
)  # fmt: skip
def test_classes_of_which_the_positive_one_cannot_be_told(names, positive, said):
    cases = [Item(case=name, class_name=name, part=None, subject=None) for name in names]
    assert refusal(classes_of, cases, positive) == said
