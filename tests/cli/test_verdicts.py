"""`single`, `judge`, and claims in `run`, `check` and `report`, as a user calls them."""

import json
import subprocess
import sys

import pandas as pd
import pytest

import doubleread as dr
from doubleread.report.claims import COLUMNS
from tests.conftest import small_study

DESIGN = [
    "id", "role", "experiment", "kind", "metric", "better_arm", "than_arm", "estimate", "gain", "lo", "hi", "p",
    "p_holm", "df", "seed_var", "case_var", "mdd", "seeds_needed", "verdict", "qualifier", "sentence",
]  # fmt: skip
CLAIMS = [
    {"id": "eight-beats-four", "metric": "accuracy", "better": 8, "than": 4},
    {"id": "trend", "metric": "auroc", "trend": "increasing"},
    {"id": "smoother", "metric": "roughness", "on": "train_loss", "lower": 8, "than": 4, "role": "secondary"},
]


@pytest.fixture(scope="module")
def store(image_folder, tmp_path_factory):
    """Six seeds of two batch sizes with claims, and alternatives of an assumption, trained through the interface."""
    root = tmp_path_factory.mktemp("verdicts")
    raw = small_study(image_folder, seeds=6, margin={"roughness": 0.01})
    raw["experiments"] = {"batch": {"factors": {"batch_size": [4, 8]}, "claims": CLAIMS}}
    raw["assumptions"] = {
        "epochs": {"path": "epochs", "assumed": 3, "alternatives": [2], "because": "not stated"},
        "rate": {"path": "optimizer.lr", "assumed": 1e-2, "alternatives": [1e-9], "because": "not stated"},
    }
    (root / "study.yaml").write_text(json.dumps(raw))
    dr.run(root / "study.yaml", store=root / "runs", assumptions=True, progress=False)
    return root


# --- single


def test_single_prints_what_one_run_each_can_show(call):
    code, out, err = call("single", "291/400", "278/400")
    assert (code, err) == (0, "")
    assert "291/400 right: 72.75 %, 95 % interval 68.19 to 76.88 % (Wilson)" in out
    assert "p = 0.31" in out
    assert "only if 37 of them or fewer are discordant" in out
    assert "about 165 if the errors are independent" in out
    assert "another seed" in out


def test_single_json(call):
    code, out, _ = call("single", "72.75%/400", "278/400", "290/400", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["runs"][0] == {
        "run": "291/400", "accuracy": 0.7275, "lo": pytest.approx(0.681857, abs=5e-7),
        "hi": pytest.approx(0.768815, abs=5e-7), "fits": None,
    }  # fmt: skip
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [
        ("291/400", "278/400"), ("291/400", "290/400"), ("278/400", "290/400"),
    ]  # fmt: skip
    assert found["pairs"][0]["largest_discordant"] == 37
    assert found["pairs"][1]["largest_discordant"] is None


def test_single_of_different_test_sets_is_not_paired(call):
    _, out, _ = call("single", "291/400", "500/624")
    assert "400 and 624 images are not one test set" in out
    assert "McNemar" not in out


EXPECTED = "expected RIGHT/IMAGES, such as 291/400, or PERCENT%/IMAGES, such as 72.75%/400"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", f"single x: no count of images; {EXPECTED}"),
        ("401/400", f"single 401/400: more right than images; {EXPECTED}; did you mean 400/401?"),
        ("3/0", "single 3/0: 0 images; expected 1 to 100,000; check the second number"),
        ("72.76%/400", f"single 72.76%/400: 72.76 % of 400 is 291.04 images; {EXPECTED}; check both"),
    ],
)
def test_single_says_what_is_wrong(call, text, message):
    code, out, err = call("single", text)
    assert (code, out, err) == (2, "", f"doubleread: {message}\n")


def test_single_and_judge_load_no_torch(store):
    for arguments in (["single", "291/400", "278/400"], ["judge", "x.csv", "--claims", "y"]):
        code = (
            f"import sys; sys.argv = ['doubleread', *{arguments!r}]\nfrom doubleread.cli import main\n"
            "try: main()\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "False"


# --- report


def test_report_shows_the_claims_first(call, store):
    code, out, _ = call("report", "small", "--store", store / "runs")
    assert code == 0
    assert out.index("test accuracy is higher with batch size 8 than with batch size 4") < out.index("Secondary claims")
    assert out.index("Secondary claims") < out.index("val. accuracy")
    assert "settings, the assumed one among them" in out


def test_report_json_has_the_claims(call, store):
    _, out, _ = call("report", "small", "--store", store / "runs", "--json")
    claims = json.loads(out)["claims"]
    assert [claim["id"] for claim in claims] == ["eight-beats-four", "trend", "smoother"]
    assert list(claims[0])[: len(DESIGN)] == DESIGN
    assert tuple(claims[0]) == COLUMNS
    first = claims[0]
    assert (first["better_arm"], first["than_arm"], first["kind"]) == ("batch/8", "batch/4", "two arms")
    assert first["gain"] == first["estimate"]
    assert first["lo"] <= first["estimate"] <= first["hi"]
    assert first["verdict"] in ("supported", "contradicted", "not supported", "undecided")
    assert claims[2]["case_var"] == 0
    assert {s["assumption"] for s in first["settings"]} == {"epochs", "rate"}


def test_tables_and_dataframe_hold_the_claims(store, tmp_path):
    results = dr.open_results("small", store=store / "runs")
    frame = results.claims()
    assert list(frame.columns) == list(COLUMNS)
    results.save_tables(tmp_path)
    kept = pd.read_csv(tmp_path / "claims.csv")
    assert kept.estimate.tolist() == pytest.approx(frame.estimate.tolist())
    assert results.plot_claims().axes


def test_a_setting_in_which_the_runs_are_others_is_judged_by_its_own_runs(store):
    result = dr.open_results("small", store=store / "runs").result
    assert [setting.variant.label for setting in result.settings] == ["epochs=2", "rate=1e-09"]
    frozen = result.settings[1].claims[0]
    assert frozen.claim.id == "eight-beats-four"
    assert frozen.estimate.value != result.claims[0].estimate.value
    untouched = dr.run(store / "study.yaml", store=store / "runs", progress=False)
    assert untouched.counts.done == untouched.counts.reused
    assert len(untouched.result.settings) == 2, "a run without --assumptions keeps what is trained"


def test_without_assumptions_there_is_nothing_to_vary(call, image_folder, tmp_path):
    path = tmp_path / "plain.yaml"
    path.write_text(json.dumps({**small_study(image_folder), "assumptions": {}}))
    code, _, err = call("run", path, "--assumptions", "--store", tmp_path / "runs")
    assert code == 2
    assert "plain.yaml, assumptions: there is none to vary; leave out --assumptions" in err


# --- judge


def test_judge_gives_the_verdicts_of_the_report(call, store, tmp_path):
    results = dr.open_results("small", store=store / "runs")
    results.save_tables(tmp_path)
    code, out, _ = call("judge", tmp_path / "logits.csv", "--claims", store / "study.yaml", "--json")
    assert code == 0
    judged = {claim["id"]: claim for claim in json.loads(out)["claims"]}
    for claim in json.loads(results.claims().to_json(orient="records"))[:2]:
        mine = judged[claim["id"]]
        for key in ("estimate", "lo", "hi", "p", "p_holm", "df", "seed_var", "case_var", "mdd"):
            assert mine[key] == pytest.approx(claim[key], rel=1e-6), key
        assert mine["verdict"] == claim["verdict"]
    assert judged["smoother"]["verdict"] == "undecided", "no curve is in a file of logits"


def test_judge_anyones_logits(call, tmp_path):
    rows = [
        {"arm": arm, "seed": seed, "case": f"c{case}", "label": case % 2,
         "logit": (2 * (case % 2) - 1) * skill + ((case * 7 + seed * 13) % 11 - 5) / 5}
        for arm, skill in (("new", 1.0), ("old", 0.2)) for seed in range(6) for case in range(60)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "l.csv", index=False)
    (tmp_path / "c.yaml").write_text("claims: [{id: a, metric: accuracy, better: new, than: old}]")
    code, out, _ = call("judge", tmp_path / "l.csv", "--claims", tmp_path / "c.yaml")
    assert code == 0
    assert "SUPPORTED  test accuracy is higher with new than with old" in out
    assert "Why test differs" not in out, "there is no validation in the file"
    frame = dr.judge(tmp_path / "l.csv", tmp_path / "c.yaml").claims()
    assert frame.verdict.tolist() == ["supported"]


def test_judge_shows_the_gap_where_validation_is_in_the_file(call, store, tmp_path):
    results = dr.open_results("small", store=store / "runs")
    results.save_tables(tmp_path)
    code, out, _ = call("judge", tmp_path / "logits.csv", "--claims", store / "study.yaml", "--json")
    gaps = {entry["arm"]: entry for entry in json.loads(out)["gap"]}
    assert code == 0
    assert list(gaps) == ["batch/4", "batch/8", None]
    for row in results.gap().itertuples():
        mine = gaps[None if row.arm == "mean of the arms" else row.arm]
        for part in ("gap", "prevalence", "threshold", "ranking"):
            assert mine[part]["value"] == pytest.approx(getattr(row, part), abs=1e-9), part
            assert mine[part]["lo"] == pytest.approx(getattr(row, f"{part}_lo"), abs=1e-9), part
        assert mine["leakage"] is None
    code, out, _ = call("judge", tmp_path / "logits.csv", "--claims", store / "study.yaml")
    assert "Why test differs from validation" in out
    assert dr.judge(tmp_path / "logits.csv", store / "study.yaml").gap().arm.tolist() == results.gap().arm.tolist()


COLUMNS_TEXT = "expected the columns arm, seed, case, label, logit and, where known, subject and split"
HEAD = "arm,seed,case,label,logit\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "arm,seed,case,label\na,0,x,1\n",
            f": no column logit; it has arm, seed, case, label; {COLUMNS_TEXT}; name the columns so, with commas",
        ),
        ("arm,seed,case,label,label,logit\n", f": two columns label; {COLUMNS_TEXT}; delete one"),
        (HEAD, f": no rows; {COLUMNS_TEXT}; check the file"),
        (HEAD + "a,0,x,2,0.5\n", ', line 2: label "2"; expected 0 or 1; mend the line'),
        (HEAD + "a,0,x,1,high\n", ', line 2: logit "high"; expected a finite number; mend the line'),
        (HEAD + "a,0,x,1,inf\n", ', line 2: logit "inf"; expected a finite number; mend the line'),
        (HEAD + "\na,0.5,x,1,1\n", ', line 3: seed "0.5"; expected a whole number; mend the line'),
        (HEAD + "a,1e300,x,1,1\n", ', line 2: seed "1e300"; expected a whole number; mend the line'),
        (HEAD + "a,0,x,1\n", ", line 2: 4 cells; expected 5, as in the first line; mend the line"),
        (HEAD + "a ,0,x,1,1\n", ', line 2: arm "a "; expected a text without spaces around it; mend the line'),
        (HEAD + "a\x1b[31m,0,x,1,1\n", "; expected a text without spaces around it; mend the line"),
        (
            HEAD + "a,0,x,1,1\na,0,x,1,2\n",
            ", line 3: case x stands twice for arm a, seed 0; expected each case once in a run; delete one",
        ),
        (
            HEAD + "a,0,x,1,1\na,1,x,0,2\n",
            ", line 3: case x has another label, subject or split than above; expected the same in every run;"
            " mend one of them",
        ),
        (
            HEAD + "a,0,x,1,1\na,0,y,0,1\na,1,x,1,2\n",
            ": arm a, seed 1 lacks the test case y; expected the same test cases in every run;"
            " add it, or leave it out of all",
        ),
        (
            "arm,seed,case,label,logit,split\na,0,x,1,1,val\n",
            ": arm a, seed 0 has no test case; expected split test in some of its rows; check split",
        ),
        (
            "arm,seed,case,label,logit,split\na,0,x,1,1,Test\n",
            ', line 2: split "Test"; expected train, val, test; mend the line',
        ),
    ],
)
def test_judge_says_what_is_wrong(call, tmp_path, text, message):
    (tmp_path / "l.csv").write_text(text)
    code, _, err = call("judge", tmp_path / "l.csv", "--claims", "report-a")
    assert code == 2
    assert err.rstrip().endswith(message)


def test_judge_of_files_that_are_not_there(call, tmp_path):
    code, _, err = call("judge", tmp_path / "no.csv", "--claims", "x")
    assert code == 2
    assert err.endswith("no.csv: no such file; expected a CSV of logits; check the path\n")


# --- before and after the first run


def test_check_prints_the_detectable_difference(call, store, image_folder, tmp_path):
    _, out, _ = call("check", store / "study.yaml", "--store", store / "runs", "--json")
    claims = {claim["id"]: claim for claim in json.loads(out)["claims"]}
    assert claims["trend"]["source"] == "6 seeds in the store"
    reported = dr.open_results("small", store=store / "runs").claims().set_index("id")
    assert claims["trend"]["mdd"] == pytest.approx(reported.mdd["trend"])
    _, more, _ = call("check", store / "study.yaml", "--store", store / "runs", "--seeds", 24, "--json")
    assert json.loads(more)["claims"][1]["mdd"] < claims["trend"]["mdd"]
    raw = json.loads((store / "study.yaml").read_text())
    raw["prior"] = {"accuracy": {"seed_sd": 0.03}, "auroc": {"seed_sd": 0.02, "case_sd": 0.01}}
    (tmp_path / "prior.yaml").write_text(json.dumps(raw))
    code, out, _ = call("check", tmp_path / "prior.yaml", "--store", tmp_path / "none")
    assert code == 0
    assert "prior, 10 % of images discordant" in out
    assert "nothing known: give prior: {METRIC: {seed_sd: NUMBER}} in the study, or train two seeds first" in out


def test_arms_are_shown_by_what_primary_claims_are_about(store, tmp_path):
    written = dr.open_results("small", store=store / "runs").save_figures(tmp_path / "figures")
    assert {path.stem for path in written if path.stem.startswith("arms-")} == {"arms-accuracy", "arms-auroc"}


def test_claims_edited_after_the_first_run_are_named(call, store, tmp_path):
    kept = dr.open_results("small", store=store / "runs").result.registration
    assert (kept.edited, kept.done_before) == (False, 0)
    raw = json.loads((store / "study.yaml").read_text())
    raw["experiments"]["batch"]["claims"] = [
        {**CLAIMS[0], "margin": 0.01}, {**CLAIMS[2]}, {"id": "new", "metric": "accuracy", "best": 8},
    ]  # fmt: skip
    edited = tmp_path / "study.yaml"
    edited.write_text(json.dumps(raw))
    kept = dr.open_results(dr.load_study(edited), store=store / "runs").result.registration
    assert (kept.added, kept.removed, kept.changed) == (
        ("new",),
        ("trend",),
        {"eight-beats-four": ("margin 0.02 → 0.01",)},
    )
    code, out, _ = call("report", edited, "--store", store / "runs", "--html", tmp_path / "r.html")
    assert code == 0
    assert "new added; trend removed; eight-beats-four changed (margin 0.02 → 0.01)" in out
    assert "eight-beats-four was changed: margin 0.02 → 0.01." in (tmp_path / "r.html").read_text()


def test_the_page_opens_with_the_verdicts(call, store, tmp_path):
    call("report", "small", "--store", store / "runs", "--html", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert page.index('class="card') < page.index("Forest plot") < page.index("On the test images")
    assert "before any run had finished, and read the same today" in page
    assert "Secondary claims" in page
