"""A store with a study that has been trained; apart from the fixtures, which need no torch."""

from pathlib import Path

from doubleread.runner import Silent, prepare_study, train_study
from doubleread.store import open_store
from doubleread.study import parse_study
from tests.conftest import small_study


def train_one_run(images: Path, root: Path) -> Path:
    """Train a study of one run into a new store at `root`; return that."""
    raw = small_study(images, seeds=1, experiments={"loss": {"factors": {"loss": ["bce"]}}})
    with open_store(root, write=True) as store:
        study = parse_study(raw, place="s")
        train_study(prepare_study(study, store.data_folder, Silent()), store, workers=1, show=Silent())
    return root
