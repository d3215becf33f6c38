"""What `judge` has read, and what it says of files that are nearly right."""

import math

import numpy as np
import pytest

import doubleread as dr
from doubleread.errors import UserError

HEAD = ("arm", "seed", "case", "label", "logit")
CLAIM = "claims: [{id: a, metric: accuracy, better: new, than: old}]"
CLAIM_OF_ONE = "claims: [{id: a, metric: accuracy, arm: new, above: 0.5}]"


def rows(*, cases=20, seeds=(6, 6), first=(0, 0)):
    """Return rows of two arms, with so many seeds from `first` on."""
    rng = np.random.default_rng(0)
    return [
        [arm, str(first[i] + seed), f"c{case}", str(case % 2),
         f"{(2 * (case % 2) - 1) * (1 - i / 2) + rng.normal():.4f}"]
        for i, arm in enumerate(("new", "old")) for seed in range(seeds[i]) for case in range(cases)
    ]  # fmt: skip


@pytest.fixture
def judge(tmp_path):
    """Judge a CSV of rows about one claim."""

    def judged(found, head=HEAD, claims=CLAIM, separator=",", encoding="utf-8"):
        text = "\n".join(separator.join(row) for row in (head, *found))
        (tmp_path / "l.csv").write_bytes(text.encode(encoding))
        (tmp_path / "c.yaml").write_text(claims)
        return dr.judge(tmp_path / "l.csv", tmp_path / "c.yaml")

    return judged


def with_column(found, cell):
    return [[*row, cell(row)] for row in found]


def person(row):
    return f"p{int(row[2][1:]) // 2}"


# --- what was read


def test_the_first_line_says_what_was_read(judge, call, tmp_path):
    default = "margin of test accuracy: 2.0 points (the default: none is named)"
    plain = "2 arms × 6 seeds × 20 test cases, each case a subject of its own"
    assert judge(rows()).what_was_read() == [plain, default]
    subjects = judge(with_column(rows(), person), (*HEAD, "subject"))
    assert subjects.what_was_read()[0] == "2 arms × 6 seeds × 20 test cases, 10 subjects"
    named = judge(rows(), claims=f"margin: {{accuracy: .02}}\n{CLAIM}")
    assert named.what_was_read() == [plain]
    code, out, _ = call("judge", tmp_path / "l.csv", "--claims", tmp_path / "c.yaml")
    assert (code, out.splitlines()[:2]) == (0, [plain, ""])


def test_what_is_odd_about_the_file_is_said(judge):
    fewer = judge(rows(seeds=(8, 6), first=(0, 1)))
    assert fewer.what_was_read()[0].startswith("2 arms × 6 to 8 seeds (6 of them in every arm) × 20 test cases")
    ones = judge([[*row[:3], "1", row[4]] for row in rows()])
    assert ones.what_was_read()[0].endswith("each case a subject of its own, all labels are 1")
    split = judge(with_column(rows(), lambda row: "val" if int(row[2][1:]) < 6 else "test"), (*HEAD, "split"))
    assert split.what_was_read()[0].endswith(" × 14 test cases, each case a subject of its own, 6 validation cases")
    one = judge([row for row in rows(cases=2, seeds=(1, 1)) if row[0] == "new"], claims=CLAIM_OF_ONE)
    assert one.what_was_read()[0].startswith("1 arm × 1 seed × 2 test cases")


# --- files that are nearly right

POINTS = "expected outputs before the sigmoid, which are negative too"
ONE = "write 1 for the class that a logit above 0 calls, 0 for the other"


def logits(change):
    return [[*row[:4], change(float(row[4]))] for row in rows()]


def labels(change):
    return [[*row[:3], change[int(row[3])], row[4]] for row in rows()]


@pytest.mark.parametrize(
    ("found", "more", "said"),
    [
        (
            logits(lambda value: f"{1 / (1 + math.exp(-value)):.4f}"), {},
            f": every logit is from 0 to 1, as probabilities are; {POINTS};"
            " from a probability p write log(p / (1 − p))",
        ),
        (
            logits(lambda value: str(int(value > 0))), {},
            f": every logit is 0 or 1, as calls are; {POINTS}; for accuracy alone write -1 for 0",
        ),
        (logits(lambda _: '"-0,5"'), {}, ', line 2: logit "-0,5"; expected a finite number; write -0.5, with a point'),
        (
            logits(lambda _: "-0,5"), {},
            ", line 2: 6 cells; expected 5, as in the first line; mend the line, perhaps a decimal comma",
        ),
        (labels(("-1", "1")), {}, f': the labels are "-1" and "1"; expected 0 and 1; {ONE}'),
        (labels(("well", "ill")), {}, f': the labels are "ill" and "well"; expected 0 and 1; {ONE}'),
        (
            rows(first=(0, 10)), {},
            ": no seed number stands in both arms; expected the same numbers for every arm; number them alike",
        ),
        (rows(), {"separator": ";"}, ": separated by semicolons; expected commas, and points in numbers; save it so"),
        (rows(), {"separator": "\t"}, ": separated by tabs; expected commas, and points in numbers; save it so"),
        (rows(), {"encoding": "utf-16"}, ": a file in UTF-16; expected a CSV in UTF-8; save it as UTF-8"),
        (
            with_column(rows(), lambda _: "train"), {"head": (*HEAD, "split")},
            ": all 240 rows are of split train; none of test; expected split test in some rows; check split",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_nearly_right(judge, tmp_path, found, more, said):
    with pytest.raises(UserError) as caught:
        judge(found, **more)
    assert str(caught.value) == f"{tmp_path / 'l.csv'}{said}"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Subject", "subject"),
        ("subjects", "subject"),
        ("subject_id", "subject"),
        ("Split", "split"),
        ("SPLIT", "split"),
    ],
)
def test_a_column_that_is_nearly_an_optional_one_is_not_left_unread(judge, name, wanted):
    with pytest.raises(UserError) as caught:
        judge(with_column(rows(), lambda _: "test"), (*HEAD, name))
    said = f': column "{name}"; expected it to be called "{wanted}"; rename it, or delete it'
    assert str(caught.value).endswith(said)


def test_other_columns_are_left_unread(judge):
    without = judge(rows())
    other = judge(with_column(rows(), lambda _: "x"), (*HEAD, "site"))
    assert other.what_was_read() == without.what_was_read()
    assert other.claims().equals(without.claims())
    subjects = judge(with_column(rows(), person), (*HEAD, "subject"))
    both = judge(with_column(with_column(rows(), person), lambda _: "x"), (*HEAD, "subject", "subjects"))
    assert both.what_was_read() == subjects.what_was_read()
    assert both.claims().equals(subjects.claims())


def test_some_values_from_0_to_1_are_logits(judge):
    """A run that calls everything positive is a result: only a whole column is refused."""
    collapsed = [[*row[:4], "0.3"] if row[0] == "old" else row for row in rows()]
    assert judge(collapsed).results[0].collapsed == {"old": 6}


def test_one_arm_may_be_held_against_a_number_whatever_the_other_arms_seeds(judge):
    assert judge(rows(first=(0, 10)), claims=CLAIM_OF_ONE).results


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_a_workbook_is_no_csv(tmp_path, start):
    (tmp_path / "l.xlsx").write_bytes(start + b"rest")
    with pytest.raises(
        UserError, match=r"an Excel workbook.*; expected a CSV in UTF-8; save the sheet as CSV in UTF-8"
    ):
        dr.judge(tmp_path / "l.xlsx", tmp_path / "c.yaml")
