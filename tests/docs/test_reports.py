"""The pages of the two reports are of the studies as they are: every claim, every reported number."""

import re

import pytest

from doubleread.report.words import reported_text
from doubleread.study import load_study
from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "reports"


@pytest.mark.parametrize("name", ["report-a", "report-b"])
def test_a_page_has_every_claim_and_every_reported_number(name):
    study, page = load_study(name), (FOLDER / f"{name}.md").read_text()
    verdicts = re.findall(r"^\| (.*?)<br>.*?\| \*\*(supported|contradicted|not supported|undecided)\*\*", page, re.M)
    assert [title for title, _ in verdicts] == [
        claim.says[:1].upper() + claim.says[1:]
        for role in ("primary", "secondary")
        for claim in study.claims
        if claim.role == role
    ]
    for experiment in study.experiments:
        section = page.split(f"## {experiment.title}\n")[1].split("\n## ")[0]
        for metric, by_arm in experiment.reported.items():
            for reported in by_arm.values():
                assert reported_text(metric, reported) in section
    for assumption in study.assumptions.values():
        assert f"| `{assumption.path}` |" in page
    for picture in re.findall(r"\]\((\S+\.png)\)", page):
        assert (FOLDER / picture).is_file()
