"""Before anything trains: what each claim could detect, from the runs that are there, else from what is known."""

import math

import numpy as np
import pytest

from doubleread.analysis import CaseSet, Evidence, Planned, RunScores, planned
from doubleread.stats import detectable, seeds_needed
from doubleread.study import parse_study
from tests.conftest import small_study

SEEDS, NEGATIVE, POSITIVE = 10, 300, 100
TWO = {"better": 4, "than": 8}
GRID = {
    "better": {"loss": "bce"},
    "than": {"loss": "ce"},
    "more_at": {"batch_size": 16},
    "than_at": {"batch_size": 4},
}
MARGIN = 0.05


def study_of(*claims, prior=None):
    """Return a study of ten seeds: three batch sizes, or a grid of them with two losses for an interaction."""
    raw = small_study("phantom", seeds=SEEDS, prior=prior or {})
    factors = {"batch_size": [4, 8, 16]}
    if any("more_at" in claim for claim in claims):
        factors = {"loss": ["bce", "ce"], **factors}
    claims = [{"id": f"c{i}", "margin": MARGIN, **claim} for i, claim in enumerate(claims)]
    raw["experiments"] = {"batch": {"factors": factors, "claims": claims}}
    return parse_study(raw, place="s")


def plan(*claims, prior=None, evidence=None):
    return planned(study_of(*claims, prior=prior), evidence, (NEGATIVE, POSITIVE))


SHARE, HALF, ALONE = "prior, 10 % of images discordant", "prior, and a share of one half", "prior of the seeds alone"


@pytest.mark.parametrize(
    ("claim", "prior", "spread", "case_var", "at_least", "source"),
    [
        ({"metric": "accuracy", **TWO}, {"accuracy": {"seed_sd": 0.03}}, 2 * 0.0009, 0.1 / 400, False, SHARE),
        ({"metric": "balanced_accuracy", **TWO}, {"balanced_accuracy": {"seed_sd": 0.03}},
         2 * 0.0009, 0.1 / 400, False, SHARE),
        ({"metric": "specificity", **TWO}, {"specificity": {"seed_sd": 0.03}}, 2 * 0.0009, 0.1 / 300, False, SHARE),
        ({"metric": "sensitivity", **TWO}, {"sensitivity": {"seed_sd": 0.03}}, 2 * 0.0009, 0.1 / 100, False, SHARE),
        ({"metric": "accuracy", "trend": "increasing"}, {"accuracy": {"seed_sd": 0.03}},
         2 * 0.0009, 0.1 / 400, False, SHARE),
        ({"metric": "accuracy", "best": 16}, {"accuracy": {"seed_sd": 0.03}}, 2 * 0.0009, 0.1 / 400, False, SHARE),
        ({"metric": "accuracy", **GRID}, {"accuracy": {"seed_sd": 0.03}}, 4 * 0.0009, 0.2 / 400, False, SHARE),
        ({"metric": "accuracy", **TWO}, {"accuracy": {"seed_sd": 0.03, "case_sd": 0.02}},
         2 * 0.0009, 0.0004, False, "prior"),
        ({"metric": "accuracy", **GRID}, {"accuracy": {"seed_sd": 0.03, "case_sd": 0.02}},
         4 * 0.0009, 0.0008, False, "prior"),
        ({"metric": "accuracy", "arm": 4, "above": 0.7}, {"accuracy": {"seed_sd": 0.03}},
         0.0009, 1 / 1600, False, HALF),
        # what is known of a difference says nothing of one arm alone
        ({"metric": "accuracy", "arm": 4, "above": 0.7}, {"accuracy": {"seed_sd": 0.03, "case_sd": 0.02}},
         0.0009, 1 / 1600, False, HALF),
        # the mean of three arms: a third of the seeds' chance, all of the images'
        ({"metric": "sensitivity", "arm": "all", "above": 0.7}, {"sensitivity": {"seed_sd": 0.03}},
         0.0003, 1 / 400, False, HALF),
        ({"metric": "auroc", **TWO}, {"auroc": {"seed_sd": 0.03}}, 2 * 0.0009, 0.0, True, ALONE),
        ({"metric": "val_accuracy", **TWO}, {"val_accuracy": {"seed_sd": 0.03}}, 2 * 0.0009, 0.0, True, ALONE),
        ({"metric": "gap", "higher": 4, "than": 8}, {"gap": {"seed_sd": 0.03}}, 2 * 0.0009, 0.0, True, ALONE),
        ({"metric": "train_loss", **TWO}, {"train_loss": {"seed_sd": 0.03}}, 2 * 0.0009, 0.0, False, "prior"),
        ({"metric": "roughness", "on": "val_loss", **TWO}, {"roughness": {"seed_sd": 0.03}},
         2 * 0.0009, 0.0, False, "prior"),
        # what is known of the very curve goes before what is known of all curves
        ({"metric": "roughness", "on": "val_loss", **TWO},
         {"roughness": {"seed_sd": 0.5}, "roughness_val_loss": {"seed_sd": 0.03}}, 2 * 0.0009, 0.0, False, "prior"),
    ],
)  # fmt: skip
def test_what_is_known_before_anything_trains(claim, prior, spread, case_var, at_least, source):
    (found,) = plan(claim, prior=prior)
    assert found == Planned(
        claim=found.claim,
        mdd=pytest.approx(detectable(spread, case_var, SEEDS)),
        at_least=at_least,
        source=source,
        seeds_needed=seeds_needed(spread, case_var, MARGIN),
    )


def test_where_nothing_is_known_nothing_is_said():
    (found,) = plan({"metric": "accuracy", **TWO}, prior={"auroc": {"seed_sd": 0.03}})
    assert math.isnan(found.mdd)
    assert (found.at_least, found.source, found.seeds_needed) == (False, "nothing known", None)


def test_each_role_is_a_family_of_its_own():
    claim, prior = {"metric": "train_loss", **TWO}, {"train_loss": {"seed_sd": 0.03}}
    found = plan(claim, claim, claim, {**claim, "role": "secondary"}, prior=prior)
    three, one = (detectable(2 * 0.0009, 0.0, SEEDS, family) for family in (3, 1))
    assert [planned.mdd for planned in found] == pytest.approx([three, three, three, one])
    assert three > one


CASES = CaseSet(names=("x", "y"), labels_N=np.array([0, 1]), subjects_N=np.arange(2))


def stored(**losses):
    return Evidence(
        RunScores(
            arm=f"batch/{arm[1:]}", seed=seed, collapsed=False, metrics={"train_loss": loss},
            test=(CASES, np.zeros(2)), val=None,
        )
        for arm, values in losses.items()
        for seed, loss in enumerate(values)
    )  # fmt: skip


FOUR, EIGHT, SIXTEEN = (0.1, 0.2, 0.3), (0.4, 0.2, 0.6), (0.5, 0.6, 0.5)


def test_runs_in_the_store_go_before_what_was_thought_beforehand():
    prior = {"train_loss": {"seed_sd": 0.03}}
    (found,) = plan({"metric": "train_loss", **TWO}, prior=prior, evidence=stored(b4=FOUR, b8=EIGHT))
    spread = np.var(np.subtract(FOUR, EIGHT), ddof=1)
    assert (found.source, found.at_least) == ("3 seeds in the store", False)
    assert found.mdd == pytest.approx(detectable(spread, 0.0, SEEDS))
    assert found.seeds_needed == seeds_needed(spread, 0.0, MARGIN)


def test_of_best_of_all_the_comparison_that_varies_most_counts():
    evidence = stored(b4=FOUR, b8=EIGHT, b16=SIXTEEN)
    (found,) = plan({"metric": "train_loss", "best": 4}, evidence=evidence)
    spreads = [np.var(np.subtract(FOUR, rival), ddof=1) for rival in (EIGHT, SIXTEEN)]
    assert found.mdd == pytest.approx(detectable(max(spreads), 0.0, SEEDS))


@pytest.mark.parametrize(
    "evidence",
    [
        stored(b4=FOUR),
        stored(b4=FOUR, b8=EIGHT[:1]),
        stored(b4=FOUR, b8=(math.nan, *EIGHT[1:2])),
    ],
    ids=["an arm without runs", "one seed of an arm", "one seed with a value"],
)
def test_with_fewer_than_two_seeds_of_an_arm_the_store_says_nothing(evidence):
    (found,) = plan({"metric": "train_loss", **TWO}, prior={"train_loss": {"seed_sd": 0.03}}, evidence=evidence)
    assert (found.source, found.mdd) == ("prior", pytest.approx(detectable(2 * 0.0009, 0.0, SEEDS)))
