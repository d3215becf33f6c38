"""A verdict in words: every kind of claim with every verdict, every qualifier and every note, as whole sentences."""

import math

import pytest

from doubleread.analysis import ClaimResult, Look, OneRunEach
from doubleread.report.sentences import look_text, notes, sentence, signed
from doubleread.stats import Decision, Estimate, Looks, Verdict
from doubleread.study import ClaimSpec, resolve_claims

SUPPORTED, CONTRADICTED = Verdict.SUPPORTED, Verdict.CONTRADICTED
NOT_SUPPORTED, UNDECIDED = Verdict.NOT_SUPPORTED, Verdict.UNDECIDED
NAN = math.nan
PLAIN = {arm: {"model": arm} for arm in ("a", "b", "c")}
SIZES = {f"e/{size}": {"batch_size": str(size)} for size in (8, 32, 128)}
GRID = {f"e/{loss},{size}": {"loss": loss, "batch_size": str(size)} for loss in ("bce", "ce") for size in (8, 32)}
CLAIMS = {
    "better": {"better": "a", "than": "b"},
    "lower": {"lower": "a", "than": "b"},
    "same": {"same": ["a", "b"]},
    "rises": {"trend": "increasing"},
    "falls": {"trend": "decreasing"},
    "more": {
        "better": {"loss": "bce"},
        "than": {"loss": "ce"},
        "more_at": {"batch_size": 32},
        "than_at": {"batch_size": 8},
    },
    "best": {"best": "a"},
    "worst": {"worst": "a"},
    "above": {"arm": "a", "above": 0.8},
    "below": {"arm": "a", "below": 0.8},
}


def claim(metric="accuracy", **spec):
    arms = SIZES if "trend" in spec else GRID if "more_at" in spec else PLAIN
    return resolve_claims([ClaimSpec(id="c", metric=metric, **spec)], "e", arms, {}, "study.yaml")[0]


def made(claim, verdict, lo, hi, *, qualifier=None, p=0.2, seed_var=2.0, case_var=1.0, **more):
    """Return what a claim came to, over ten seeds and 400 test images; `more` is what is special about it."""
    known = {
        "claim": claim,
        "decision": Decision(verdict=verdict, qualifier=qualifier, p=p, p_holm=p, below_margin=0.5, equivalent=0.5),
        "estimate": Estimate(
            value=(lo + hi) / 2, seed_var=seed_var, case_var=case_var, se=1.0, df=9.0, lo=lo, hi=hi, p=p
        ),
        "rival": "b" if claim.kind == "best" else None,
        "seeds": tuple(range(10)),
        "left_out": (),
        "cases": 400,
        "agreed": None,
        "family": 1,
        "mdd": NAN,
        "seeds_needed": None,
        "cases_needed": None,
        "order_shown": NAN,
        "monotone": NAN,
        "finished": dict.fromkeys(claim.arms, 10),
        "collapsed": {},
        "collapse_p": NAN,
        "diverged": {},
        "diverge_p": NAN,
        "without": None,
        "seeds_without": 10,
        "carried_by": 0,
    }
    return ClaimResult(**{**known, **more})


NEW = "new runs on new images from this source"
PAIR = "new pair of runs on new images from this source"
RULED_OUT = "difference of 2.0 points or more in the claimed direction is ruled out"
LEFT_OPEN = "The runs leave it open; the difference"


@pytest.mark.parametrize(
    ("kind", "verdict", "lo", "hi", "said"),
    [
        ("better", SUPPORTED, 0.01, 0.03,
         f"A {PAIR} should favour a over b by 1.0 to 3.0 points of test accuracy on average."),
        ("better", CONTRADICTED, -0.03, -0.01,
         f"The other way round: a {PAIR} should favour b over a by 1.0 to 3.0 points of test accuracy on average."),
        ("better", NOT_SUPPORTED, -0.03, 0.01, f"A {RULED_OUT} (−3.0 to +1.0 points)."),
        ("better", NOT_SUPPORTED, -0.03, -0.01, f"It points the other way, and a {RULED_OUT} (−3.0 to −1.0 points)."),
        ("better", UNDECIDED, -0.03, 0.04,
         f"{LEFT_OPEN} in test accuracy may be −3.0 to +4.0 points in the claimed direction."),
        ("lower", SUPPORTED, -0.03, -0.01,
         f"A {PAIR} should favour b over a by 1.0 to 3.0 points of test accuracy on average."),
        ("lower", CONTRADICTED, 0.01, 0.03,
         f"The other way round: a {PAIR} should favour a over b by 1.0 to 3.0 points of test accuracy on average."),
        ("lower", NOT_SUPPORTED, -0.01, 0.03, f"A {RULED_OUT} (−3.0 to +1.0 points)."),
        ("lower", NOT_SUPPORTED, 0.01, 0.03, f"It points the other way, and a {RULED_OUT} (−3.0 to −1.0 points)."),
        ("lower", UNDECIDED, -0.04, 0.03,
         f"{LEFT_OPEN} in test accuracy may be −3.0 to +4.0 points in the claimed direction."),
        ("same", SUPPORTED, -0.005, 0.01,
         "In test accuracy they differ by less than 2.0 points (a less b: −0.5 to +1.0 points)."),
        ("same", CONTRADICTED, 0.03, 0.05,
         "In test accuracy they differ by more than 2.0 points (a less b: +3.0 to +5.0 points)."),
        ("same", UNDECIDED, -0.01, 0.04,
         "The runs leave it open; whether they differ by less than 2.0 points in test accuracy is not shown (a less"
         " b: −1.0 to +4.0 points)."),
        ("rises", SUPPORTED, 0.01, 0.03,
         "Test accuracy rises by 1.0 to 3.0 points from batch size 8 to batch size 128, along the fitted line, on"
         f" average over {NEW}."),
        ("rises", CONTRADICTED, -0.03, -0.01,
         "The other way round: test accuracy falls by 1.0 to 3.0 points from batch size 8 to batch size 128, along"
         f" the fitted line, on average over {NEW}."),
        ("falls", SUPPORTED, -0.03, -0.01,
         "Test accuracy falls by 1.0 to 3.0 points from batch size 8 to batch size 128, along the fitted line, on"
         f" average over {NEW}."),
        ("falls", CONTRADICTED, 0.01, 0.03,
         "The other way round: test accuracy rises by 1.0 to 3.0 points from batch size 8 to batch size 128, along"
         f" the fitted line, on average over {NEW}."),
        ("falls", NOT_SUPPORTED, 0.01, 0.03, f"It points the other way, and a {RULED_OUT} (−3.0 to −1.0 points)."),
        ("falls", UNDECIDED, -0.04, 0.03,
         f"{LEFT_OPEN} in test accuracy may be −3.0 to +4.0 points in the claimed direction."),
        ("more", SUPPORTED, 0.01, 0.03,
         "In test accuracy the difference loss bce − loss ce at batch size 32 is higher than loss bce − loss ce at"
         f" batch size 8, by 1.0 to 3.0 points on average over {NEW}."),
        ("more", CONTRADICTED, -0.03, -0.01,
         "The other way round: in test accuracy the difference loss bce − loss ce at batch size 32 is lower than"
         f" loss bce − loss ce at batch size 8, by 1.0 to 3.0 points on average over {NEW}."),
        ("best", SUPPORTED, 0.01, 0.03,
         f"A {PAIR} should favour a over b by 1.0 to 3.0 points of test accuracy on average."),
        ("best", CONTRADICTED, -0.03, -0.01,
         f"The other way round: a {PAIR} should favour b over a by 1.0 to 3.0 points of test accuracy on average."),
        ("best", NOT_SUPPORTED, -0.03, 0.01,
         "A difference to b of 2.0 points or more in the claimed direction is ruled out (−3.0 to +1.0 points)."),
        ("best", NOT_SUPPORTED, -0.03, -0.01,
         "It points the other way, and a difference to b of 2.0 points or more in the claimed direction is ruled"
         " out (−3.0 to −1.0 points)."),
        ("best", UNDECIDED, -0.03, 0.04,
         f"{LEFT_OPEN} to b in test accuracy may be −3.0 to +4.0 points in the claimed direction."),
        ("worst", SUPPORTED, -0.03, -0.01,
         f"A {PAIR} should favour b over a by 1.0 to 3.0 points of test accuracy on average."),
        ("worst", CONTRADICTED, 0.01, 0.03,
         f"The other way round: a {PAIR} should favour a over b by 1.0 to 3.0 points of test accuracy on average."),
        ("above", SUPPORTED, 0.01, 0.03,
         f"Test accuracy with a should average 81.00 to 83.00 % over {NEW}: above 80.00 %."),
        ("above", CONTRADICTED, -0.03, -0.01,
         f"The other way round: test accuracy with a should average 77.00 to 79.00 % over {NEW}: below 80.00 %."),
        ("above", NOT_SUPPORTED, -0.03, 0.01,
         "It is not above 80.00 % by 2.0 points or more: test accuracy with a may average 77.00 to 81.00 %."),
        ("above", UNDECIDED, -0.03, 0.04,
         "The runs leave it open; test accuracy with a may average 77.00 to 84.00 %, compared with 80.00 %."),
        ("below", SUPPORTED, -0.03, -0.01,
         f"Test accuracy with a should average 77.00 to 79.00 % over {NEW}: below 80.00 %."),
        ("below", CONTRADICTED, 0.01, 0.03,
         f"The other way round: test accuracy with a should average 81.00 to 83.00 % over {NEW}: above 80.00 %."),
        ("below", NOT_SUPPORTED, -0.01, 0.03,
         "It is not below 80.00 % by 2.0 points or more: test accuracy with a may average 79.00 to 83.00 %."),
    ],
)  # fmt: skip
def test_every_kind_of_claim_with_every_verdict(kind, verdict, lo, hi, said):
    assert sentence(made(claim(**CLAIMS[kind]), verdict, lo, hi)) == said


A_OVER_B = {"better": "a", "than": "b"}


@pytest.mark.parametrize(
    ("spec", "verdict", "lo", "hi", "said"),
    [
        ({"metric": "seconds", "margin": 1, **A_OVER_B}, SUPPORTED, -4, -2,
         "A new pair of runs on this machine should favour a over b by 2.0 to 4.0 s of training time on average."),
        ({"metric": "seconds", "margin": 1, **A_OVER_B}, CONTRADICTED, 2, 4,
         "The other way round: a new pair of runs on this machine should favour b over a by 2.0 to 4.0 s of"
         " training time on average."),
        ({"metric": "seconds", "margin": 5, **A_OVER_B}, NOT_SUPPORTED, -4, 2,
         "A difference of 5.0 s or more in the claimed direction is ruled out (−2.0 to +4.0 s)."),
        ({"metric": "seconds", "margin": 1, "arm": "a", "below": 10}, SUPPORTED, -4, -2,
         "Training time with a should average 6.0 to 8.0 s over new runs on this machine: below 10.0 s."),
        ({"metric": "seconds", "margin": 1, "trend": "decreasing"}, SUPPORTED, -4, -2,
         "Training time falls by 2.0 to 4.0 s from batch size 8 to batch size 128, along the fitted line, on"
         " average over new runs on this machine."),
        ({"metric": "train_loss", "margin": 0.01, **A_OVER_B}, SUPPORTED, -0.04, -0.02,
         "A new pair of runs should favour a over b by 0.0200 to 0.0400 of training loss on average."),
        ({"metric": "train_loss", "margin": 0.01, "higher": "a", "than": "b"}, SUPPORTED, 0.02, 0.04,
         "A new pair of runs should favour b over a by 0.0200 to 0.0400 of training loss on average."),
        ({"metric": "val_loss", "margin": 0.01, "same": ["a", "b"]}, SUPPORTED, -0.005, 0.004,
         "In validation loss they differ by less than 0.0100 (a less b: −0.0050 to +0.0040)."),
        ({"metric": "brier", "margin": 0.01, **A_OVER_B}, SUPPORTED, -0.04, -0.02,
         f"A {PAIR} should favour a over b by 0.020 to 0.040 of test Brier score on average."),
        ({"metric": "auroc", "best": "a"}, SUPPORTED, 0.02, 0.04,
         f"A {PAIR} should favour a over b by 0.020 to 0.040 of test AUROC on average."),
        ({"metric": "gap", "margin": 0.01, "higher": "a", "than": "b"}, SUPPORTED, 0.02, 0.04,
         "Validation minus test accuracy should be higher with a than with b, by 2.0 to 4.0 points on average over"
         f" {NEW}."),
        ({"metric": "gap", "margin": 0.01, "higher": "a", "than": "b"}, CONTRADICTED, -0.04, -0.02,
         "The other way round: validation minus test accuracy should be lower with a than with b, by 2.0 to 4.0"
         f" points on average over {NEW}."),
        ({"metric": "change", "on": "train_loss", "margin": 0.01, "lower": "a", "than": "b"}, SUPPORTED, -0.04, -0.02,
         "Change of training loss from first to last epoch should be lower with a than with b, by 0.0200 to 0.0400"
         " on average over new runs."),
        ({"metric": "change_after_peak", "on": "val_accuracy", "margin": 0.01, "arm": "a", "below": -0.02},
         SUPPORTED, -0.04, -0.02,
         "Change of validation accuracy after its best with a should average −6.00 to −4.00 points over new runs:"
         " below −2.00 points."),
        ({"metric": "steadiness", "on": "train_loss", "margin": 0.01, **A_OVER_B}, SUPPORTED, 0.02, 0.04,
         "A new pair of runs should favour a over b by 0.0200 to 0.0400 of steadiness of training loss on average."),
        ({"metric": "peak_epoch", "on": "val_loss", "margin": 2, "higher": "a", "than": "b"}, SUPPORTED, 2, 4,
         "The epoch of the best validation loss should come 2.0 to 4.0 epochs later with a than with b, on average"
         " over new runs."),
        ({"metric": "peak_epoch", "on": "val_loss", "margin": 2, "higher": "a", "than": "b"}, CONTRADICTED, -4, -2,
         "The other way round: the epoch of the best validation loss should come 2.0 to 4.0 epochs earlier with a"
         " than with b, on average over new runs."),
        ({"metric": "epochs_to_converge", "on": "train_loss", "margin": 2, **A_OVER_B}, SUPPORTED, -4, -2,
         "The epoch in which training loss has converged should come 2.0 to 4.0 epochs earlier with a than with b,"
         " on average over new runs."),
        ({"metric": "epochs_to_converge", "on": "train_loss", "margin": 2, "best": "a"}, CONTRADICTED, 2, 4,
         "The other way round: the epoch in which training loss has converged should come 2.0 to 4.0 epochs later"
         " with a than with b, on average over new runs."),
        ({"metric": "epochs_to_converge", "on": "train_loss", "margin": 2, **A_OVER_B}, UNDECIDED, -4, 3,
         "The runs leave it open; the difference in the epoch in which training loss has converged may be −3.0 to"
         " +4.0 epochs in the claimed direction."),
    ],
)  # fmt: skip
def test_every_kind_of_metric_in_its_own_unit_and_direction(spec, verdict, lo, hi, said):
    assert sentence(made(claim(**spec), verdict, lo, hi)) == said


NOTHING = "There is nothing to judge it by: "
SAME, UNTOLD = "Every seed shows the same", "so that its uncertainty cannot be told."


@pytest.mark.parametrize(
    ("kind", "special", "said"),
    [
        ("better", {"qualifier": "one run each", "seeds": (0,)}, "1 seed is too few for a verdict: it takes 6."),
        ("above", {"qualifier": "too few seeds", "seeds": (0, 1, 2)}, "3 seeds are too few for a verdict: it takes 6."),
        ("better", {"qualifier": "not measured", "seeds": ()}, f"{NOTHING}no seed has test accuracy of all its arms."),
        ("better", {"qualifier": "not measured", "lo": NAN},
         f"{NOTHING}how much test accuracy varies with the images is unknown, for its arms were scored on different"
         " ones, or on too few subjects."),
        ("better", {"qualifier": "no variation", "lo": 0.01, "hi": 0.01},
         f"{SAME} difference, +1.0 points in the claimed direction, {UNTOLD}"),
        ("lower", {"qualifier": "no variation", "lo": 0.01, "hi": 0.01},
         f"{SAME} difference, −1.0 points in the claimed direction, {UNTOLD}"),
        ("lower", {"qualifier": "no variation", "lo": 0.0, "hi": 0.0}, f"{SAME} difference, 0.0 points, {UNTOLD}"),
        ("same", {"qualifier": "no variation", "lo": 0.01, "hi": 0.01},
         f"{SAME} difference, +1.0 points (a less b), {UNTOLD}"),
        ("best", {"qualifier": "no variation", "lo": 0.01, "hi": 0.01},
         f"{SAME} difference to b, +1.0 points in the claimed direction, {UNTOLD}"),
        ("best", {"qualifier": "not measured", "seeds": (0, 1, 2)},
         "With b 3 seeds are too few for a verdict: it takes 6."),
        ("best", {"qualifier": "not measured", "seeds": (4,)},
         "With b 1 seed is too few for a verdict: it takes 6."),
        ("above", {"qualifier": "no variation", "lo": 0.01, "hi": 0.01},
         f"{SAME} value, 81.00 %, {UNTOLD}"),
        ("same", {"qualifier": "too few test images", "lo": 0.0, "hi": 0.0, "cases": 20},
         "In no seed is any of 20 test images called otherwise; so few do not rule out 2.0 points."),
        ("better", {"qualifier": "collapse", "collapsed": {"a": 10, "b": 10}},
         "Every run of a and b collapsed, so that it cannot be judged without them; the difference in test accuracy"
         " may be −1.0 to +3.0 points in the claimed direction."),
        ("above", {"qualifier": "collapse", "collapsed": {"a": 10}},
         "Every run of a collapsed, so that it cannot be judged without them; test accuracy with a may average"
         " 79.00 to 83.00 %, compared with 80.00 %."),
        ("best", {"qualifier": "collapse", "collapsed": {"a": 9}, "seeds_without": 1},
         "It hangs on runs that collapsed: without them 1 seed is left, too few for a verdict; the difference to b"
         " in test accuracy may be −1.0 to +3.0 points in the claimed direction."),
        ("better", {"qualifier": "collapse", "collapsed": {"a": 5}, "seeds_without": 5},
         "It hangs on runs that collapsed: without them 5 seeds are left, too few for a verdict; the difference in"
         " test accuracy may be −1.0 to +3.0 points in the claimed direction."),
        ("same", {"qualifier": "collapse", "collapsed": {"a": 1}, "seeds_without": 6},
         "It hangs on runs that collapsed: without them the verdict is another one; whether they differ by less"
         " than 2.0 points in test accuracy is not shown (a less b: −1.0 to +3.0 points)."),
    ],
)  # fmt: skip
def test_every_reason_for_which_a_claim_stays_undecided(kind, special, said):
    given = {"lo": -0.01, "hi": 0.03, **special}
    assert sentence(made(claim(**CLAIMS[kind]), UNDECIDED, given.pop("lo"), given.pop("hi"), **given)) == said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("better",
         "If there is a difference at all, it is below 2.0 points, either way (−0.5 to +1.0 points in the claimed"
         " direction)."),
        ("lower",
         "If there is a difference at all, it is below 2.0 points, either way (−1.0 to +0.5 points in the claimed"
         " direction)."),
        ("best",
         "If there is a difference to b at all, it is below 2.0 points, either way (−0.5 to +1.0 points in the"
         " claimed direction)."),
    ],
)  # fmt: skip
def test_no_practical_difference(kind, said):
    found = made(claim(**CLAIMS[kind]), NOT_SUPPORTED, -0.005, 0.01, qualifier="no practical difference")
    assert sentence(found) == said


PAST = " The interval, which leaves 2.5 % on either side, reaches past that; the test leaves 5 % on one."


@pytest.mark.parametrize(
    ("kind", "qualifier", "lo", "hi", "past"),
    [
        ("better", None, -0.03, 0.019, False),
        ("better", None, -0.03, 0.021, True),
        ("lower", None, -0.021, 0.03, True),
        ("lower", None, -0.019, 0.03, False),
        ("better", "no practical difference", -0.021, 0.01, True),
        ("better", "no practical difference", -0.019, 0.01, False),
        ("same", None, -0.019, 0.019, False),
        ("same", None, -0.021, 0.0, True),
        ("same", None, 0.0, 0.021, True),
    ],
)
def test_an_interval_that_reaches_past_what_is_ruled_out_is_explained(kind, qualifier, lo, hi, past):
    verdict = SUPPORTED if kind == "same" else NOT_SUPPORTED
    said = sentence(made(claim(**CLAIMS[kind]), verdict, lo, hi, qualifier=qualifier))
    assert said.endswith(PAST) == past
    assert past or said.endswith((" points in the claimed direction).", " points)."))


def test_alone_it_is_shown_or_contradicted_or_neither():
    def alone(kind, lo, hi, p=0.03):
        return notes(made(claim(**CLAIMS[kind]), UNDECIDED, lo, hi, p=p, family=3))

    shown = ["Alone it would be shown (p .030); among 3 claims it is not."]
    turned = ["Alone it would be contradicted (p .030); among 3 claims it is not."]
    assert alone("better", 0.001, 0.03) == shown == alone("lower", -0.03, -0.001)
    assert alone("better", -0.03, -0.001) == turned == alone("lower", 0.001, 0.03)
    # an interval that is corrected for looks knows better than a p that is not
    assert alone("better", -0.001, 0.03) == []
    assert alone("better", 0.001, 0.03, p=0.06) == []


def test_metrics_of_validation_are_of_validation_images():
    of_validation = claim("val_accuracy", margin=0.02, **CLAIMS["better"])
    none = made(of_validation, UNDECIDED, 0.0, 0.0, qualifier="too few test images", cases=20)
    assert sentence(none) == (
        "In no seed is any of 20 validation images called otherwise; so few do not rule out 2.0 points."
    )
    assert notes(made(of_validation, NOT_SUPPORTED, 0.0, 0.0, agreed=20)) == [
        "Both sides call all validation images alike in every seed: does what was varied do anything?"
    ]
    known = {"mdd": 0.04, "seeds_needed": None, "cases_needed": 900, "seed_var": 1.0, "case_var": 2.0}
    (said,) = notes(made(of_validation, UNDECIDED, -0.01, 0.03, **known))
    assert said == (
        "80 % of such studies find a difference of 4.0 points; most of the uncertainty is the validation images'."
        " To detect 2.0 points takes more validation images, not more seeds: about 900."
    )


def test_epochs_are_told_as_epochs():
    of_epochs = claim("peak_epoch", on="val_loss", margin=1.0, arm="a", below=10)
    assert sentence(made(of_epochs, SUPPORTED, -4.0, -2.0)) == (
        "The epoch of the best validation loss with a should average 6.0 to 8.0 epochs over new runs: below"
        " 10.0 epochs."
    )


def test_the_share_of_seed_pairs_that_show_the_claimed_order_is_said_last():
    favoured = (
        f"A {PAIR} should favour a over b by 1.0 to 3.0 points of test accuracy on average. One run each would have"
    )
    two, best = (made(claim(**CLAIMS[kind]), SUPPORTED, 0.01, 0.03, order_shown=0.874) for kind in ("better", "best"))
    assert sentence(two) == f"{favoured} shown the claimed order in 87 % of the seed pairs."
    assert sentence(best) == f"{favoured} shown a and b in the claimed order in 87 % of the seed pairs."


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("accuracy", 0.012, "+1.2 points"),
        ("accuracy", -0.012, "−1.2 points"),
        ("accuracy", -0.0004, "0.0 points"),
        ("val_loss", -0.00004, "0.0000"),
        ("val_loss", 0.0001, "+0.0001"),
        ("auroc", -0.0004, "0.000"),
        ("seconds", -1.26, "−1.3 s"),
        ("seconds", 10.0, "+10.0 s"),
        ("peak_epoch_val_loss", -3.0, "−3.0 epochs"),
    ],
)
def test_what_rounds_to_nothing_has_no_sign(metric, value, said):
    assert signed(metric, value) == said


COLLAPSED = "Collapsed runs (constant predictors), kept in the estimate: "
CORRECTED = "its p and its interval are corrected for looking."
WITHOUT = Estimate(value=0.03, seed_var=1.0, case_var=1.0, se=1.0, df=9.0, lo=0.01, hi=0.05, p=0.01)
FINDS = "80 % of such studies find a difference of 3.5 points; most of the uncertainty is"


@pytest.mark.parametrize(
    ("kind", "verdict", "special", "said"),
    [
        ("better", SUPPORTED, {}, []),
        ("better", SUPPORTED, {"mdd": 0.035}, []),
        ("better", SUPPORTED, {"left_out": (3,)}, ["Left out, for not every arm has a value: seed 3."]),
        ("better", SUPPORTED, {"left_out": (3, 7)}, ["Left out, for not every arm has a value: seeds 3, 7."]),
        ("better", SUPPORTED, {"collapsed": {"b": 1}}, [f"{COLLAPSED}1 of the 10 of b."]),
        ("better", SUPPORTED, {"collapsed": {"a": 2, "b": 1}, "collapse_p": 1.0, "without": WITHOUT},
         [f"{COLLAPSED}2 of the 10 of a, 1 of the 10 of b; Fisher's p of equal rates 1.000. Without them: +1.0 to"
          " +5.0 points in the claimed direction."]),
        ("lower", CONTRADICTED, {"collapsed": {"b": 1}, "without": WITHOUT},
         [f"{COLLAPSED}1 of the 10 of b. Without them: −5.0 to −1.0 points in the claimed direction."]),
        ("above", SUPPORTED, {"collapsed": {"a": 1}, "without": WITHOUT},
         [f"{COLLAPSED}1 of the 10 of a. Without them it may average 81.00 to 85.00 %."]),
        ("better", SUPPORTED, {"diverged": {"a": 3}}, ["Diverged runs, which have no score: 3 of a."]),
        ("better", SUPPORTED, {"diverged": {"a": 3, "b": 1}, "diverge_p": 0.0004},
         ["Diverged runs, which have no score: 3 of a, 1 of b; Fisher's p of equal rates < .001."]),
        ("better", SUPPORTED, {"carried_by": 1},
         ["One seed carries this: without it, the difference is less than half as large or turns round, and the"
          " others agree."]),
        ("better", SUPPORTED, {"carried_by": 2},
         ["Two seeds carry this: without them, the difference is less than half as large or turns round, and the"
          " others agree."]),
        ("same", SUPPORTED, {"agreed": 400},
         ["Both sides call all test images alike in every seed: does what was varied do anything?"]),
        ("best", NOT_SUPPORTED, {"agreed": 400}, []),
        ("rises", SUPPORTED, {"monotone": 0.0123}, ["The order holds in every step from level to level (p .012)."]),
        ("rises", SUPPORTED, {"monotone": 0.3},
         ["The order is not shown for every step from level to level (p .300)."]),
        ("better", UNDECIDED, {"p": 0.03, "family": 5},
         ["Alone it would be shown (p .030); among 5 claims it is not."]),
        ("better", UNDECIDED, {"p": 0.03, "family": 1}, []),
        ("better", UNDECIDED, {"p": 0.07, "family": 5}, []),
        ("same", UNDECIDED, {"p": 0.03, "family": 5}, []),
        ("better", UNDECIDED, {"p": 0.03, "family": 5, "qualifier": "collapse"}, []),
        ("better", SUPPORTED, {"look": Look(number=2, of=4, seeds=9, helps=False)},
         [f"Decided at look 2 of 4, with 9 seeds an arm; {CORRECTED}"]),
        ("better", NOT_SUPPORTED, {"look": Look(number=4, of=4, seeds=20, helps=False)},
         [f"Decided at look 4 of 4, with 20 seeds an arm; {CORRECTED}"]),
        ("better", UNDECIDED, {"look": Look(number=4, of=4, seeds=20, helps=True)},
         [f"Open after the last look, with 20 seeds an arm; {CORRECTED}"]),
        ("better", UNDECIDED, {"look": Look(number=1, of=4, seeds=6, helps=False)},
         ["Open at look 1 of 4, with 6 seeds an arm, where it stopped: only more test images would help;"
          f" {CORRECTED}"]),
        ("better", UNDECIDED, {"look": Look(number=1, of=4, seeds=6, helps=True)},
         [f"Open at look 1 of 4, with 6 seeds an arm; {CORRECTED}"]),
        ("better", UNDECIDED, {"mdd": 0.035, "qualifier": "collapse"}, []),
        ("better", UNDECIDED, {"mdd": 0.035},
         [f"{FINDS} the seeds'. To detect 2.0 points takes more test images and more seeds too."]),
        ("better", UNDECIDED, {"mdd": 0.035, "case_var": 3.0, "cases_needed": 1200},
         [f"{FINDS} the test images'. To detect 2.0 points takes more test images, not more seeds: about 1,200."]),
        ("better", UNDECIDED, {"mdd": 0.035, "seeds_needed": 1050},
         [f"{FINDS} the seeds'. To detect 2.0 points takes about 1,050 seeds."]),
        ("better", UNDECIDED, {"mdd": 0.035, "seeds_needed": 20, "cases_needed": 1200},
         [f"{FINDS} the seeds'. To detect 2.0 points takes about 20 seeds, or about 1,200 test images."]),
        ("better", UNDECIDED, {"mdd": 0.035, "seeds_needed": 10, "cases_needed": 400},
         [f"{FINDS} the seeds'. This study would probably have found 2.0 points; what there is may be smaller."]),
    ],
)  # fmt: skip
def test_notes_say_what_else_a_reader_must_know(kind, verdict, special, said):
    assert notes(made(claim(**CLAIMS[kind]), verdict, 0.01, 0.03, **special)) == said


@pytest.mark.parametrize(
    ("largest", "limit"),
    [
        (None, "with this difference it can never be below .05"),
        (64, "with this difference it would be below .05 up to 64 such images"),
        (400, "with this difference it is below .05 on so many images, however they differ"),
    ],
)
def test_one_run_each_is_told_apart_by_the_test_images_alone(largest, limit):
    single = OneRunEach(
        accuracies=(0.8, 0.7525),
        first=(0.758, 0.8363),
        second=(0.7079, 0.7922),
        difference=19,
        discordant=43,
        mcnemar_p=0.0057,
        largest=largest,
    )
    found = made(claim(**CLAIMS["better"]), UNDECIDED, NAN, NAN, qualifier="one run each", seeds=(0,), single=single)
    assert notes(found) == [
        "One run each, counting the test images only: 80.00 % (75.80 to 83.63 %) and 75.25 % (70.79 to 79.22 %)"
        f" (Wilson). Judged differently: 43 of the images, McNemar's exact p .006; {limit}."
        " Another seed may move further than that."
    ]


def test_notes_stand_in_one_order():
    special = {"look": Look(number=1, of=3, seeds=10, helps=True), "family": 4, "p": 0.04, "mdd": 0.035}
    special |= {"seeds_needed": 30, "left_out": (9,), "collapsed": {"b": 1}, "diverged": {"a": 1}, "carried_by": 1}
    starts = ["Open at", "Alone it", "80 % of", "Left out", "Collapsed runs", "Diverged runs", "One seed"]
    found = notes(made(claim(**CLAIMS["better"]), UNDECIDED, 0.001, 0.03, **special))
    assert [note[: len(start)] for note, start in zip(found, starts, strict=True)] == starts


@pytest.mark.parametrize(
    ("verdicts", "number", "arms", "said"),
    [
        ((SUPPORTED, UNDECIDED, SUPPORTED), 1, 4,
         "look 1 of 3, 6 seeds: 2 supported, 1 undecided; 4 arms go on to 9 seeds"),
        ((SUPPORTED, CONTRADICTED, NOT_SUPPORTED), 2, 0,
         "look 2 of 3, 9 seeds: 1 supported, 1 contradicted, 1 not supported; it stops"),
        ((UNDECIDED,), 2, 0, "look 2 of 3, 9 seeds: 1 undecided; more seeds would not help, so it stops"),
        ((UNDECIDED, UNDECIDED), 3, 2, "look 3 of 3, 12 seeds: 2 undecided; these are all the seeds it may have"),
        ((SUPPORTED,), 3, 0, "look 3 of 3, 12 seeds: 1 supported; it stops"),
    ],
)  # fmt: skip
def test_what_a_look_has_shown_and_what_comes_next(verdicts, number, arms, said):
    results = [made(claim(**CLAIMS["better"]), verdict, 0.01, 0.03) for verdict in verdicts]
    assert look_text(results, number, Looks((6, 9, 12)), arms) == said
