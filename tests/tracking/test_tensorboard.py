"""Runs for TensorBoard: read back by its own reader, whole or not there, and never outside their folder."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from doubleread import disk, tracking
from doubleread.errors import UserError, WorkFailed
from doubleread.metrics import needs_test
from doubleread.nouns import State
from doubleread.store import EPOCH_FIELDS, open_store
from doubleread.tracking import Tracked, track, trackers_of
from doubleread.tracking.tensorboard_tracker import place_of, safe
from doubleread.tracking.tracked import FinishedRuns
from tests.reliability.faults import Counting
from tests.tracking.conftest import HOSTILE, needed, read, tiny_study, trained

accumulators = needed("tensorboard.backend.event_processing.event_accumulator")
plugin_data = needed("tensorboard.plugins.hparams.plugin_data_pb2")


@pytest.fixture(scope="module")
def board(wide, tmp_path_factory) -> Path:
    """A folder that the wide study has been sent to."""
    folder = tmp_path_factory.mktemp("board") / "shown"
    target = f"tensorboard {folder}"
    assert track("wide", store=wide, tensorboard=folder) == (Tracked(target=target, sent=16, there=0, failed=0),)
    return folder


def events_in(folder: Path):
    """Return what TensorBoard reads in a run's folder."""
    return accumulators.EventAccumulator(str(folder)).Reload()


def scalars_in(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the points of each scalar, as (step, value)."""
    events = events_in(folder)
    return {name: [(one.step, one.value) for one in events.Scalars(name)] for name in events.Tags()["scalars"]}


def folders_in(board: Path) -> dict[str, Path]:
    """Return the folder of each run that TensorBoard would find, by run id."""
    found = [path.parent for path in board.rglob("*tfevents*")]
    marks = {folder: json.loads((folder / "doubleread.json").read_text()) for folder in found}
    assert len({mark["run_id"] for mark in marks.values()}) == len(found)
    return {mark["run_id"]: folder for folder, mark in marks.items()}


def test_every_run_has_the_numbers_of_the_store(wide, wide_study, board):
    folders, result = folders_in(board), read(wide_study, wide)
    runs = {run.run_id: run for arm in result.arms for run in arm.runs}
    assert set(folders) == set(runs)
    for run_id, run in runs.items():
        shown = scalars_in(folders[run_id])
        for name in EPOCH_FIELDS[1:]:
            # TensorBoard has float32
            values = [
                (epoch["epoch"], float(np.float32(epoch[name]))) for epoch in run.epochs if epoch[name] is not None
            ]
            assert shown.get(f"epoch/{name}", []) == values
        final = {name: points for name, points in shown.items() if not name.startswith("epoch/")}
        if run.state is not State.DONE:
            assert final == {}
            continue
        known = [name for name, value in run.metrics.items() if not math.isnan(value)]
        assert len(final) == len(known) + 2
        assert final["test/accuracy"] == [(2, float(np.float32(run.metrics["accuracy"])))]
        assert final["val/auroc"] == [(2, float(np.float32(run.metrics["val_auroc"])))]
        assert final["run/gap"] == [(2, float(np.float32(run.metrics["gap"])))]


def test_times_are_those_of_the_record(wide, wide_study, board):
    run = read(wide_study, wide).of("loss/ce").runs[0]
    with open_store(wide) as store:
        (row,) = store.rows_of([run.run_id]).values()
    ends = [one.wall_time for one in events_in(folders_in(board)[run.run_id]).Scalars("epoch/val_loss")]
    finished = np.datetime64(row["finished"][:19]).astype(float)
    assert ends[-1] == pytest.approx(finished, abs=1e-3)
    assert np.diff(ends) == pytest.approx([epoch["seconds"] for epoch in run.epochs[1:]], abs=1e-3)


def test_the_table_of_settings_compares_the_arms(wide, wide_study, board):
    found = {}
    for arm in read(wide_study, wide).arms:
        for run in arm.runs:
            events = events_in(folders_in(board)[run.run_id])
            contents = events.summary_metadata
            start, end = (
                plugin_data.HParamsPluginData.FromString(contents[f"_hparams_/session_{part}_info"].plugin_data.content)
                for part in ("start", "end")
            )
            settings = dict(start.session_start_info.hparams.items())
            found.setdefault(settings["arm"].string_value, []).append((run.seed, start.session_start_info.group_name))
            # what differs between arms, and nothing that all have
            assert {"arm", "loss.name", "batch_size", "optimizer.lr"} <= set(settings)
            assert not {"epochs", "seed", "data.image_size", "precision"} & set(settings)
            assert settings["batch_size"].number_value == arm.arm.recipe.batch_size
            assert end.session_end_info.status == (1 if run.state is State.DONE else 2)
    assert found["loss/ce"] == [(0, "loss/ce"), (1, "loss/ce")]
    # trained once for two arms, and shown once, as that of the first
    assert "batch/8" not in found


def test_what_is_there_is_left_alone(wide, board):
    before = {path: path.stat().st_mtime_ns for path in board.rglob("*")}
    assert track("wide", store=wide, tensorboard=board) == (
        Tracked(target=f"tensorboard {board}", sent=0, there=16, failed=0),
    )
    assert {path: path.stat().st_mtime_ns for path in board.rglob("*")} == before


def test_no_name_of_an_arm_leads_out_of_the_folder(board):
    assert [path.name for path in board.parent.iterdir()] == ["shown"]
    assert [path.name for path in board.iterdir()] == ["wide"]
    assert {path.name for path in (board / "wide").iterdir()} == {"batch", "divergence", "hostile", "loss"}
    labels = {path.name for path in (board / "wide" / "hostile").iterdir()}
    assert labels == {safe(label) for label in HOSTILE}
    assert {"%2E.%2F..%2Fx", "a%2Fb%2F..%2F..%2F..%2Fc", "%2E."} <= labels
    assert max(map(len, labels)) < 150
    files = {path.relative_to(board).parts[3:] for path in board.rglob("*") if path.is_file()}
    assert files == {
        (f"seed-{n}", name) for n in (0, 1) for name in ("doubleread.json", "events.out.tfevents.doubleread")
    }


def test_names_of_folders():
    names = ["..", ".", "", "%2E.", "a/b", "a%2Fb", "a\\b", "\x00", "ü" * 100, "ü" * 101, "x" * 100, "x" * 400, "a b=1"]
    assert len({safe(name) for name in names}) == len(names)
    for name in names:
        assert safe(name) not in ("", ".", "..")
        assert not set(safe(name)) & set("/\\\x00")
        assert len(safe(name)) < 150
    assert safe("optimizer=adam, 8") == "optimizer=adam, 8"


class Killed(BaseException):
    pass


class Killing(Counting):
    """Kills at one operation."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def at(self, name, number):
        if number == self.number:
            raise Killed


def test_a_cut_off_export_leaves_whole_runs_only_and_is_completed(tiny, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    track("tiny", store=tiny, tensorboard=whole)
    expected = {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    number, cut = 0, True
    while cut:
        number += 1
        folder = tmp_path / str(number)
        with monkeypatch.context() as patch:
            patch.setattr(disk, "DISK", Killing(number))
            try:
                track("tiny", store=tiny, tensorboard=folder)
                cut = False
            except Killed:
                pass
        # what TensorBoard would show is the content of a whole run, wherever it lies
        assert {path.read_bytes() for path in folder.rglob("*tfevents*")} <= set(expected.values())
        track("tiny", store=tiny, tensorboard=folder)
        assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == expected
    assert number > 40


def test_a_sealed_study_has_no_number_of_test(sealed, tmp_path):
    track("tiny", store=sealed, tensorboard=tmp_path)
    folders = folders_in(tmp_path)
    assert len(folders) == 2
    for folder in folders.values():
        shown = scalars_in(folder)
        assert "val/accuracy" in shown
        assert not any(name.startswith("test/") or needs_test(name.removeprefix("run/")) for name in shown)


def test_a_run_with_another_end_takes_the_place_of_the_first(tiny, image_folder, tmp_path):
    root, board = tmp_path / "runs", tmp_path / "board"
    shutil.copytree(tiny, root)
    track("tiny", store=root, tensorboard=board)
    run = read(tiny_study(image_folder), root).of("loss/ce").runs[0]
    with open_store(root, write=True) as store:
        store.set_state(run.run_id, State.FAILED, "damaged: logits.npz is gone")
    assert [(one.sent, one.there) for one in track("tiny", store=root, tensorboard=board)] == [(1, 1)]
    mark = json.loads((board / "tiny" / "loss" / "ce" / "seed-0" / "doubleread.json").read_text())
    assert (mark["state"], mark["reason"]) == ("failed", "damaged: logits.npz is gone")
    trained(tiny_study(image_folder), root)
    assert [(one.sent, one.there) for one in track("tiny", store=root, tensorboard=board)] == [(1, 1)]
    assert "test/accuracy" in scalars_in(board / "tiny" / "loss" / "ce" / "seed-0")
    assert len(folders_in(board)) == 2


def test_what_is_not_ours_is_not_replaced(tiny, tmp_path):
    folder = tmp_path / "tiny" / "loss" / "ce" / "seed-0"
    folder.mkdir(parents=True)
    (folder / "mine").write_text("mine")
    with pytest.raises(WorkFailed) as error:
        track("tiny", store=tiny, tensorboard=tmp_path)
    assert str(error.value) == (
        f"1 of 2 runs were not sent to tensorboard {tmp_path}: {folder} is there and not of doubleread; move it away;"
        " the same command sends the rest"
    )
    assert (folder / "mine").read_text() == "mine"


def test_the_run_of_another_arm_in_its_place(tiny, image_folder, tmp_path):
    """As on a disk that does not tell A from a."""
    (tracker,) = trackers_of(None, tmp_path)
    with open_store(tiny) as store:
        runs = FinishedRuns(store, "tiny")
        first = runs.read(next(iter(runs.stamps)))
    tracker.send(first)
    folder = tmp_path.joinpath(*place_of(first))
    mark = json.loads((folder / "doubleread.json").read_text())
    (folder / "doubleread.json").write_text(json.dumps({**mark, "arm": "loss/BCE"}))
    with pytest.raises(tracking.NotSent) as error:
        tracker.send(replace(first, stamp="another"))
    assert str(error.value) == f"{folder} has the run of another arm, loss/BCE; give it another label"


def test_a_damaged_run_is_named_and_the_others_are_sent(tiny, image_folder, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(tiny, root)
    run = read(tiny_study(image_folder), root).of("loss/bce").runs[0]
    (root / "artifacts" / run.run_id / "logits.npz").write_bytes(b"PK")
    with pytest.raises(WorkFailed) as error:
        track("tiny", store=root, tensorboard=tmp_path / "board")
    said = str(error.value)
    assert said.startswith(
        f"1 of 2 runs were not sent to tensorboard {tmp_path / 'board'}: loss/bce, seed 0: its logits"
    )
    assert len(folders_in(tmp_path / "board")) == 1


def test_two_at_once_do_not_send_the_same(tiny, tmp_path):
    with tracking.alone(tiny), pytest.raises(WorkFailed) as error:
        track("tiny", store=tiny, tensorboard=tmp_path)
    assert str(error.value) == (
        "another doubleread is sending the runs of this store; wait for it, then the same command sends what is left"
    )
    assert [one.sent for one in track("tiny", store=tiny, tensorboard=tmp_path)] == [2]


def test_what_is_asked_for_must_be_there(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    missing = f"--store {tiny}: no study other; it has tiny; train it first"
    cases = [
        ({"tensorboard": tmp_path / "file"}, f"--tensorboard: {tmp_path / 'file'} is a file; expected a folder; give"
         " another path"),
        ({}, "track: no tracker is named; expected --mlflow URI, --tensorboard DIR or both"),
    ]  # fmt: skip
    for words, message in cases:
        with pytest.raises(UserError) as error:
            track("tiny", store=tiny, **words)
        assert str(error.value) == message
    with pytest.raises(UserError) as error:
        track("other", store=tiny, tensorboard=tmp_path)
    assert str(error.value) == missing
    for package in ("mlflow", "tensorboard"):
        monkeypatch.setattr(tracking, f"{package.capitalize()}Tracker", None)
        with pytest.raises(UserError) as error:
            track("tiny", store=tiny, **{package: "x"})
        assert str(error.value) == (f"--{package}: {package} is not installed; pip install 'doubleread[tracking]'")
