"""Reading the runs of a store: whose logits are gone or damaged is named, with what to do about it."""

import shlex
import shutil
from pathlib import Path

import pytest

from doubleread.store import open_store, run_folder
from tests.trained import train_one_run


@pytest.fixture(scope="module")
def trained(image_folder, tmp_path_factory):
    """A store with a study of one run."""
    return train_one_run(image_folder, tmp_path_factory.mktemp("trained") / "runs")


def empty(path):
    path.write_bytes(b"")


def cut_off(path):
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (empty, "No data left in file"),
        (cut_off, "File is not a zip file"),
        (Path.unlink, "[Errno 2] No such file or directory: '{path}'"),
    ],
)
@pytest.mark.parametrize("where", ["runs", "my runs"])
def test_a_report_names_the_run_whose_logits_cannot_be_read(call, trained, tmp_path, how, why, where):
    root = shutil.copytree(trained, tmp_path / where)
    with open_store(root) as store:
        (row,) = store.runs_of("small")
    path = run_folder(root, row["run_id"]) / "logits.npz"
    how(path)
    assert call("report", "small", "--store", root) == (
        1,
        "",
        f"doubleread: loss/bce, seed 0: its logits are gone or damaged ({why.format(path=path)}); doubleread status"
        f" --store {shlex.quote(str(root))} --verify lists all that is, then doubleread run trains just that again\n",
    )
