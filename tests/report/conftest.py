"""Finished small studies for the tests of the report."""

import pytest

from doubleread.analysis import analyse
from doubleread.runner import Silent, prepare_study, train_study
from doubleread.store import open_store
from doubleread.study import parse_study, study_of
from tests.conftest import small_study
from tests.hostile import HOSTILE, hostile_folder, result

__all__ = ["HOSTILE", "hostile_folder", "result"]


@pytest.fixture(scope="session")
def judged_store(image_folder, tmp_path_factory):
    """A store with six seeds of the small study, which claims two things."""
    raw = small_study(image_folder, seeds=6)
    raw["experiments"]["loss"]["claims"] = [{"id": "bce", "metric": "accuracy", "better": "bce", "than": "ce"}]
    raw["experiments"]["batch"]["claims"] = [
        {
            "id": "falls",
            "metric": "train_loss",
            "trend": "increasing",
            "role": "secondary",
            "margin": 0.01,
            "says": "batches cost loss",
        }
    ]
    root = tmp_path_factory.mktemp("judged")
    with open_store(root, write=True) as store:
        study = parse_study(raw, place="s")
        train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=Silent())
    return root


@pytest.fixture(scope="session")
def judged(judged_store):
    """What that store shows."""
    with open_store(judged_store) as store:
        return analyse(study_of(store.study_document("small")), store)
