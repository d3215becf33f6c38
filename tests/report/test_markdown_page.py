"""A study as a page of Markdown: every verdict and number of the report, nothing that a name could inject."""

import re

from markdown import markdown

from doubleread import report
from doubleread.report.claims import claim_title, estimate_text
from doubleread.report.hidden import hidden_by_one_run
from doubleread.report.sentences import sentence
from tests.hostile import HOSTILE


def rendered(page: str) -> str:
    return markdown(page, extensions=["tables"])


def test_the_page_and_its_figures(judged, tmp_path):
    files = report.write_markdown(judged, tmp_path)
    page = (tmp_path / "small.md").read_text()
    assert files[0] == tmp_path / "small.md"
    assert sorted(re.findall(r"\]\(([^)]+\.png)\)", page)) == sorted(path.name for path in files[1:])
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files[1:])
    again = report.markdown_page(judged)
    assert again == page, "the same numbers give the same page"


def test_every_claim_stands_there_with_its_verdict_and_its_words(judged):
    page = report.markdown_page(judged)
    for claim in judged.claims:
        line = next(line for line in page.splitlines() if line.startswith(f"| {claim_title(claim)}"))
        assert f"**{claim.verdict.value}**" in line
        assert estimate_text(claim) in line
        assert sentence(claim) in page


def test_reported_numbers_stand_beside_the_measured(judged):
    page = report.markdown_page(judged)
    arms = {arm.arm.label: arm for arm in judged.arms if arm.arm.experiment == "loss"}
    for label, told in (("bce", "75.00 %"), ("ce", "50.00 %")):
        spread = arms[label].spreads["accuracy"]
        line = next(line for line in page.splitlines() if line.startswith(f"| {label} | {told}"))
        assert f"| {100 * spread.mean:.2f} ± {100 * spread.sd:.2f} % |" in line
        within = spread.predicted_lo <= float(told[:5]) / 100 <= spread.predicted_hi
        assert f"| {'within' if within else 'outside'} |" in line


def test_what_one_run_could_not_show(judged):
    said = hidden_by_one_run(judged)
    bce, ce = (judged.of(f"loss/{name}").spreads["accuracy"].values for name in ("bce", "ce"))
    span = max(max(values) - min(values) for values in (bce, ce))
    assert said[0].startswith("loss: the report's arms lie 25.0 points apart. The 6 seeds of one arm, ")
    assert f"lie {100 * span:.1f} points apart" in said[0]
    assert re.fullmatch(r"[012] of the 2 reported values of test accuracy lie within .*", said[1])
    order = next(text for text in said if "one run each shows this order" in text)
    claim = next(claim for claim in judged.claims if claim.claim.kind == "two arms")
    assert f"in {100 * claim.order_shown:.0f} % of the pairs of seeds" in order
    assert order.endswith(f"judged over 6 seeds it is {claim.verdict.value}.")


def test_names_that_are_scripts_stay_names(result):
    page = rendered(report.markdown_page(result))
    assert HOSTILE not in page
    assert "<script" not in page
    assert "<b>thing" not in page
    assert "a &lt;b&gt;thing&lt;/b&gt;" in page
    tables = re.findall(r"<table>.*?</table>", page, re.S)
    for found in tables:
        columns = {row.count("<t") - row.count("<tr") for row in re.findall(r"<tr>.*?</tr>", found, re.S)}
        assert len(columns) == 1
    assert "collapsed, to a constant predictor" in page


def test_from_the_command_line(judged_store, call, tmp_path):
    code, _, err = call("report", "small", "--store", judged_store, "--markdown", tmp_path / "page")
    assert code == 0
    assert f"wrote {tmp_path / 'page' / 'small.md'}" in err.replace("\n", "")
    assert (tmp_path / "page" / "small.md").read_text().startswith("# small\n")
