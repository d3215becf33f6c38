"""`seeds: {min, max, until: decided}`: seeds are added where a claim is open, and nowhere else."""

import numpy as np
import pytest

from doubleread import api
from doubleread.analysis import Evidence, arms_that_go_on, judge_at_looks, judge_claims
from doubleread.analysis.evidence import CaseSet, RunScores
from doubleread.analysis.looking import looks_taken
from doubleread.errors import UserError
from doubleread.nouns import State
from doubleread.runner import Silent
from doubleread.stats import Looks, Verdict, look_seeds
from doubleread.study import Plan, limited, parse_study
from tests.conftest import small_study

LOOKS = Looks(look_seeds(6, 30))
CASES = CaseSet(names=tuple(f"t{i}" for i in range(200)), labels_N=np.arange(200) % 2, subjects_N=np.arange(200))


def study_of(claims, **changes):
    raw = small_study("phantom", seeds={"min": 6, "max": 30, "until": "decided"}, **changes)
    raw["experiments"] = {"batch": {"factors": {"batch_size": [4, 8, 16]}, "claims": claims}}
    return parse_study(raw, place="study.yaml")


def run_of(arm: str, seed: int, gain: float, noise: float) -> RunScores:
    """A run whose training loss is what a claim is about: it depends on no cases, so only seeds matter."""
    value = gain + noise * np.random.default_rng([seed, len(arm), int(1000 * gain) % 97]).normal()
    logits = np.where(CASES.labels_N == 1, 1.0, -1.0)
    return RunScores(arm=arm, seed=seed, collapsed=False, metrics={"train_loss": value}, test=(CASES, logits), val=None)


def evidence_of(gains: dict[str, float], seeds: int, noise: float = 0.1) -> Evidence:
    return Evidence(run_of(f"batch/{arm}", seed, gain, noise) for arm, gain in gains.items() for seed in range(seeds))


def lower(first, than, margin=0.05):
    return {"id": f"{first}-{than}", "metric": "train_loss", "lower": first, "than": than, "margin": margin}


def test_a_claim_is_decided_at_the_first_look_that_decides_it_and_stays_so():
    claims = study_of([lower(4, 8), lower(8, 16)]).claims
    evidence = evidence_of({"4": 0.0, "8": 1.0, "16": 1.03}, 30)
    found = {result.claim.id: result for result in judge_at_looks(claims, evidence, LOOKS, 5)}
    clear = found["4-8"]
    assert (clear.verdict, clear.look.number, clear.look.seeds, len(clear.seeds)) == (Verdict.SUPPORTED, 1, 6, 6)
    alone = next(r for r in judge_claims(claims, evidence.up_to(6), LOOKS) if r.claim.id == "4-8")
    assert clear.estimate == alone.estimate
    assert found["8-16"].look.number > 1
    assert found["8-16"].estimate.value == pytest.approx(
        np.mean([evidence.runs["batch/8", s].metrics["train_loss"] - evidence.runs["batch/16", s].metrics["train_loss"]
                 for s in found["8-16"].seeds])
    )  # fmt: skip


def test_only_the_arms_of_open_claims_go_on_together():
    claims = study_of([lower(4, 8), lower(8, 16)]).claims
    evidence = evidence_of({"4": 0.0, "8": 3.0, "16": 3.01}, 6, noise=0.4)
    found = judge_at_looks(claims, evidence, LOOKS, 1)
    assert {r.claim.id: r.verdict for r in found} == {"4-8": Verdict.SUPPORTED, "8-16": Verdict.UNDECIDED}
    assert arms_that_go_on(found) == {"batch/8", "batch/16"}


def test_intervals_are_as_wide_as_the_looks_make_them():
    claims = study_of([lower(4, 8)]).claims
    evidence = evidence_of({"4": 0.0, "8": 0.05}, 6)
    (plain,), (looked,) = judge_claims(claims, evidence), judge_at_looks(claims, evidence, LOOKS, 1)
    assert looked.estimate.hi - looked.estimate.lo > 1.2 * (plain.estimate.hi - plain.estimate.lo)
    assert looked.decision.p == plain.decision.p
    assert looked.decision.p_holm == pytest.approx(LOOKS.both_sides(plain.decision.p))


def test_which_looks_have_been_taken():
    done = {("a", seed): State.DONE for seed in range(6)}
    assert looks_taken(LOOKS, done) == 1
    growing = {**done, **{("a", seed): State.DONE for seed in (6, 7)}, ("a", 8): State.RUNNING}
    assert looks_taken(LOOKS, growing) == 1
    assert looks_taken(LOOKS, {**growing, ("a", 8): State.DIVERGED}) == 2
    assert looks_taken(LOOKS, {("a", 0): State.PLANNED}) == 1


class Heard(Silent):
    def __init__(self):
        self.remarks = []

    def remark(self, text):
        self.remarks.append(text)


@pytest.fixture(scope="module")
def grown(image_folder, tmp_path_factory):
    """A study that has been run until it was decided, with what it said meanwhile."""
    raw = small_study(image_folder, seeds={"min": 6, "max": 12, "until": "decided"}, margin={"train_loss": 0.3})
    raw["base"] = {**raw["base"], "epochs": 8, "model": {"name": "mlp", "hidden": [16]}}
    raw["data"] = {**raw["data"], "intensity": "image", "image_size": 16}
    raw["experiments"] = {
        "rate": {
            "factors": {"optimizer.lr": [1e-3, 1e-2]},
            "claims": [{"id": "learns", "metric": "train_loss", "lower": 1e-2, "than": 1e-3}],
        },
        "batch": {
            "factors": {"batch_size": [4, 5]},
            "claims": [{"id": "open", "metric": "train_loss", "lower": 4, "than": 5, "margin": 0.0005}],
        },
    }
    study, store, show = parse_study(raw, place="study.yaml"), tmp_path_factory.mktemp("grown") / "runs", Heard()
    counts = api.train(study, store, show=show)
    return study, store, show, counts


def test_seeds_are_added_where_a_claim_is_open(grown):
    study, store, show, counts = grown
    results = api.open_results(study, store=store)
    seeds = {arm.arm.name: len(arm.done) for arm in results.result.arms}
    assert seeds == {"rate/0.001": 6, "rate/0.01": 6, "batch/4": 12, "batch/5": 12}
    found = {result.claim.id: result for result in results.result.claims}
    assert (found["learns"].verdict, found["learns"].look.seeds) == (Verdict.SUPPORTED, 6)
    assert found["open"].verdict is Verdict.UNDECIDED
    assert (found["open"].look.number, found["open"].look.of) == (5, 5)
    said = [text for text in show.remarks if text.startswith("look ")]
    assert said[0] == "look 1 of 5, 6 seeds: 1 supported, 1 undecided; 2 arms go on to 7 seeds"
    assert said[-1] == "look 5 of 5, 12 seeds: 1 supported, 1 undecided; these are all the seeds it may have"
    assert (counts.planned, counts.done, counts.reused) == (36, 36, 0)


def test_run_again_nothing_is_trained_and_the_same_is_said(grown):
    study, store, show, _ = grown
    again = Heard()
    counts = api.train(study, store, show=again)
    assert (counts.done, counts.reused) == (36, 36)
    assert [t for t in again.remarks if t.startswith("look ")] == [t for t in show.remarks if t.startswith("look ")]


def test_the_report_says_when_it_was_decided(grown, tmp_path):
    study, store, _, _ = grown
    results = api.open_results(study, store=store)
    page = results.save_report(tmp_path / "report.html").read_text()
    for text in (
        "6 to 12 an arm, until its claims are decided; looks at 6, 7, 8, 10, 12",
        "Decided at look 1 of 5, with 6 seeds an arm; its p and its interval are corrected for looking.",
        "Open after the last look, with 12 seeds an arm",
        "for looking at the study while it grew",
    ):
        assert text in page, text
    looks = results.claims().set_index("id")["look"]
    assert looks["learns"] == "number 1; of 5; seeds 6; helps False"


def test_a_plan_is_limited_arm_by_arm():
    class Run:
        def __init__(self, run_id):
            self.run_id = run_id

    runs = tuple(Run(f"{arm}{seed}") for seed in range(4) for arm in "ab")
    run_of = {(arm, seed): f"{arm}{seed}" for arm in "ab" for seed in range(4)}
    run_of |= {("a@by-group", 3): "t3", ("a@x=1", 0): "v0"}
    plan = Plan(study=None, runs=(*runs, Run("t3"), Run("v0")), run_of=run_of)
    found = limited(plan, {"a": 2, "b": 4})
    assert {run.run_id for run in found.runs} == {"a0", "a1", "b0", "b1", "b2", "b3", "v0"}
    assert set(found.run_of) == {("a", 0), ("a", 1), ("a@x=1", 0), *(("b", seed) for seed in range(4))}


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ({"min": 5, "max": 9, "until": "decided"}, "study.yaml, seeds.min: got 5; expected a whole number ≥ 6"),
        ({"min": 6, "max": 6, "until": "decided"}, "expected a max above min, 6"),
        ({"min": 6, "max": 9}, "study.yaml, seeds.until: missing; add it"),
        ({"min": 6, "max": 9, "until": "bored"}, 'study.yaml, seeds.until: got "bored"; expected decided'),
    ],
)
def test_mistakes(seeds, expected):
    raw = small_study("phantom", seeds=seeds)
    with pytest.raises(UserError) as error:
        parse_study(raw, place="study.yaml")
    assert expected in str(error.value)


def test_there_must_be_something_to_decide_that_may_be_looked_at():
    with pytest.raises(UserError) as error:
        study_of([])
    assert str(error.value) == (
        "study.yaml, seeds.until: there is no claim to be decided; expected a number of seeds; or add a claim"
    )
    on_test = {"id": "t", "metric": "accuracy", "better": 4, "than": 8}
    with pytest.raises(UserError) as error:
        study_of([on_test], test="sealed")
    assert str(error.value) == (
        "study.yaml, seeds.until: t is decided by the test images, which are sealed; expected a number of seeds;"
        " or claims about validation"
    )
    assert study_of([{**on_test, "metric": "val_accuracy", "margin": 0.02}], test="sealed").looks == LOOKS
    assert study_of([on_test]).seeds == tuple(range(30))
