"""Small trained stores, and what the trackers must have of them, taken from the analysis and not from the export."""

import importlib
import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

import doubleread.tracking  # noqa: F401  # before mlflow itself, as a user has it: it is told to be silent
from doubleread.analysis import StudyResult, analyse
from doubleread.nouns import State
from doubleread.runner import Silent, prepare_study, train_study
from doubleread.store import open_store
from doubleread.study import Study, parse_study
from tests.conftest import small_study

HOSTILE = ("../../x", "a/b/../../../c", "..", "ü" * 100)


def needed(name: str) -> ModuleType:
    """Return a module of the extra `tracking`, or skip; in continuous integration it must be there."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed in continuous integration", pytrace=False)
        pytest.skip(f"needs {name}: pip install 'doubleread[tracking]'", allow_module_level=True)
    return importlib.import_module(name)


def tiny_study(image_folder: Path, **changes: object) -> Study:
    """Return a study of two runs, each of two epochs."""
    raw = small_study(image_folder, seeds=1, experiments={"loss": {"factors": {"loss": ["bce", "ce"]}}}, **changes)
    raw["base"]["epochs"] = 2
    return parse_study({**raw, "study": "tiny"}, place="tiny.yaml")


def trained(study: Study, root: Path) -> Path:
    """Train a study into a store, and return where it is."""
    with open_store(root, write=True) as store:
        train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=Silent())
    return root


def read(study: Study, root: Path) -> StudyResult:
    """Return what the store has of a study."""
    with open_store(root) as store:
        return analyse(study, store)


@pytest.fixture(scope="session")
def wide_study(image_folder) -> Study:
    """Two seeds of arms with names that are paths, of two arms that are one run, and of one that diverges."""
    raw = small_study(image_folder)
    sgd = {"name": "sgd", "momentum": 0.9}
    levels = [{"label": label, **sgd, "lr": 10**-place} for place, label in enumerate(HOSTILE, 1)]
    raw["experiments"] = {
        "loss": {"factors": {"loss": ["bce", "ce"]}},
        "batch": {"factors": {"batch_size": [4, 8]}},
        "hostile": {"factors": {"optimizer": levels}},
        "divergence": {
            "base": {"model": {"name": "mlp", "hidden": []}, "optimizer": {**sgd, "lr": 1.0}},
            "factors": {"optimizer.lr": [1e38]},
        },
    }
    return parse_study({**raw, "study": "wide"}, place="wide.yaml")


@pytest.fixture(scope="session")
def wide(wide_study, tmp_path_factory) -> Path:
    """The store of the wide study, of 16 different runs; no test may change it."""
    return trained(wide_study, tmp_path_factory.mktemp("wide") / "runs")


@pytest.fixture(scope="session")
def tiny(image_folder, tmp_path_factory) -> Path:
    """The store of the tiny study; no test may change it."""
    return trained(tiny_study(image_folder), tmp_path_factory.mktemp("tiny") / "runs")


@pytest.fixture(scope="session")
def sealed(image_folder, tmp_path_factory) -> Path:
    """The store of the tiny study whose test images are sealed."""
    return trained(tiny_study(image_folder, test="sealed"), tmp_path_factory.mktemp("sealed") / "runs")


def states_of(result: StudyResult) -> dict[str, State]:
    """Return the state of every run of a study, by run id."""
    return {run.run_id: run.state for arm in result.arms for run in arm.runs}
