"""As many workers as cores, fewer where the memory would not do, with a line that says so."""

import json

import numpy as np
import pytest
import torch

from doubleread.dataset import open_run_data
from doubleread.errors import UserError
from doubleread.nouns import REFERENCE, Compute
from doubleread.processes import usable_cores
from doubleread.runner import Silent, default_workers, prepare_study, train_study, workers
from doubleread.runner.workers import affordable, available_bytes
from doubleread.store import make_attempt, open_store, run_folder
from doubleread.study import parse_study
from doubleread.training.memory import worker_bytes
from doubleread.training.paths import make_trainer
from doubleread.training.records import RunSpec
from doubleread.worker import Task, execute
from tests.training.conftest import on, paths, recipe

MIB = 2**20


class Heard(Silent):
    def __init__(self):
        self.remarks = []

    def remark(self, text):
        self.remarks.append(text)


def prepared(raw, root):
    with open_store(root, write=True) as store:
        return prepare_study(parse_study(raw, place="s"), store.data_folder, Silent(), device="cpu")


def test_one_worker_for_each_core(study_dict, tmp_path):
    plan = prepared(study_dict, tmp_path).plan
    assert default_workers(plan) == usable_cores() >= 1
    study_dict["base"]["threads"] = usable_cores()
    assert default_workers(prepared(study_dict, tmp_path).plan) == 1


def test_fewer_workers_where_the_memory_would_not_do(study_dict, tmp_path):
    ready = prepared(study_dict, tmp_path)
    each = max(worker_bytes(run.recipe, run.compute, (1, 8, 8)) for run in ready.plan.runs)
    assert affordable(4, ready.plan, ready.sets, 100 * each) == (4, None)
    assert affordable(4, ready.plan, ready.sets, None) == (4, None)
    number, remark = affordable(4, ready.plan, ready.sets, int(2.5 * each))
    assert number == 2
    assert remark == (
        f"2 runs at once instead of 4: each takes about {each / MIB:,.0f} MiB,"
        f" and {2.5 * each / MIB:,.0f} MiB are available"
    )
    number, remark = affordable(2, ready.plan, ready.sets, each // 2)
    assert number == 1
    assert remark.startswith("1 run at once instead of 2: ")


def test_the_study_says_so_and_trains_all_the_same(study_dict, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "available_bytes", lambda: 100 * MIB)
    heard = Heard()
    with open_store(tmp_path, write=True) as store:
        ready = prepare_study(
            parse_study({**study_dict, "seeds": 1}, place="s"), store.data_folder, heard, device="cpu"
        )
        counts = train_study(ready, store, workers=3, show=heard)
    assert counts.done == counts.planned
    assert [line for line in heard.remarks if line.startswith("1 run at once instead of 3")]


def test_a_machine_without_the_compiled_routine_says_so(study_dict, tmp_path, monkeypatch):
    monkeypatch.setattr("doubleread.training.native.why_not", lambda: "no C compiler (cc)")
    monkeypatch.setattr(workers, "why_not", lambda: "no C compiler (cc)")
    ready = prepared(study_dict, tmp_path)
    number, remarks = workers.workers_for(ready.plan, ready.sets, 2)
    assert remarks == ["without the compiled routine training takes longer: no C compiler (cc)"]
    assert number == 2
    assert {run.compute.path for run in ready.plan.runs} == {"tiles"}


def test_the_system_tells_how_much_there_is():
    found = available_bytes()
    assert found is None or 10 * MIB < found < 2**50


def test_memory_grows_with_what_takes_it():
    native = Compute(device="cpu", precision="fp32", path="native")
    small, large = (worker_bytes(recipe(), native, pixels) for pixels in ((1, 28, 28), (1, 256, 256)))
    assert small < large
    wide = recipe(model={"name": "mlp", "hidden": [64, 64]})
    # weights, two moments and copies at the end of 65,536 x 64 weights, and a process
    assert 7 * 16 * MIB < worker_bytes(wide, native, (1, 256, 256)) < 1024 * MIB
    assert worker_bytes(wide, REFERENCE, (1, 256, 256)) > worker_bytes(wide, native, (1, 256, 256))


def test_a_record_says_how_the_run_was_computed(study_dict, tmp_path):
    with open_store(tmp_path, write=True) as store:
        ready = prepare_study(
            parse_study({**study_dict, "seeds": 1}, place="s"), store.data_folder, Silent(), device="cpu"
        )
        train_study(ready, store, workers=2, show=Silent())
    for run in ready.plan.runs:
        record = json.loads((run_folder(tmp_path, run.run_id) / "run.json").read_text())
        expected = {"device": "cpu", "precision": "fp32", "path": run.compute.path}
        assert {key: record["identity"][key] for key in expected} == expected
        assert record["environment"]["computed"] == f"cpu, fp32, {run.compute.path}"
        assert ("compiler" in record["environment"]) == (run.compute.path == "native")


@pytest.mark.parametrize("device", ["tpu", "cuda"])
def test_a_device_that_is_not_there(study_dict, tmp_path, device, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    expected = {
        "tpu": "--device: got tpu; expected auto, cpu or cuda; leave it out for auto",
        "cuda": "--device cuda: PyTorch finds no CUDA device; leave out --device, or install the CUDA driver",
    }[device]
    with pytest.raises(UserError) as error:
        prepare_study(parse_study(study_dict, place="s"), tmp_path, Silent(), device=device)
    assert str(error.value) == expected


def test_images_are_mapped_and_never_copied(study_dict, tmp_path):
    ready = prepared(study_dict, tmp_path)
    (data_hash,) = ready.sets
    data = open_run_data(tmp_path / "data" / data_hash, 0)
    assert isinstance(data.images, np.memmap)
    spec = RunSpec(recipe=recipe(), seed=0, intensity="unit", data=data)
    held = {
        "reference": lambda trainer: trainer._reader._images.numpy(),
        "tiles": lambda trainer: trainer._first._images.numpy(),
        "native": lambda trainer: trainer._kept[0],
    }
    for path in ("reference", *paths()):
        assert np.shares_memory(held[path](make_trainer(spec, on(path))), data.images), path


def test_a_run_has_the_threads_of_its_recipe_and_no_more(study_dict, tmp_path):
    study_dict["base"]["threads"] = 2
    with open_store(tmp_path, write=True) as store:
        study = parse_study({**study_dict, "seeds": 1}, place="s")
        ready = prepare_study(study, store.data_folder, Silent(), device="cpu")
    asked = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            run = ready.plan.runs[0]
            task = Task(
                root=tmp_path, run_id=run.run_id, attempt=threads,
                recipe=run.recipe.model_copy(update={"threads": threads}), intensity=run.intensity, seed=0,
                data_hash=run.data_hash, compute=REFERENCE, identity=run.identity, keep_weights=False,
                checkpoint_seconds=60.0,
            )  # fmt: skip
            make_attempt(tmp_path, run.run_id, threads, None)
            assert execute([task]) == "finished"
            asked.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)
    assert asked == [1, 2]
