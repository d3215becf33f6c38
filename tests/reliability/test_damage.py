"""Damage to stored files is found, listed and mended, and nothing else is trained again."""

import json
import subprocess
import sys

import pytest

from doubleread.api import open_results, prune
from doubleread.cli.train import _end
from doubleread.errors import UserError, WorkFailed
from doubleread.nouns import State
from doubleread.runner import Counts
from doubleread.store import open_store, run_folder
from doubleread.store.verify import verify_store
from doubleread.study import parse_study
from tests.reliability.test_faults import command, go, wide_study


def flip(path, place=-200):
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def states(root):
    with open_store(root) as store:
        return {(row["arm"], row["seed"]): (row["state"], row["attempts"]) for row in store.runs_of("small")}


@pytest.fixture
def trained(study_dict, tmp_path):
    """A store of four runs, its study, and what its runs are called."""
    study_dict["experiments"] = {"loss": {"factors": {"loss": ["bce", "ce"]}}}
    _, rows, _ = go(study_dict, tmp_path / "runs")
    return tmp_path / "runs", study_dict, {key: row["run_id"] for key, row in rows.items()}


def test_a_store_that_is_well(trained):
    root, _, _ = trained
    checked = verify_store(root)
    assert (checked.runs, checked.sets, checked.damaged_runs, checked.damaged_sets) == (4, 1, {}, {})
    assert checked.marked


def test_what_is_damaged_is_listed_and_just_that_is_trained_again(trained):
    root, study, runs = trained
    before = {key: (run_folder(root, run_id) / "weights.safetensors").read_bytes() for key, run_id in runs.items()}
    flip(run_folder(root, runs["loss/bce", 0]) / "weights.safetensors", -1)
    flip(run_folder(root, runs["loss/bce", 1]) / "logits.npz", 300)
    (run_folder(root, runs["loss/ce", 0]) / "run.json").unlink()
    seen = []
    checked = verify_store(root, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert checked.damaged_runs == {
        "small: loss/bce, seed 0": "damaged: weights.safetensors has other content than was written",
        "small: loss/bce, seed 1": "damaged: logits.npz has other content than was written",
        "small: loss/ce, seed 0": "damaged: run.json is gone",
    }
    counts, _, _ = go(study, root)
    assert (counts.done, counts.reused) == (4, 1)
    assert {key: attempts for key, (_, attempts) in states(root).items()} == {
        ("loss/bce", 0): 2, ("loss/bce", 1): 2, ("loss/ce", 0): 2, ("loss/ce", 1): 1
    }  # fmt: skip
    assert verify_store(root).damaged_runs == {}
    after = {key: (run_folder(root, run_id) / "weights.safetensors").read_bytes() for key, run_id in runs.items()}
    assert after == before


def test_a_run_notices_by_itself_what_is_gone_or_cut_short(trained):
    root, study, runs = trained
    path = run_folder(root, runs["loss/ce", 1]) / "logits.npz"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    counts, _, remarks = go(study, root)
    assert (counts.done, counts.reused) == (4, 3)
    assert remarks == [
        f"loss/ce, seed 1 is trained again: damaged: logits.npz has {size - 1:,} bytes instead of {size:,}"
    ]


def test_weights_that_were_pruned_are_not_missed(trained):
    root, study, _ = trained
    with open_store(root, write=True) as store:
        assert prune(store, keep="none").runs == 4
    assert verify_store(root).damaged_runs == {}
    counts, _, remarks = go(study, root)
    assert (counts.reused, remarks) == (4, [])


def test_a_damaged_prepared_set_is_made_again(trained):
    root, study, _ = trained
    (folder,) = [path.parent for path in root.glob("data/*/images.npy")]
    before = (folder / "images.npy").read_bytes()
    flip(folder / "images.npy")
    assert verify_store(root).damaged_sets == {folder.name: "images.npy has other content than was written"}
    counts, _, _ = go(study, root)
    assert counts.reused == 4
    assert (folder / "images.npy").read_bytes() == before
    assert verify_store(root).damaged_sets == {}


def test_nothing_is_marked_while_another_process_writes(trained):
    root, _, runs = trained
    flip(run_folder(root, runs["loss/ce", 1]) / "logits.npz", 300)
    with open_store(root, write=True):
        checked = verify_store(root)
    assert not checked.marked
    assert list(checked.damaged_runs) == ["small: loss/ce, seed 1"]
    assert states(root)["loss/ce", 1][0] == State.DONE


def test_a_report_of_damaged_logits_says_what_to_do(trained):
    root, study, runs = trained
    flip(run_folder(root, runs["loss/ce", 1]) / "logits.npz", 2)
    with pytest.raises(WorkFailed) as error:
        open_results(parse_study(study, place="s"), store=root)
    assert str(error.value).startswith("loss/ce, seed 1: its logits are gone or damaged (")
    assert str(error.value).endswith(
        f"); doubleread status --store {root} --verify lists all that is, then doubleread run trains just that again"
    )


def test_a_prepared_set_whose_facts_are_damaged(trained):
    root, study, _ = trained
    (path,) = root.glob("data/*/meta.json")
    path.write_text(path.read_text()[:50])
    with pytest.raises(UserError) as error:
        open_results(parse_study(study, place="s"), store=root)
    assert str(error.value).startswith(f"{path}: damaged (")
    assert str(error.value).endswith("; remove the folder, then run the study again")


def test_a_call_names_the_runs_that_failed(trained):
    root, study, runs = trained
    with open_store(root, write=True) as store:
        store.set_state(runs["loss/bce", 1], State.FAILED, "the process was ended by SIGSEGV, 2 times")
    counts = Counts(planned=4, done=3, reused=3, failed=1, diverged=0, interrupted=0)
    with pytest.raises(WorkFailed) as error:
        _end(counts, parse_study(study, place="s"), root)
    assert str(error.value) == (
        "1 of 4 runs failed; the others are done and kept, the same command tries these again:\n"
        "  loss/bce, seed 1: the process was ended by SIGSEGV, 2 times"
    )


@pytest.mark.slow
def test_status_verify_on_the_command_line(image_folder, tmp_path):
    study, store = wide_study(image_folder, tmp_path, 2), tmp_path / "runs"
    assert command(study, store).returncode == 0

    def status(*more):
        line = [sys.executable, "-m", "doubleread", "status", "--verify", "--store", str(store), *more]
        return subprocess.run(line, capture_output=True, text=True)

    well = status()
    assert well.returncode == 0
    assert well.stdout.splitlines() == [
        "small: 2 runs: 2 done", "2 runs and 1 prepared set read, 0 damaged"
    ]  # fmt: skip
    (first, _) = sorted(store.glob("artifacts/*"))
    flip(first / "logits.npz", 300)
    damaged = status("--json")
    assert damaged.returncode == 1
    assert damaged.stderr.splitlines()[-1] == "doubleread: the store has damaged files; doubleread run makes them again"
    (found,) = json.loads(damaged.stdout)["verified"]["damaged"]
    assert found["reason"] == "damaged: logits.npz has other content than was written"
    assert json.loads(command(study, store).stdout)["runs"]["reused"] == 1
    assert status().returncode == 0
