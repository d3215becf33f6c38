"""Claims in a study file: what each comes to, and every mistake with its whole message."""

import copy

import pytest

from doubleread.study import REPORTS, load_claims, load_study, parse_study
from doubleread.study.claims import number_of
from tests.conftest import small_study
from tests.refusals import refusal

CLAIM = {"id": "c", "metric": "accuracy"}


def study_with(claim, **changes):
    raw = small_study("phantom", **changes)
    raw["experiments"] = {
        "batch": {"factors": {"batch_size": [4, 8, 16]}},
        "grid": {"factors": {"loss": ["bce", "ce"], "optimizer.lr": [0.1, 0.01]}},
    }
    raw["experiments"]["grid" if claim.pop("in_grid", False) else "batch"]["claims"] = [claim]
    return parse_study(raw, place="study.yaml")


def claim_of(**claim):
    return study_with({**CLAIM, **claim}).claims[0]


def message(**claim):
    return refusal(study_with, {**CLAIM, **claim})


def test_sides_and_direction():
    better = claim_of(better=16, than=4)
    assert (better.contrasts, better.sign, better.margin) == (({"batch/16": 1.0, "batch/4": -1.0},), 1, 0.02)
    assert (better.first, better.second) == ("batch size 16", "batch size 4")
    assert (better.better_arm, better.than_arm) == ("batch/16", "batch/4")
    assert claim_of(metric="train_loss", better=16, than=4, margin=0.1).sign == -1
    assert claim_of(lower=16, than=4).sign == -1


def test_a_part_of_a_grid_is_averaged_over():
    main = claim_of(in_grid=True, better={"loss": "bce"}, than={"loss": "ce"})
    assert main.contrasts == ({"grid/bce,0.1": 0.5, "grid/bce,0.01": 0.5, "grid/ce,0.1": -0.5, "grid/ce,0.01": -0.5},)
    assert main.better_arm == "loss bce"
    one = claim_of(in_grid=True, better={"loss": "bce", "optimizer.lr": 0.1}, than="ce,0.1")
    assert (one.better_arm, one.than_arm) == ("grid/bce,0.1", "grid/ce,0.1")
    everything = claim_of(in_grid=True, arm="all", above=0.5)
    assert everything.contrasts == (dict.fromkeys(everything.arms, 0.25),)


AT = {"in_grid": True, "better": {"loss": "bce"}, "than": {"loss": "ce"},
      "more_at": {"optimizer.lr": 0.1}, "than_at": {"optimizer.lr": 0.01}}  # fmt: skip
MEANS = [
    (
        AT,
        {
            "kind": "interaction", "sign": 1, "experiment": "grid",
            "contrasts": ({"grid/bce,0.1": 1.0, "grid/ce,0.1": -1.0, "grid/bce,0.01": -1.0, "grid/ce,0.01": 1.0},),
            "first": "loss bce − loss ce at rate 0.1", "second": "loss bce − loss ce at rate 0.01",
        },
    ),
    (
        {"trend": "increasing"},
        {
            "kind": "trend", "sign": 1, "first": "batch size 16", "second": "batch size 4",
            "better_arm": "batch/16", "than_arm": "batch/4",
            "contrasts": ({"batch/4": -1.0, "batch/8": 0.0, "batch/16": 1.0},),
            "steps": ({"batch/8": 1.0, "batch/4": -1.0}, {"batch/16": 1.0, "batch/8": -1.0}),
        },
    ),
    ({"trend": "decreasing"}, {"kind": "trend", "sign": -1, "first": "batch size 16", "second": "batch size 4"}),
    (
        {"in_grid": True, "trend": "increasing", "factor": "optimizer.lr"},
        {
            "kind": "trend", "first": "rate 0.1", "second": "rate 0.01",
            "contrasts": ({"grid/bce,0.1": 0.5, "grid/ce,0.1": 0.5, "grid/bce,0.01": -0.5, "grid/ce,0.01": -0.5},),
            "steps": ({"grid/bce,0.1": 0.5, "grid/ce,0.1": 0.5, "grid/bce,0.01": -0.5, "grid/ce,0.01": -0.5},),
        },
    ),
    (
        {"best": 8},
        {
            "kind": "best", "sign": 1, "first": "batch size 8", "second": "all others", "better_arm": "batch/8",
            "than_arm": "all others", "rivals": ("batch size 4", "batch size 16"),
            "contrasts": ({"batch/8": 1.0, "batch/4": -1.0}, {"batch/8": 1.0, "batch/16": -1.0}),
        },
    ),
    ({"worst": 8}, {"kind": "best", "sign": -1}),
    ({"metric": "train_loss", "margin": 0.1, "best": 8}, {"kind": "best", "sign": -1}),
    ({"metric": "train_loss", "margin": 0.1, "worst": 8}, {"kind": "best", "sign": 1}),
    (
        {"arm": 8, "above": 0.5},
        {
            "kind": "one arm", "sign": 1, "offset": 0.5, "first": "batch size 8", "second": "0.5",
            "better_arm": "batch/8", "than_arm": None, "contrasts": ({"batch/8": 1.0},),
        },
    ),
    (
        {"arm": "all", "below": 0.25, "role": "secondary", "says": "no better than a coin"},
        {
            "kind": "one arm", "sign": -1, "offset": 0.25, "first": "all arms together", "second": "0.25",
            "role": "secondary", "says": "no better than a coin", "id": "c", "experiment": "batch",
        },
    ),
    ({"metric": "gap", "arm": 8, "above": -0.5, "margin": 0.1}, {"kind": "one arm", "offset": -0.5}),
    ({"arm": 8, "above": 0}, {"offset": 0.0}),
    ({"arm": 8, "above": 1}, {"offset": 1.0}),
    (
        {"metric": "change_after_peak", "on": "val_loss", "arm": "all", "above": 0.1, "margin": 0.1},
        {"metric": "change_after_peak_val_loss", "offset": 0.1},
    ),
    (
        {"same": [4, 8]},
        {
            "kind": "equal", "sign": 1, "better_arm": "batch/4", "than_arm": "batch/8",
            "contrasts": ({"batch/4": 1.0, "batch/8": -1.0},),
        },
    ),
    ({"metric": "gap", "lower": 4, "than": 8, "margin": 0.1}, {"kind": "two arms", "sign": -1, "metric": "gap"}),
    ({"metric": "train_loss", "higher": 4, "than": 8, "margin": 0.1}, {"sign": 1}),
    ({"better": {"batch_size": 4}, "than": 8}, {"first": "batch size 4", "better_arm": "batch/4"}),
    (
        {"better": "all", "than": 4},
        {
            "first": "all arms together", "better_arm": "all arms together", "than_arm": "batch/4",
            "contrasts": ({"batch/4": 1 / 3 - 1, "batch/8": 1 / 3, "batch/16": 1 / 3},),
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), MEANS, ids=[str(i) for i in range(len(MEANS))])
def test_what_a_claim_comes_to(said, expected):
    found = claim_of(**copy.deepcopy(said))
    for key, value in expected.items():
        if key in ("contrasts", "steps"):
            assert list(getattr(found, key)) == [pytest.approx(weights) for weights in value]
        else:
            assert getattr(found, key) == value


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"arm": 8, "above": 1.01}, "above 1.01; expected a fraction from 0 to 1; write 80 % as 0.8"),
        ({"arm": 8, "below": -0.1}, "below -0.1; expected a fraction from 0 to 1; write 80 % as 0.8"),
        (
            {"arm": 8, "above": 0.5, "margin": 1.5},
            "margin 1.5; expected a fraction from 0 to 1; write 2 points as 0.02",
        ),
        (
            {"metric": "gap", "best": 8, "margin": 0.1},
            "gap is neither good nor bad; expected two arms with higher or lower, not best",
        ),
        ({"best": "every"}, 'no arm "every"; expected one of 16, 4, 8'),
        ({"same": [4, 4]}, "both sides are the same arms; name two different ones"),
        ({"better": {"batch_size": 5}, "than": 4}, 'no arm {"batch_size": 5}; expected one of 16, 4, 8'),
        (
            {"metric": "gap", "arm": 8, "below": -1.5, "margin": 0.1},
            "below -1.5; expected a fraction from -1 to 1; write 2 points as 0.02",
        ),
    ],
)
def test_claims_that_cannot_be(said, expected):
    assert message(**said) == WHERE + expected


def test_what_a_claim_says_is_hashed():
    said = {"better": 16, "than": 4}
    plain = claim_of(**said).canonical()
    assert plain == {
        "role": "primary", "kind": "two arms", "metric": "accuracy", "margin": 0.02, "sign": 1,
        "contrasts": ({"batch/16": 1.0, "batch/4": -1.0},), "offset": 0.0,
    }  # fmt: skip


def test_a_margin_may_be_of_a_curves_metric_or_of_all_of_its_curves():
    claim = {**CLAIM, "metric": "roughness", "on": "val_loss", "lower": 16, "than": 4}
    assert study_with(dict(claim), margin={"roughness": 0.03}).claims[0].margin == 0.03
    both = study_with(dict(claim), margin={"roughness": 0.03, "roughness_val_loss": 0.04})
    assert both.claims[0].margin == 0.04


def test_curve_metrics_name_their_curve():
    claim = claim_of(metric="roughness", on="val_loss", lower=16, than=4, margin=0.01)
    assert claim.metric == "roughness_val_loss"


def test_a_margin_that_is_no_fraction_is_found_where_it_stands():
    allowed = "expected a fraction from 0 to 1; write 2 points as 0.02"
    assert (
        refusal(study_with, {**CLAIM, "better": 16, "than": 4}, margin={"accuracy": 2})
        == f"study.yaml, margin.accuracy: margin 2; {allowed}"
    )
    of_gap = {"metric": "gap", "arm": 8, "above": 2, "margin": 0.1}
    assert message(**of_gap).endswith("above 2; expected a fraction from -1 to 1; write 2 points as 0.02")


def test_a_margin_that_nobody_named_is_known_as_such():
    claim = {**CLAIM, "better": 16, "than": 4}
    assert study_with(dict(claim)).claims[0].default_margin
    assert not study_with(dict(claim), margin={"accuracy": 0.02}).claims[0].default_margin
    assert not study_with({**claim, "margin": 0.02}).claims[0].default_margin


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("better: batchs, than: batch", 'no arm "batchs"; expected one of batch, bath'),
        ("better: bathe, than: batch", 'no arm "bathe"; did you mean "bath"?'),
        ("same: [batch, batchs]", 'no arm "batchs"; expected one of batch, bath'),
        ("better: batchs, than: bath", 'no arm "batchs"; did you mean "batch"?'),
    ],
)
def test_the_other_arm_of_a_claim_is_not_what_was_meant(tmp_path, claim, said):
    path = tmp_path / "c.yaml"
    path.write_text(f"claims: [{{id: c, metric: accuracy, {claim}}}]")
    assert refusal(load_claims, path, ["batch", "bath"]) == f"c.yaml, claims.c: {said}"


def test_margins_from_the_file_and_from_the_claim():
    study = study_with({**CLAIM, "better": 16, "than": 4}, margin={"accuracy": 0.05})
    assert study.claims[0].margin == 0.05
    both = study_with({**CLAIM, "better": 16, "than": 4, "margin": 0.01}, margin={"accuracy": 0.05})
    assert both.claims[0].margin == 0.01
    assert claim_of(metric="auroc", better=16, than=4).margin == 0.02


WHERE = "study.yaml, experiments.batch.claims.c: "
MISTAKES = [
    ({"better": 5, "than": 4}, WHERE + "no arm 5; expected one of 16, 4, 8"),
    ({"better": {4: "x"}, "than": 4}, WHERE + 'no arm {"4": "x"}; expected one of 16, 4, 8'),
    ({"better": 4, "than": 4}, WHERE + "both sides are the same arms; name two different ones"),
    ({"metric": "acuracy", "better": 4, "than": 8}, WHERE + 'unknown metric "acuracy"; did you mean "accuracy"?'),
    (
        {"metric": "f1", "better": 4, "than": 8},
        WHERE + "no margin for f1; expected the smallest difference that matters;"
        " write margin: {f1: NUMBER} at the top of the file, or margin: NUMBER in the claim",
    ),
    ({"on": "val_loss", "better": 4, "than": 8}, WHERE + "on has no effect with accuracy; delete it"),
    (
        {"metric": "roughness", "better": 4, "than": 8},
        WHERE + "roughness of no curve; expected on: train_loss or train_accuracy or val_loss or val_accuracy",
    ),
    (
        {"metric": "gap", "better": 4, "than": 8, "margin": 0.1},
        WHERE + "gap is neither good nor bad; expected higher or lower, not better",
    ),
    ({"trend": "increasing", "factor": "loss"}, WHERE + "no factor loss; expected factor: batch_size"),
    (
        {"in_grid": True, "trend": "increasing"},
        "study.yaml, experiments.grid.claims.c: the experiment has several factors;"
        " expected factor: loss or optimizer.lr",
    ),
    (
        {"in_grid": True, "trend": "increasing", "factor": "loss"},
        "study.yaml, experiments.grid.claims.c: no trend over bce, ce (bce is no number);"
        " expected levels that are numbers above 0",
    ),
    ({"best": "all"}, WHERE + 'got "all"; expected one arm of two or more'),
    (
        {"better": 4, "than": 8, "more_at": {"loss": "bce"}, "than_at": {"loss": "ce"}},
        WHERE + "got 4; expected {factor: label} beside more_at",
    ),
]


@pytest.mark.parametrize(("claim", "expected"), MISTAKES, ids=[str(i) for i in range(len(MISTAKES))])
def test_mistakes(claim, expected):
    assert message(**copy.deepcopy(claim)) == expected


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ({}, "one of better, higher, lower, same, trend, best, worst, arm, and only one"),
        ({"better": 4}, "than: ARM beside better, higher or lower, and only there"),
        ({"best": 4, "than": 8}, "than: ARM beside better, higher or lower, and only there"),
        ({"arm": 4}, "above: NUMBER or below: NUMBER beside arm, and only there"),
        ({"arm": 4, "above": 0.1, "below": 0.2}, "above: NUMBER or below: NUMBER beside arm, and only there"),
        ({"best": 4, "factor": "x"}, "factor beside trend, and only there"),
        ({"best": 4, "more_at": {"a": 1}}, "more_at and than_at together, beside better, higher or lower"),
    ],
)
def test_kinds_that_do_not_fit_together(claim, expected):
    assert message(**claim).endswith(f"expected {expected}")


def test_a_level_of_zero_has_no_trend():
    raw = small_study("phantom")
    raw["experiments"] = {"d": {"factors": {"optimizer.weight_decay": [0, 0.1]},
                                "claims": [{**CLAIM, "trend": "increasing"}]}}  # fmt: skip
    assert refusal(parse_study, raw, place="s") == (
        "s, experiments.d.claims.c: no trend over 0, 0.1 (a level of 0 has no logarithm);"
        " expected levels that are numbers above 0"
    )


def test_an_id_stands_once():
    raw = small_study("phantom")
    name = next(iter(raw["experiments"]))
    raw["experiments"][name]["claims"] = [{**CLAIM, "arm": "all", "above": 0.1}] * 2
    assert refusal(parse_study, raw, place="s") == "s, claims.c: two claims are called c; give one another id"


def test_margins_and_priors_are_of_metrics():
    of_margin = small_study("phantom", margin={"acuracy": 0.1})
    assert refusal(parse_study, of_margin, place="s") == (
        's, margin.acuracy: unknown metric "acuracy"; did you mean "accuracy"?'
    )
    of_prior = small_study("phantom", prior={"lossy": {"seed_sd": 0.1}})
    assert refusal(parse_study, of_prior, place="s") == (
        's, prior.lossy: unknown metric "lossy"; did you mean "val_loss"?'
    )


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (
            {"better": {}, "than": {"loss": "ce"}},
            "an arm without a level; expected {factor: label, …}, or all; name one",
        ),
        (
            {"better": {"loss": "bce"}, "than": {"loss": "bce"}, "more_at": {"optimizer.lr": 0.1},
             "than_at": {"optimizer.lr": 0.01}},
            "both sides are the same arms; name two different ones",
        ),
        (
            {"better": {"loss": "bce"}, "than": {"loss": "ce"}, "more_at": {"loss": "bce"}, "than_at": {"loss": "ce"}},
            "one factor on both sides of the interaction; expected two factors; name another",
        ),
        (
            {"metric": "change_after_peak", "on": "val_loss", "arm": "all", "above": 0, "margin": 0.1},
            "a change after the peak is on one side of 0 always; name another number",
        ),
        (
            {"better": {"loss": "bce"}, "than": {"loss": "ce"}, "more_at": {"loss": "bce"},
             "than_at": {"optimizer.lr": 0.1}},
            "one factor on both sides of the interaction; expected two factors; name another",
        ),
        ({"best": {"loss": "bce"}}, 'got {"loss": "bce"}; expected one arm of two or more'),
        ({"arm": "all", "above": 72}, "above 72; expected a fraction from 0 to 1; write 80 % as 0.8"),
        (
            {"arm": "all", "above": 0.5, "margin": 2},
            "margin 2; expected a fraction from 0 to 1; write 2 points as 0.02",
        ),
    ],
)  # fmt: skip
def test_claims_that_say_nothing(claim, expected):
    assert message(in_grid=True, **claim) == f"study.yaml, experiments.grid.claims.c: {expected}"


@pytest.mark.parametrize(
    ("assumption", "expected"),
    [
        ({"alternatives": []}, "alternatives: got []; expected a list of one value or more"),
        ({"alternatives": [3]}, "expected alternatives that differ from what is assumed, and from each other"),
        ({"alternatives": [5], "experiments": []}, "experiments: got []; expected a list of experiments"),
    ],
)
def test_assumptions_that_say_nothing(assumption, expected):
    whole = {"path": "epochs", "assumed": 3, "because": "not stated", **assumption}
    assert refusal(parse_study, small_study("phantom", assumptions={"it": whole}), place="s").endswith(expected)


@pytest.mark.parametrize("name", REPORTS)
def test_the_reports_claims_about_test_accuracy_are_primary_and_the_rest_secondary(name):
    claims = load_study(name).claims
    assert all(claim.says for claim in claims)
    primary = {claim.metric for claim in claims if claim.role == "primary"}
    assert primary <= {"accuracy", "train_gap"}
    assert "accuracy" not in {claim.metric for claim in claims if claim.role == "secondary"}
    rows = {"report-a": {"a1", "a2", "a3"}, "report-b": {"b1", "b2", "b3", "b4"}}[name]
    assert {claim.id.partition("-")[0] for claim in claims} == rows


def test_what_a_claim_is_told_in_is_not_hashed():
    one, two = claim_of(better=16, than=4, says="x"), claim_of(better=16, than=4, says="y")
    assert one.canonical() == two.canonical()
    assert one.canonical() != claim_of(better=16, than=4, margin=0.03).canonical()


# --- a file of claims alone


def write(tmp_path, text):
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    return path


def test_a_claims_file(tmp_path):
    path = write(tmp_path, """
margin: {brier: 0.01}
arms: {small: {size: 8}, large: {size: 128}}
claims:
  - {id: a, metric: accuracy, better: large, than: small}
  - {id: b, metric: brier, trend: decreasing}
""")  # fmt: skip
    claims = load_claims(path, ["small", "large"])
    assert [claim.kind for claim in claims] == ["two arms", "trend"]
    assert claims[1].contrasts[0] == pytest.approx({"large": 1.0, "small": -1.0})


def test_a_study_file_will_do(tmp_path):
    claims = load_claims("report-a", ["loss/bce", "loss/ce", "other"])
    assert {claim.experiment for claim in claims} == {"loss", "batch", "rate"}, "the correction counts them all"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("claims: []", "claims.yaml, claims: got []; expected one entry or more"),
        ("claim: 1", 'claims.yaml, claim: unknown key "claim"; did you mean "claims"?'),
        ("metric: 1", "claims.yaml, claims: missing"),
        ("claims: [{id: a, metric: accuracy, better: x, than: b}]", "claims.yaml, claims.a: no arm"),
        ("arms: {x: {f: 1}}\nclaims: [{id: a, metric: accuracy, best: a}]", "claims.yaml, arms.x: no arm x"),
        (
            "claims: [{id: a, metric: accuracy, best: a, experiment: z}]",
            "claims.yaml, claims.a.experiment: no arm begins",
        ),
    ],
)
def test_mistakes_in_a_claims_file(tmp_path, text, expected):
    assert refusal(load_claims, write(tmp_path, text), ["a", "b"]).startswith(expected)


def test_sides_that_are_averaged_over_other_levels_are_confounded(tmp_path):
    arms = {"a8": {"loss": "bce", "b": 8}, "a32": {"loss": "bce", "b": 32}, "c8": {"loss": "ce", "b": 8}}
    path = write(
        tmp_path, f"arms: {arms}\nclaims: [{{id: x, metric: accuracy, better: {{loss: bce}}, than: {{loss: ce}}}}]"
    )
    assert refusal(load_claims, path, list(arms)) == (
        "claims.yaml, claims.x: the sides have other levels of the remaining factors;"
        " expected the same on each; name those levels too"
    )


def test_levels_are_of_every_arm(tmp_path):
    path = write(tmp_path, "arms: {a: {f: 1}}\nclaims: [{id: x, metric: accuracy, trend: increasing}]")
    assert (
        refusal(load_claims, path, ["a", "b"])
        == "claims.yaml, arms: arm b has no levels; expected levels for every arm; add them"
    )


def test_an_arm_is_found_by_its_whole_name_first(tmp_path):
    path = write(tmp_path, "claims: [{id: x, metric: accuracy, better: a, than: f/a}]")
    (claim,) = load_claims(path, ["a", "e/a", "f/a"])
    assert claim.contrasts == ({"a": 1.0, "f/a": -1.0},)
    assert (claim.better_arm, claim.than_arm, claim.experiment) == ("a", "f/a", "")
    # so called where the label alone would be that of several
    assert (claim.first, claim.second) == ("a", "f/a")


def test_a_label_that_several_arms_have_is_not_averaged(tmp_path):
    path = write(tmp_path, "claims: [{id: x, metric: accuracy, better: 1, than: 2}]")
    assert refusal(load_claims, path, ["w/1", "x/1", "y/1", "z/1"]) == (
        "claims.yaml, claims.x: 1 is w/1 and x/1 and y/1; expected one arm; write its whole name, or experiment: NAME"
    )
    assert refusal(load_claims, path, ["x/1", "x/2", "y/1", "y/2"]) == (
        "claims.yaml, claims.x: 1 is x/1 and y/1; expected one arm; write its whole name, or experiment: NAME"
    )


def test_logits_that_no_claim_is_about():
    assert (
        refusal(load_claims, "report-a", ["x"])
        == "report-a: no claim about the arms of the logits; they are x; name arms as there"
    )


def test_how_arms_are_called(tmp_path):
    one = claim_of(in_grid=True, better={"loss": "bce", "optimizer.lr": 0.1}, than="ce,0.1")
    assert (one.first, one.second) == ("loss bce, rate 0.1", "ce,0.1")
    # a label that is a number is told with its factor where there is one alone
    path = write(tmp_path, """
arms: {"8": {loss: bce, size: 8}, "32": {loss: bce, size: 32}}
claims: [{id: x, metric: accuracy, better: 8, than: 32}]
""")  # fmt: skip
    (claim,) = load_claims(path, ["8", "32"])
    assert (claim.first, claim.second) == ("8", "32")


def test_a_slash_in_a_label_is_a_part_of_it():
    raw = small_study("phantom")
    losses = [{"label": "w/o weights", "name": "bce"}, "ce"]
    claim = {"id": "c", "metric": "accuracy", "better": {"loss": "w/o weights"}, "than": {"loss": "ce"}}
    at = {"more_at": {"optimizer.lr": 0.1}, "than_at": {"optimizer.lr": 0.01}}
    whole = {"id": "d", "metric": "accuracy", "better": "w/o weights,0.1", "than": "ce,0.1"}
    raw["experiments"] = {
        "g": {"factors": {"loss": losses, "optimizer.lr": [0.1, 0.01]}, "claims": [{**claim, **at}, whole]}
    }
    both = parse_study(raw, place="s").claims
    assert both[0].first == "loss w/o weights − loss ce at rate 0.1"
    assert both[0].second == "loss w/o weights − loss ce at rate 0.01"
    assert (both[1].first, both[1].better_arm) == ("w/o weights,0.1", "g/w/o weights,0.1")


def test_a_level_that_is_written_out_is_an_arm():
    raw = small_study("phantom")
    levels = [{"label": "quick", "name": "adam", "lr": 0.1}, {"name": "adam", "lr": 0.2}]
    claim = {**CLAIM, "better": {"label": "quick"}, "than": {"name": "adam", "lr": 0.2}}
    raw["experiments"] = {"o": {"factors": {"optimizer": levels}, "claims": [claim]}}
    (found,) = parse_study(raw, place="s").claims
    assert found.contrasts == ({"o/quick": 1.0, "o/adam": -1.0},)
    assert (found.first, found.better_arm, found.than_arm) == ("quick", "o/quick", "o/adam")


def test_an_arm_alone_is_not_the_best(tmp_path):
    path = write(tmp_path, "arms: {a: {size: 1}}\nclaims: [{id: x, metric: accuracy, best: a}]")
    assert refusal(load_claims, path, ["a"]) == 'claims.yaml, claims.x: got "a"; expected one arm of two or more'
    path = write(tmp_path, "arms: {a: {size: 1}}\nclaims: [{id: x, metric: accuracy, arm: a, above: 0.5}]")
    assert load_claims(path, ["a"])[0].contrasts == ({"a": 1.0},)


def test_an_arm_called_none_is_one(tmp_path):
    path = write(tmp_path, "claims: [{id: x, metric: accuracy, better: nonee, than: batch}]")
    assert refusal(load_claims, path, ["none", "batch"]) == (
        'claims.yaml, claims.x: no arm "nonee"; did you mean "none"?'
    )


def test_an_arm_without_levels_is_its_own_level(tmp_path):
    path = write(tmp_path, "claims: [{id: x, metric: accuracy, trend: increasing}]")
    for arms in (["e/8", "e/16"], ["8", "16"]):
        (claim,) = load_claims(path, arms)
        assert claim.contrasts[0] == pytest.approx({arms[0]: -1.0, arms[1]: 1.0})
        assert (claim.first, claim.second) == ("arm 16", "arm 8")
        assert (claim.better_arm, claim.than_arm) == (arms[1], arms[0])
    assert refusal(load_claims, path, ["e/f/8", "e/16"]) == (
        "claims.yaml, claims.x: no trend over f/8, 16 (f/8 is no number); expected levels that are numbers above 0"
    )


def test_numbers_are_written_with_these_ten_digits():
    assert number_of("1e-3") == 0.001
    with pytest.raises(ValueError, match=r"^٣ is no number$"):
        number_of("٣")


def test_a_mistake_inside_a_claim_of_a_file_of_claims(tmp_path):
    path = write(tmp_path, "claims: [{id: x, best: a}]")
    assert refusal(load_claims, path, ["a", "b"]) == "claims.yaml, claims.0.metric: missing; add it"


def test_no_file_can_be_called_so():
    assert refusal(load_claims, "~nobody-is-called-so/x", ["a"]).startswith("--claims: not a usable path (")


def test_an_arm_called_by_its_whole_name():
    whole = claim_of(better="batch/16", than="batch/4")
    assert (whole.first, whole.second) == ("batch size 16", "batch size 4")
    assert (whole.better_arm, whole.than_arm) == ("batch/16", "batch/4")


def test_a_comma_in_the_name_of_a_file_is_a_part_of_it():
    raw = small_study("phantom", margin={"accuracy": 2})
    raw["experiments"]["batch"]["claims"] = [{**CLAIM, "better": 4, "than": 8}]
    assert refusal(parse_study, raw, place="a, b.yaml").startswith("a, b.yaml, margin.accuracy: margin 2; expected")
