"""Every command line and every snippet of the documentation runs, or is at least a right one.

`DOUBLEREAD_PAGES=full` makes nothing quicker, and compares every number that a page shows: some minutes for a page.
"""

import os

import pytest

from tests.conftest import ROOT
from tests.docs.givens import GIVEN, Givens
from tests.docs.pages import read_page
from tests.docs.running import environment_of, run_page, wrong_in_page
from tests.docs.warm import Warm

SHELVES = ("tutorial", "how-to", "reference", "explanation")
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/index.md",
    "docs/reports/index.md",
    *(str(path.relative_to(ROOT)) for shelf in SHELVES for path in sorted((ROOT / "docs" / shelf).glob("*.md"))),
)
FULL = os.environ.get("DOUBLEREAD_PAGES") == "full"


@pytest.fixture(scope="session")
def givens(tmp_path_factory):
    return Givens(tmp_path_factory.mktemp("givens"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """What is compiled once for all pages: a routine, and the list of fonts."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def warm(tmp_path_factory, cache):
    if FULL:
        yield None
        return
    folder = tmp_path_factory.mktemp("warm")
    process = Warm(folder, environment_of(folder / "home", cache))
    yield process
    process.end()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_right_before_it_runs(name, tmp_path):
    page = read_page(ROOT / name, name)
    assert set(page.given) <= set(GIVEN), f"{name}: unknown givens"
    assert wrong_in_page(page, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs(name, givens, cache, warm, tmp_path):
    page = read_page(ROOT / name, name)
    folder = tmp_path / "folder"
    folder.mkdir()
    for given in page.given:
        givens.put(given, folder)
    problems = run_page(page, folder, cache, warm)
    assert not problems, problems[0]
