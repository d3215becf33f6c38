"""What a page says of one run: of files that are damaged nothing, and the rest as it is."""

import json
import shutil
from pathlib import Path

import pytest

from doubleread.server.runs import run_details
from doubleread.store import open_store, run_folder
from tests.trained import train_one_run


@pytest.fixture(scope="module")
def trained(image_folder, tmp_path_factory):
    """A store with a study of one run, whose record says where it stopped once."""
    root = train_one_run(image_folder, tmp_path_factory.mktemp("trained") / "runs")
    (path,) = (root / "artifacts").glob("*/run.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "trace": "ValueError: no good"}))
    return root


def details(root, damage=None):
    """Return what is known of the run in a store, whose folder `damage` changes."""
    with open_store(root) as store:
        (row,) = store.runs_of("small")
        if damage is not None:
            damage(run_folder(root, row["run_id"]))
        return run_details(store, "small", row["run_id"])


def test_of_a_run_that_is_well_all_is_known(trained):
    found = details(trained)
    assert found["calls"]["classes"] == ["NORMAL", "PNEUMONIA"]
    assert [sum(map(sum, found["calls"][split])) for split in ("validation", "test")] == [12, 20]
    assert found["trace"] == "ValueError: no good"


@pytest.mark.parametrize(
    ("name", "how", "unknown"),
    [
        ("logits.npz", lambda path: path.write_bytes(b""), {"calls": {}}),
        ("logits.npz", lambda path: path.write_bytes(path.read_bytes()[:300]), {"calls": {}}),
        ("logits.npz", Path.unlink, {"calls": {}}),
        ("run.json", lambda path: path.write_bytes(b"\xff"), {"trace": None}),
        ("run.json", lambda path: path.write_text("{"), {"trace": None}),
        ("run.json", Path.unlink, {"trace": None}),
    ],
)
def test_of_a_file_that_is_damaged_nothing_is_said(trained, tmp_path, name, how, unknown):
    root = shutil.copytree(trained, tmp_path / "runs")
    assert details(root, lambda folder: how(folder / name)) == {**details(trained), **unknown}
