"""A store of many tiny runs, filled through the store's own functions."""

import hashlib
from pathlib import Path

import numpy as np

from doubleread.disk import Disk
from doubleread.runner import Silent, prepare_study
from doubleread.seeds import stream
from doubleread.store import Logits, make_attempt, open_store, write_attempt
from doubleread.study import document_of, parse_study
from doubleread.worker import environment
from tests.reliability.faults import using


class Hasty(Disk):
    """Makes nothing durable: the store is for this test only."""

    def fsync(self, handle):
        pass

    def fsync_folder(self, folder):
        pass


def many_runs(raw: dict, root: Path) -> int:
    """Fill a store with every run of a study, each with logits and epochs as a run leaves them; return how many."""
    study = parse_study(raw, place="s")
    with using(Hasty()), open_store(root, write=True) as store:
        store._db.execute("PRAGMA synchronous = OFF")
        ready = prepare_study(study, store.data_folder, Silent(), device="cpu")
        (data,) = ready.sets.values()
        rows = [
            {"run_id": r.run_id, "identity": r.identity, "recipe": r.recipe.complete(), "seed": r.seed,
             "data_hash": r.data_hash}
            for r in ready.plan.runs
        ]  # fmt: skip
        facts = {"data": {data.data_hash: data.meta}}
        claims = {claim.id: claim.canonical() for claim in study.claims}
        store.save_plan(study.name, {**document_of(study), **facts}, rows, ready.plan.run_of, claims)
        for run in ready.plan.runs:
            store.begin(run.run_id)
            leave(store, run, data.run_data(run.seed))
    return len(ready.plan.runs)


def leave(store, run, data):
    rng = stream("load", run.seed, run.run_id)
    folder = make_attempt(store.root, run.run_id, 1, None)
    signs = {split: 2.0 * data.labels[data.rows(split)] - 1 for split in ("val", "test")}
    drawn = {split: (sign + rng.normal(0, 1.5, len(sign))).astype(np.float32) for split, sign in signs.items()}
    epochs = [
        {"epoch": e, "rate": 1e-3, "train_loss": float(0.7 / (e + 1) + rng.uniform(0, 0.05)), "train_accuracy": 0.7,
         "val_loss": float(0.7 / (e + 1) + rng.uniform(0, 0.05)), "val_accuracy": 0.7, "seconds": 0.01}
        for e in range(run.recipe.epochs)
    ]  # fmt: skip
    record = {
        "run_id": run.run_id, "attempt": 1, "state": "done", "identity": run.identity, "epochs": epochs,
        "finished": "2026-01-01T00:00:00+00:00", "environment": environment(1, run.compute), "seconds": 0.1,
        "health": {"collapsed": False, "undertrained": False, "overfit": False}, "cpu_seconds": 0.1,
        "peak_bytes": 2**27, "weights_hash": hashlib.sha256(run.run_id.encode()).hexdigest(),
    }  # fmt: skip
    logits = Logits(val_rows=data.val, val=drawn["val"], test_rows=data.test, test=drawn["test"])
    write_attempt(folder, record, logits, None)
    store.record(run.run_id, 1)
