"""A store with an MLP and a small CNN of three seeds, trained on small images; no test may change it."""

from pathlib import Path

import pytest

from doubleread.analysis import StudyResult, analyse
from doubleread.runner import Silent, prepare_study, train_study
from doubleread.store import open_store
from doubleread.study import parse_study, study_of
from tests.conftest import small_study

MODELS = [
    {"label": "mlp", "name": "mlp", "hidden": [6]},
    {"label": "cnn", "name": "cnn", "widths": [4, 8], "blocks": [1, 1], "dropout": 0.0},
]
MODEL_STUDY = {"experiments": {"model": {"factors": {"model": MODELS}}}, "seeds": 3}


def trained(root: Path, raw: dict) -> Path:
    """Train a study into the store at `root`, and return it."""
    study = parse_study(raw, place="study.yaml")
    with open_store(root, write=True) as store:
        train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=Silent())
    return root


def result_of(root: Path, name: str = "small") -> StudyResult:
    """Return what a store has of a study."""
    with open_store(root) as store:
        return analyse(study_of(store.study_document(name)), store)


@pytest.fixture(scope="session")
def model_store(image_folder, tmp_path_factory) -> Path:
    """The store."""
    return trained(tmp_path_factory.mktemp("models") / "runs", small_study(image_folder, **MODEL_STUDY))


@pytest.fixture(scope="session")
def model_result(model_store) -> StudyResult:
    """What it has of its study."""
    return result_of(model_store)
