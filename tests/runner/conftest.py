"""The set of the small study, prepared once, in as many stores as a test wants."""

import shutil

import pytest

from doubleread.runner import Silent, prepare_study
from doubleread.study import parse_study
from tests.conftest import small_study


@pytest.fixture(scope="module")
def data(image_folder, tmp_path_factory):
    """The prepared set of the small study, which takes longer to make than its runs."""
    folder = tmp_path_factory.mktemp("sets")
    prepare_study(parse_study(small_study(image_folder), place="s"), folder, Silent())
    return folder


@pytest.fixture
def new_store(data, tmp_path):
    """Return a function that makes the folder of a store with that set in it."""

    def make(name="runs"):
        shutil.copytree(data, tmp_path / name / "data")
        return tmp_path / name

    return make
