"""For any study, order of keys and values: the study file, the plan, the order of the data, the store's round trips."""

import io
import json
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ruamel.yaml import YAML

from doubleread.errors import UserError
from doubleread.nouns import REFERENCE, State
from doubleread.seeds import data_order
from doubleread.store import (
    EPOCH_FIELDS,
    Logits,
    hash_weights,
    make_attempt,
    open_store,
    read_checkpoint,
    read_logits,
    read_record,
    run_folder,
    write_attempt,
    write_checkpoint,
)
from doubleread.study import data_key, document_of, load_study, parse_study, plan_runs, study_of
from tests.conftest import small_study
from tests.reliability.faults import using
from tests.reliability.load import Hasty
from tests.store.test_store import RUN


@pytest.fixture(scope="module", autouse=True)
def _numbers_below_the_normal_ones():
    """Training in this process has switched them off, and hypothesis wants to draw them."""
    torch.set_flush_denormal(False)


rates = st.floats(1e-8, 10, allow_subnormal=False)
optimizers = st.one_of(
    st.fixed_dictionaries({"name": st.just("adam"), "lr": rates}, optional={"eps": rates}),
    st.fixed_dictionaries({"name": st.just("adamw"), "lr": rates, "weight_decay": rates}),
    st.fixed_dictionaries({"name": st.just("sgd"), "lr": rates, "momentum": st.floats(0, 0.99)}),
)
schedules = st.one_of(
    st.just("constant"),
    st.fixed_dictionaries({"name": st.just("cosine")}, optional={"per": st.sampled_from(["epoch", "batch"])}),
    st.fixed_dictionaries({"name": st.just("step"), "every": st.integers(1, 9), "gamma": st.floats(0.01, 1)}),
    st.fixed_dictionaries({"name": st.just("exponential"), "gamma": st.floats(0.01, 1)}),
)
distinct = {"min_size": 1, "max_size": 4, "unique": True}
factors = st.one_of(
    st.fixed_dictionaries({"batch_size": st.lists(st.integers(1, 500), **distinct)}),
    st.fixed_dictionaries({"loss": st.lists(st.sampled_from(["bce", "ce"]), min_size=1, max_size=2, unique=True)}),
    st.fixed_dictionaries(
        {"epochs": st.lists(st.integers(1, 50), **distinct), "model.dropout": st.lists(st.floats(0, 0.9), **distinct)}
    ),
)
texts = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=60)


@st.composite
def studies(draw):
    raw = small_study("phantom")
    raw["question"] = draw(texts)
    raw["base"] |= {
        "optimizer": draw(optimizers),
        "schedule": draw(schedules),
        "batch_size": draw(st.integers(1, 1000)),
        "epochs": draw(st.integers(1, 1000)),
        "model": {"name": "mlp", "hidden": draw(st.lists(st.integers(1, 300), min_size=1, max_size=3))},
    }
    raw["seeds"] = draw(st.one_of(st.integers(1, 5), st.lists(st.integers(0, 2**32 - 1), **distinct)))
    names = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
    raw["experiments"] = draw(
        st.dictionaries(names, st.fixed_dictionaries({"factors": factors}), min_size=1, max_size=3)
    )
    return raw


def plan_of(study):
    return plan_runs(study, {data_key(arm.data): "d" for arm in study.arms}, lambda *_: REFERENCE)


def parsed(raw):
    return parse_study(raw, place="s")


def shuffled(value, random):
    if isinstance(value, dict):
        items = [(key, shuffled(part, random)) for key, part in value.items()]
        random.shuffle(items)
        return dict(items)
    return value


@given(studies())
def test_a_plan_has_each_run_once_and_one_for_each_arm_and_seed(raw):
    study = parsed(raw)
    plan = plan_of(study)
    assert len({run.run_id for run in plan.runs}) == len(plan.runs)
    assert set(plan.run_of) == {(arm.name, seed) for arm in study.arms for seed in study.seeds}
    assert set(plan.run_of.values()) == {run.run_id for run in plan.runs}
    identities = [json.dumps(run.identity, sort_keys=True) for run in plan.runs]
    assert len(set(identities)) == len(identities)


@given(studies(), st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_no_identity(raw, random):
    plan, other = plan_of(parsed(raw)), plan_of(parsed(shuffled(raw, random)))
    assert {run.run_id for run in other.runs} == {run.run_id for run in plan.runs}
    # the name of an arm of a grid has its factors in their order
    for key in plan.run_of.keys() & other.run_of.keys():
        assert other.run_of[key] == plan.run_of[key]


@given(studies(), st.integers(0, 2**32 - 1))
def test_another_seed_adds_runs_and_changes_none(raw, seed):
    before = parsed(raw)
    assume(seed not in before.seeds)
    raw["seeds"] = [*before.seeds, seed]
    more = plan_of(parsed(raw))
    assert plan_of(before).run_of.items() <= more.run_of.items()
    assert len(more.run_of) == len(before.arms) * (len(before.seeds) + 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=studies())
def test_a_study_is_the_same_from_its_mapping_from_yaml_and_from_the_store(raw, tmp_path):
    study = parsed(raw)
    text = io.StringIO()
    YAML().dump(raw, text)
    path = tmp_path / "study.yaml"
    path.write_text(text.getvalue(), encoding="utf-8")
    document = json.loads(json.dumps(document_of(study)))
    for other in (load_study(path), study_of(document)):
        assert plan_of(other).run_of == plan_of(study).run_of
        assert (other.question, other.seeds, other.base) == (study.question, study.seeds, study.base)


@given(studies(), st.data())
def test_an_unknown_key_is_refused_wherever_it_stands(raw, data):
    place = data.draw(st.sampled_from([(), ("base",), ("data",), ("base", "model"), ("data", "split")]))
    node = raw
    for key in place:
        node = node[key]
    node["quux"] = 1
    with pytest.raises(UserError, match="quux") as error:
        parsed(raw)
    assert error.value.place.startswith("s, " + ".".join([*place, ""]) if place else "s")


@given(st.integers(0, 2**32 - 1), st.integers(0, 10_000), st.integers(1, 400), st.integers(0, 2**32))
def test_the_order_of_the_data_is_a_function_of_seed_and_epoch_alone(seed, epoch, n, other):
    before = data_order(seed, epoch, n)
    # whatever else has been drawn in the meantime
    np.random.seed(other % 2**32)  # noqa: NPY002
    torch.manual_seed(other)
    data_order(other, epoch, n)
    data_order(seed, epoch + 1, n)
    assert np.array_equal(before, data_order(seed, epoch, n))
    assert np.array_equal(np.sort(before), np.arange(n))


finite = st.floats(allow_nan=False, allow_infinity=False)
float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)
records = st.fixed_dictionaries(
    {
        "state": st.just("done"),
        "attempt": st.just(1),
        "epochs": st.lists(st.fixed_dictionaries(dict.fromkeys(EPOCH_FIELDS[1:], finite)), max_size=5),
        "finished": texts,
        "environment": st.dictionaries(texts, st.one_of(texts, finite, st.integers(-(2**53), 2**53))),
        "health": st.fixed_dictionaries(dict.fromkeys(("collapsed", "undertrained", "overfit"), st.booleans())),
        "reason": st.one_of(st.none(), texts),
        "seconds": finite,
        "cpu_seconds": finite,
        "peak_bytes": st.integers(0, 2**62),
        "weights_hash": texts,
    }
)
tensors = st.dictionaries(
    st.text("abcdefgh.0123456789", min_size=1, max_size=12),
    st.one_of(
        arrays.arrays(np.float32, arrays.array_shapes(min_dims=0, max_dims=3, max_side=5), elements=float32s),
        arrays.arrays(np.int64, arrays.array_shapes(min_dims=0, max_dims=2, max_side=5)),
        arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=1, max_side=40)),
    ),
    max_size=4,
)
logits = arrays.arrays(np.float32, st.integers(0, 20), elements=float32s)


@contextmanager
def empty_store():
    root = Path(tempfile.mkdtemp())
    try:
        with using(Hasty()), open_store(root, write=True) as store:
            store._db.execute("PRAGMA synchronous = OFF")
            yield store
    finally:
        shutil.rmtree(root)


@settings(deadline=None, max_examples=60)
@given(records, logits, logits, tensors)
def test_what_a_store_is_given_comes_back(record, val, test, weights):
    for number, epoch in enumerate(record["epochs"]):
        epoch["epoch"] = number
    kept = Logits(val_rows=np.arange(len(val)), val=val, test_rows=np.arange(len(test)), test=test)
    with empty_store() as store:
        store.save_plan("s", {"file": {}}, [RUN], {("e/a", 0): "r1"}, {})
        write_attempt(make_attempt(store.root, "r1", store.begin("r1"), None), record, kept, weights)
        assert store.record("r1", 1) is State.DONE
        (row,) = store.runs_of("s")
        for name in ("reason", "finished", "seconds", "cpu_seconds", "peak_bytes", "weights_hash"):
            assert row[name] == record[name]
        assert {flag: bool(row[flag]) for flag in record["health"]} == record["health"]
        assert store.epochs_of(["r1"])["r1"] == [{"run_id": "r1", **epoch} for epoch in record["epochs"]]
        assert store.environments(["r1"]) == [record["environment"]]
        back = read_logits(store.root, "r1")
        for name in ("val_rows", "val", "test_rows", "test"):
            assert getattr(back, name).tobytes() == getattr(kept, name).tobytes()
        again = read_record(run_folder(store.root, "r1"))
        assert {name: again[name] for name in record} == record
        assert set(store.files_of()["r1"]) == {"run.json", "logits.npz", "weights.safetensors"}


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(texts, st.one_of(finite, texts, st.lists(finite))), tensors)
def test_a_checkpoint_comes_back(header, state):
    with tempfile.TemporaryDirectory() as folder, using(Hasty()):
        write_checkpoint(Path(folder), header, state)
        found, tensors_back = read_checkpoint(Path(folder))
    assert found == header
    assert hash_weights(tensors_back) == hash_weights(state)
    assert {name: array.shape for name, array in tensors_back.items()} == {n: a.shape for n, a in state.items()}
