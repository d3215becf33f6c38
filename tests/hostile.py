"""One finished small study with names that are scripts, for the tests of report and pages."""

import pytest

from doubleread.analysis import analyse
from doubleread.runner import Silent, prepare_study, train_study
from doubleread.store import open_store
from doubleread.study import parse_study
from tests.conftest import small_study, write_folder

HOSTILE = "=<script>alert(1)</script>"


@pytest.fixture(scope="session")
def hostile_folder(tmp_path_factory):
    """Images whose class is named like a formula and a script."""
    root = write_folder(tmp_path_factory.mktemp("hostile"))
    for part in ("train", "test"):
        (root / part / "NORMAL").rename(root / part / HOSTILE.replace("/", "∕"))
    return root


@pytest.fixture(scope="session")
def result(hostile_folder, tmp_path_factory):
    """Three seeds of the small study, with a collapsed arm and a diverged one."""
    raw = small_study(hostile_folder, seeds=3)
    raw["data"]["positive"] = "PNEUMONIA"
    raw["experiments"]["rate"] = {"title": "Too small a rate", "factors": {"optimizer.lr": [1e-9]}}
    raw["experiments"]["divergence"] = {
        "base": {"model": {"name": "mlp", "hidden": []}, "optimizer": {"name": "sgd", "lr": 1.0, "momentum": 0.9}},
        "factors": {"optimizer.lr": [1e38]},
    }
    raw["assumptions"] = {
        "epochs": {"path": "epochs", "assumed": 3, "alternatives": [10], "because": "not stated"},
    }
    raw["contradictions"] = [{"about": "a <b>thing</b>", "says": "two numbers", "shown": "one"}]
    root = tmp_path_factory.mktemp("store")
    study = parse_study(raw, place="s")
    with open_store(root, write=True) as store:
        train_study(prepare_study(study, store.data_folder, Silent()), store, workers=2, show=Silent())
        return analyse(study, store)
