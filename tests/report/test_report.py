"""Tables that anyone can recompute, figures that stay within their files, a page that works offline."""

import base64
import gzip
import hashlib
import json
import math
import re
import statistics
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats

from doubleread import metrics, report
from doubleread.analysis import best_runs, spread_of
from doubleread.report.figures import embedded, rendered
from doubleread.report.tables import neutralised
from doubleread.stats import CASE_COVARIANCES
from tests.hostile import HOSTILE


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    report.write_tables(result, folder)
    return folder


def test_metrics_can_be_recomputed_from_the_logits(result, folder):
    logits = pd.read_csv(folder / "logits.csv")
    runs = pd.read_csv(folder / "runs.csv")
    assert list(logits.columns) == ["arm", "seed", "case", "subject", "split", "label", "logit"]
    for (arm, seed), rows in logits.groupby(["arm", "seed"]):
        run = runs[(runs.arm == arm) & (runs.seed == seed)].iloc[0]
        for split, prefix in (("test", ""), ("val", "val_")):
            part = rows[rows.split == split]
            for name, metric in metrics.CASE_METRICS.items():
                value = metric(part.label.to_numpy(), part.logit.to_numpy(dtype=np.float32))
                assert run[prefix + name] == pytest.approx(value, nan_ok=True), (arm, seed, name)


def test_arms_are_mean_and_sd_of_the_runs(result, folder):
    arms = pd.read_csv(folder / "arms.csv")
    runs = pd.read_csv(folder / "runs.csv")
    row = arms[(arms.arm == "loss/bce") & (arms.metric == "accuracy")].iloc[0]
    values = runs[runs.arm == "loss/bce"].accuracy.tolist()
    assert row["mean"] == pytest.approx(statistics.fmean(values))
    assert row.sd == pytest.approx(statistics.stdev(values))
    assert row.reported == 0.75
    assert [row.seed_0, row.seed_1, row.seed_2] == values


def test_curves_hold_every_epoch(result, folder):
    curves = pd.read_csv(folder / "curves.csv")
    assert curves[curves.arm == "batch/4"].groupby("seed").epoch.apply(list).tolist() == [[1, 2, 3]] * 3


def test_json_holds_what_csv_holds(folder):
    for name in ("arms", "runs", "curves", "data", "assumptions", "contradictions"):
        rows = json.loads((folder / f"{name}.json").read_text())
        table = pd.read_csv(folder / f"{name}.csv")
        assert len(rows) == len(table)
        assert list(rows[0]) == list(table.columns)


def test_data_and_assumptions_are_tables_too(folder):
    data = pd.read_csv(folder / "data.csv")
    assert data.groupby("split").cases.sum().to_dict() == {"test": 20, "train": 36, "val": 12}
    assumptions = pd.read_csv(folder / "assumptions.csv")
    assert assumptions.values.tolist() == [["epochs", 3, "[10]", "not stated"]]
    assert pd.read_csv(folder / "contradictions.csv").about.tolist() == ["a <b>thing</b>"]


def test_formulas_are_neutralised(result, folder):
    assert ",=<script>" not in (folder / "logits.csv").read_text()
    table = neutralised(pd.DataFrame({"a": ["=1+1", "-2", "fine"], "b": [-1.0, 2.0, 3.0]}))
    assert table.a.tolist() == ["'=1+1", "'-2", "fine"]
    assert table.b.tolist() == [-1.0, 2.0, 3.0]


def test_arms_of_the_json(result):
    arms = {arm["arm"]: arm for arm in report.arms_json(result)}
    bce = arms["loss/bce"]
    assert (bce["experiment"], bce["levels"], bce["seeds"]) == ("loss", {"loss": "bce"}, [0, 1, 2])
    assert bce["metrics"]["accuracy"]["reported"] == 0.75
    assert bce["metrics"]["auroc"]["reported"] is None
    assert arms["rate/1e-09"]["health"]["collapsed"] == 3
    assert arms["divergence/1e+38"]["health"]["diverged"] == 3
    assert arms["divergence/1e+38"]["metrics"] == {}
    json.dumps(list(arms.values()), allow_nan=False)


def test_intervals_count_seeds_and_cases(result):
    arm = result.of("batch/4")
    brier, seconds = arm.spreads["brier"], arm.spreads["seconds"]
    expected = stats.t.interval(0.95, 2, statistics.fmean(seconds.values), stats.sem(seconds.values))
    assert (seconds.lo, seconds.hi) == pytest.approx(expected)
    cov = CASE_COVARIANCES["brier"](
        np.stack([run.logits.test for run in arm.done]),
        arm.done[0].data.labels[arm.done[0].logits.test_rows],
        np.arange(20),
    )
    both = math.sqrt(stats.sem(brier.values) ** 2 + max(0, cov[~np.eye(3, dtype=bool)].mean()))
    assert brier.hi - brier.lo >= 2 * 1.959 * both
    assert brier.predicted_lo < brier.lo < brier.mean < brier.hi < brier.predicted_hi
    found = next(a for a in report.arms_json(result) if a["arm"] == "batch/4")["metrics"]["brier"]
    assert (found["lo"], found["predicted_hi"]) == (brier.lo, brier.predicted_hi)


def test_a_recipe_in_two_experiments_has_equal_numbers(result):
    assert result.of("loss/bce").spreads == result.of("batch/8").spreads
    assert result.counts()["done"] == 5 * 3
    assert result.counts()["diverged"] == 3


def test_the_best_run_of_an_arm_has_the_highest_validation_auroc(result):
    chosen = best_runs(result)
    for arm in result.arms:
        if arm.done:
            best = max(run.metrics["val_auroc"] for run in arm.done)
            assert any(run.run_id in chosen and run.metrics["val_auroc"] == best for run in arm.done)
    assert len(chosen) == 5


def test_spread():
    assert spread_of([0.1, 0.1, 0.1]).sd == pytest.approx(0.0, abs=1e-17)
    assert math.isnan(spread_of([0.4]).sd)
    assert spread_of([1.0, 2.0]).mean == 1.5


def test_figures_are_written_in_three_formats_and_are_stable(result, tmp_path):
    names = sorted(path.name for path in report.save_figures(result, tmp_path / "a"))
    wanted = ["arms-accuracy", "curves-batch", "curves-divergence", "curves-loss", "curves-rate"]
    wanted += ["gap", "reliability", "roc-batch", "roc-loss", "roc-rate"]
    assert names == sorted(f"{name}.{kind}" for name in wanted for kind in ("png", "svg", "pdf"))
    report.save_figures(result, tmp_path / "b")
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    with Image.open(tmp_path / "a" / "curves-batch.png") as image:
        colours = image.convert("RGB").resize((300, 300)).getcolors(100000)
    blue = sum(n for n, (r, _, b) in colours if b > r + 60)
    orange = sum(n for n, (r, _, b) in colours if r > b + 60)
    assert blue > 50
    assert orange > 50


def test_a_figure_in_a_page_is_small_and_says_the_same():
    figure = Figure()
    axes = figure.subplots()
    axes.plot(np.linspace(0, 1, 300), np.random.default_rng(0).normal(size=300))
    axes.set_title("rate/0.0012345")
    inside = base64.b64decode(embedded(figure))
    assert b"rate/0.0012345" in inside
    assert len(inside) < 0.7 * len(rendered(figure, "svg"))


class Links(HTMLParser):
    """Collects what a page would load, and its scripts."""

    def __init__(self):
        super().__init__()
        self.loads, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset")]


@pytest.fixture(scope="module")
def html(result):
    return report.page([result, result])


def test_the_page_loads_nothing(html):
    links = Links()
    links.feed(html)
    assert all(value.startswith(("data:image/", "#")) for value in links.loads)
    assert "default-src &#39;none&#39;" in html


def test_the_page_runs_its_own_script_and_the_library_alone(html):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)[1].replace("&#39;", "'")
    allowed = re.search(r"script-src ([^;]+)", policy)[1].split()
    scripts = re.findall(r"<script>(.*?)</script>", html, re.S)
    packed = dict(re.findall(r'<script type="text/plain" id="([\w-]+)">(.*?)</script>', html, re.S))
    library = gzip.decompress(base64.b64decode(packed["packed-library"])).decode()
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in (*scripts, library)]
    assert allowed == [f"'sha256-{found}'" for found in hashes]
    assert "plotly.js v" in library[:200]
    json.loads(gzip.decompress(base64.b64decode(packed["packed-numbers"])))
    assert html.count(packed["packed-library"]) == 1


def test_the_page_escapes_names(html):
    assert HOSTILE.replace("/", "∕") not in html
    assert "=&lt;script&gt;alert(1)" in html
    assert "a &lt;b&gt;thing&lt;/b&gt;" in html


def test_the_page_says_what_must_be_said(html):
    for text in (
        "For research and teaching only. Not a medical device",
        "reported 75.00 %",
        "3 of 3 collapsed",
        "3 diverged",
        "the loss is",
        "not stated",
        "internal test",
        "one process, 1 thread, cpu, fp32, ",
    ):
        assert text in html, text


def test_the_page_holds_no_path_of_this_machine(html, hostile_folder):
    assert str(hostile_folder) not in html
    assert str(hostile_folder.parent) not in html


def test_the_page_is_small(html):
    assert len(html.encode()) < 5 * 2**20


def test_a_reported_number_stands_beside_what_one_more_run_would_give(result):
    spread = result.of("loss/bce").spreads["accuracy"]
    page = report.page([result])
    said = re.search(r"reported 75\.00 %<br>(within|outside) (−?[\d.]+) to (−?[\d.]+) %", page)
    assert said is not None
    lo, hi = (float(text.replace("−", "-")) / 100 for text in said.groups()[1:])
    expected = (max(0.0, spread.predicted_lo), min(1.0, spread.predicted_hi))
    assert (lo, hi) == pytest.approx(expected, abs=5e-5)
    assert said[1] == ("within" if expected[0] <= 0.75 <= expected[1] else "outside")
