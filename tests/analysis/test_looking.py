"""Looks at a growing study: a claim stands as it did when its arms stopped, and which claims more seeds can help."""

import numpy as np
import pytest

from doubleread.analysis import CaseSet, Evidence, Look, RunScores, arms_that_go_on, judge_at_looks
from doubleread.stats import Looks, Verdict
from doubleread.study import ClaimSpec, resolve_claims

LOOKS = Looks((6, 9, 12))
ARMS = {arm: {"model": arm} for arm in ("a", "b")}
N = 80
LABELS = np.arange(N) % 2
CASES = CaseSet(names=tuple(map(str, range(N))), labels_N=LABELS, subjects_N=np.arange(N))


def run(arm, seed, collapsed=False, right=0, **metrics):
    """Return a run that calls the first `right` test images right, and the others wrong."""
    logits = np.where(np.arange(N) < right, 1.0, -1.0) * (2 * LABELS - 1)
    metrics = {"accuracy": right / N, **metrics}
    return RunScores(arm=arm, seed=seed, collapsed=collapsed, metrics=metrics, test=(CASES, logits), val=None)


def losses(arm, values):
    return [run(arm, seed, train_loss=value) for seed, value in enumerate(values)]


def claim(metric="train_loss", **spec):
    return resolve_claims([ClaimSpec(id="c", metric=metric, **spec)], "e", ARMS, {}, "s")


def swinging(mean, seeds, by=1.0):
    return [mean + by * (-1) ** seed for seed in range(seeds)]


OPEN = {"lower": "a", "than": "b", "margin": 0.01}


def test_a_claim_whose_arms_stopped_stands_as_it_did_then():
    evidence = Evidence([*losses("a", swinging(0.0, 6)), *losses("b", [0.0] * 6)])
    (found,) = judge_at_looks(claim(**OPEN), evidence, LOOKS, 3)
    assert (found.verdict, found.look) == (Verdict.UNDECIDED, Look(number=1, of=3, seeds=6, helps=True))


def test_a_claim_whose_arms_grew_stands_as_it_does_after_the_last_look():
    evidence = Evidence([*losses("a", swinging(0.0, 12)), *losses("b", [0.0] * 12)])
    (found,) = judge_at_looks(claim(**OPEN), evidence, LOOKS, 2)
    assert (found.look, len(found.seeds)) == (Look(number=2, of=3, seeds=9, helps=True), 9)


def test_a_verdict_is_that_of_the_first_look_that_gave_it():
    # decided by six seeds; the six that came after, for the sake of another claim, would leave it open
    a = [-3.0, -3.1, -2.9, -3.0, -3.1, -2.9, *swinging(3.0, 6, by=4.0)]
    evidence = Evidence([*losses("a", a), *losses("b", [0.0] * 12)])
    (found,) = judge_at_looks(claim(**OPEN), evidence, LOOKS, 3)
    assert (found.verdict, found.look) == (Verdict.SUPPORTED, Look(number=1, of=3, seeds=6, helps=False))
    assert arms_that_go_on([found]) == set()


AHEAD = {"metric": "accuracy", "better": "a", "than": "b"}
SAME = {"metric": "accuracy", "same": ["a", "b"]}


@pytest.mark.parametrize(
    ("spec", "ahead", "swing", "collapsed", "qualifier", "helps"),
    [
        # enough seeds detect a margin of a half
        ({**AHEAD, "margin": 0.5}, 40, 30, (), None, True),
        # 80 images hide a margin of two points from any number of seeds, and a gain of five points too
        (AHEAD, 4, 1, (), None, False),
        # but not a gain of 25 points
        (AHEAD, 20, 18, (), None, True),
        # nor that there is none of ten points where there is a loss of five
        ({**AHEAD, "margin": 0.1}, -4, 15, (), None, True),
        # nor that two arms differ by more than ten points where they differ by 40
        ({**SAME, "margin": 0.1}, 32, 24, (), None, True),
        ({**SAME, "margin": 0.1}, -32, 24, (), None, True),
        # where they differ by five, 80 images cannot tell
        (SAME, 4, 3, (), None, False),
        # without the run that collapsed there are too few seeds; more come, whatever the images hide
        (AHEAD, 20, 1, (3,), "collapse", True),
    ],
)  # fmt: skip
def test_more_seeds_help_where_they_could_decide_a_claim(spec, ahead, swing, collapsed, qualifier, helps):
    a = [
        run("a", seed, seed in collapsed, right) for seed, right in enumerate(map(int, swinging(40 + ahead, 6, swing)))
    ]
    b = [run("b", seed, right=40) for seed in range(6)]
    (found,) = judge_at_looks(claim(**spec), Evidence([*a, *b]), LOOKS, 1)
    assert (found.verdict, found.decision.qualifier, found.look.helps) == (Verdict.UNDECIDED, qualifier, helps)
    assert arms_that_go_on([found]) == ({"a", "b"} if helps else set())
