"""Who an image is of: the Kermany trap, rules by name and by pattern."""

import pytest

from doubleread.dataset.subjects import rules_that_fit, subjects_of
from doubleread.errors import UserError
from doubleread.images import open_source
from doubleread.nouns import Item


def items(*names, subject=None):
    return [Item(case=f"train/X/{name}", class_name="X", part="train", subject=subject) for name in names]


def kermany(*names):
    return subjects_of(items(*names), ["kermany"])[0]


def test_bacteria_and_virus_of_one_number_are_two_subjects():
    bacteria, virus = kermany("person11_bacteria_45.jpeg", "person11_virus_38.jpeg")
    assert bacteria != virus


def test_images_of_one_number_and_kind_are_one_subject():
    assert (
        len(set(kermany("person11_bacteria_45.jpeg", "person11_bacteria_46.jpeg", "person11_bacteria_4_1.jpeg"))) == 1
    )


def test_normal_numbers_are_one_subject_unless_normal2():
    keys = kermany("IM-0439-0001.jpeg", "IM-0439-0001-0002.jpeg", "NORMAL2-IM-0439-0001.jpeg", "IM-0440-0001.jpeg")
    assert len(set(keys)) == 3
    assert keys[0] == keys[1]


def test_counts_of_the_real_set(shared):
    source = open_source(str(shared / "data" / "kermany224"))
    subjects, rule, rejected = subjects_of(source.items, ["kermany", "case"])
    assert (rule, rejected) == ("kermany", ())
    found = {}
    for item, subject in zip(source.items, subjects, strict=True):
        found.setdefault((item.part, item.class_name), set()).add(subject)
    assert {group: len(who) for group, who in found.items()} == {
        ("train", "NORMAL"): 1211,
        ("train", "PNEUMONIA"): 2443,
        ("test", "NORMAL"): 225,
        ("test", "PNEUMONIA"): 203,
    }
    assert not found["train", "PNEUMONIA"] & found["test", "PNEUMONIA"]


def test_a_pattern_with_groups_joins_them():
    found, rule, _ = subjects_of(items("a12_left.png", "a12_right.png", "b12_left.png"), [r"([ab])(\d+)_"])
    assert found == ("a-12", "a-12", "b-12")
    assert rule == r"([ab])(\d+)_"


def test_the_first_rule_that_fits_is_used_and_the_others_are_named():
    found, rule, rejected = subjects_of(items("one.png", "two.png"), ["given", "kermany", "case"])
    assert found == ("train/X/one.png", "train/X/two.png")
    assert rule == "case"
    assert rejected == ("given does not fit train/X/one.png", "kermany does not fit train/X/one.png")


def test_what_the_source_says_comes_first_where_no_rule_is_given():
    assert subjects_of(items("a.png", "b.png", subject="s1"), None)[:2] == (("s1", "s1"), "given")
    assert subjects_of(items("a.png"), None)[1] == "case"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            ["kermany"],
            "data.subject: kermany does not fit train/X/a.png; expected a rule that fits every image; for example"
            " --set data.subject=case",
        ),
        (["kermani"], 'data.subject: unknown rule "kermani"; did you mean "kermany"?; or give a regular expression'),
    ],
)
def test_rules_that_do_not_fit(rules, message):
    with pytest.raises(UserError) as error:
        subjects_of(items("a.png"), rules)
    assert str(error.value) == message


def test_a_broken_pattern_is_named():
    with pytest.raises(UserError, match=r"data.subject: '\(a' is not a regular expression"):
        subjects_of(items("a.png"), ["(a"])


def test_rules_that_fit():
    assert rules_that_fit(items("person1_virus_2.jpeg", "person1_virus_3.jpeg")) == {"kermany": 1, "case": 2}
