"""`single` where a percentage was rounded, and what it says of texts that it cannot read."""

import json

import pytest
from scipy.stats import binomtest

from doubleread.cli.single import EXPECTED, parse_run, single_command
from doubleread.stats import expected_discordant, most_discordant, newcombe, pooled_p
from tests.refusals import refusal
from tests.stats.test_single import printed


@pytest.fixture
def pair_of(capsys):
    """Return what `single` says of two runs, as JSON."""

    def found(first, second):
        single_command([first, second], as_json=True)
        return json.loads(capsys.readouterr().out)["pairs"][0]

    return found


def below(wins: int, losses: int) -> bool:
    return wins + losses > 0 and binomtest(wins, wins + losses).pvalue < 0.05


def truths(first, second):
    """Return every pair of counts that prints the two percentages, and for each whether McNemar is below .05 for every
    possible number of discordant images, by trying all."""
    (percent_a, n), (percent_b, m) = (text.split("%/") for text in (first, second))
    counts = [[right for right in range(int(cases) + 1)
               if percent in printed(right, int(cases), len(percent.partition(".")[2]))]
              for percent, cases in ((percent_a, n), (percent_b, m))]  # fmt: skip
    found = {}
    for a in counts[0]:
        for b in counts[1]:
            fewest = max(0, a + b - int(n))
            found[a, b] = {below(a - both, b - both) for both in range(fewest, min(a, b) + 1)}
    return found


PAIRS = [
    ("100%/400", "98.5%/400"), ("100%/400", "99%/400"), ("73%/400", "70%/400"), ("70%/400", "73%/400"),
    ("73%/400", "73%/400"), ("73%/400", "72%/400"), ("60%/100", "10%/100"), ("99%/100", "80%/100"),
    ("80.0%/40", "62.5%/40"), ("100%/30", "80%/30"), ("97%/60", "88%/60"), ("33.3%/12", "33%/12"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_what_is_said_holds_for_every_pair_of_counts_that_fits(pair_of, first, second):
    pair, truth = pair_of(first, second), truths(first, second)
    said, values = pair["words"][-1], list(truth.values())
    always, never = all(value == {True} for value in values), all(True not in value for value in values)
    assert ("is below .05 whichever images are discordant" in said and "decides" not in said) == always
    assert ("never reaches .05, whichever" in said or "gives p = 1" in said) == never
    assert ("the rounding decides" in said) == (not never and any(True not in value for value in values))


@pytest.mark.parametrize(("first", "second"), [*PAIRS, ("72%/200", "75%/40"), ("57%/7", "50%/8"), ("67%/9", "66%/50")])
def test_the_ends_are_those_of_every_pair_of_counts_that_fits(pair_of, first, second):
    pair, n, m = pair_of(first, second), int(first.split("/")[1]), int(second.split("/")[1])
    counts = [range(low, high + 1) for low, high in (parse_run(first).span, parse_run(second).span)]
    every = [(a, n, b, m) for a in counts[0] for b in counts[1]]
    if len(every) == 1:
        assert pair["fits"] is None
        return
    fits = pair["fits"]
    differences = [a / n - b / m for a, _, b, _ in every]
    assert fits["difference"] == pytest.approx([min(differences), max(differences)])
    ps = [pooled_p(*one) for one in every]
    assert fits["p_pooled"] == pytest.approx([min(ps), max(ps)])
    ends = [newcombe(*one) for one in every]
    assert fits["interval"] == pytest.approx([min(lo for lo, _ in ends), max(hi for _, hi in ends)])
    if n == m:
        words = pair["words"][-2]
        assert f"at most {max(most_discordant(a, b, n) for a, _, b, _ in every)}" in words
        expected = [expected_discordant(a, b, n) for a, _, b, _ in every]
        about = dict.fromkeys(f"{one:.0f}" for one in (min(expected), max(expected)))
        assert f"about {' to '.join(about)} if" in words
        assert f"at least {min(abs(a - b) for a, _, b, _ in every)}," in words


def test_a_rounded_percentage_is_said_as_a_range(pair_of):
    words = pair_of("73%/400", "70%/400")["words"]
    assert words[0] == "difference +3.00 points; the rounded percentages allow +2.00 to +3.75, 8 to 15 images"
    assert "only if 12 to 51 of them or fewer, as the rounding fell, are discordant, which is unlikely" in words[-1]
    assert pair_of("70%/400", "73%/400")["words"][0] == (
        "difference −3.00 points; the rounded percentages allow −3.75 to −2.00, 8 to 15 images"
    )
    assert "−3 to +3 images" in pair_of("73%/400", "73%/400")["words"][0]
    assert pair_of("100%/400", "98.5%/400")["words"][-1] == (
        "the rounding decides: with a difference of 4 McNemar's exact test never reaches .05,"
        " with 6 it is below .05 whichever images are discordant"
    )


def test_all_against_nothing(pair_of):
    pair = pair_of("0/400", "400/400")
    assert (pair["fits"], pair["p_unpaired"]) == (None, None)
    assert pair["p_pooled"] < 1e-100
    assert pair["words"] == [
        "difference −100.00 points",
        "as if on different images: 95 % interval −100.00 to −98.65 points (Newcombe), p < 0.0001"
        " (pooled two-proportion z test)",
        "on the same 400 images the paired test needs the discordant ones, those that exactly one run gets right:"
        " at least 400, about 400 if the errors are independent, at most 400",
        "McNemar's exact test is below .05 whichever images are discordant",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("72,75%/400", "a comma in a number; write 72.75%/400, with a point"),
        ("0,7275/400", "a comma in a number; write 72.75%/400, with a point"),
        ("1,000/2,000", "a comma in a number; write 1000/2000"),
        ("0.7275/400", "0.7275 is a share; write 72.75%/400"),
        ("0.7/400", "0.7 is a share; write 70%/400"),
        ("72.75/400", "72.75 is no count of images; write 72.75%/400 if it is a percentage"),
        ("72.75%", f"the number of test images is missing; {EXPECTED}; write 72.75%/IMAGES"),
        ("0.7275", f"the number of test images is missing; {EXPECTED}; write 72.75%/IMAGES"),
        ("291", f"the number of test images is missing; {EXPECTED}; write 291/IMAGES"),
        ("400/291", f"more right than images; {EXPECTED}; did you mean 291/400?"),
        ("101%/400", f"more right than images; {EXPECTED}; check both numbers"),
        ("72.75%/", f"no count of images; {EXPECTED}"),
        ("good/400", f"no count of images; {EXPECTED}"),
        ("٣/٤", f"no count of images; {EXPECTED}"),
    ],
)
def test_what_cannot_be_read(text, said):
    assert refusal(parse_run, text) == f"single {text}: {said}"
