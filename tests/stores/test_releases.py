"""R12: the store of every release opens, holds what it held, is brought up to date, and has nothing trained again."""

import hashlib
import itertools
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from doubleread.analysis import analyse
from doubleread.errors import UserError
from doubleread.nouns import REFERENCE
from doubleread.store import open_store, read_logits, recover, schema
from doubleread.store.schema import VERSION, migrate, version_of
from doubleread.store.verify import verify_store
from doubleread.study import study_of
from tests.runner.test_stacks import go
from tests.stores.make import frozen_study, write_images

HERE = Path(__file__).parent
RELEASES = sorted(path for path in HERE.iterdir() if (path / "store.sqlite").is_file())
# read when the store was frozen
ACCURACIES = {"loss/bce": 0.75, "loss/ce": 0.625}
LOGITS = "aefed7b2fdcfd844d5fb01ebf74fb109615f78de70418ac1a62339b88d87f461"


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request, tmp_path):
    return shutil.copytree(request.param, tmp_path / "runs")


def test_there_is_a_store_of_the_present_release():
    import doubleread

    assert doubleread.__version__ in {path.name for path in RELEASES}


def held(root):
    """Return the mean accuracy of each arm, and a hash of every logit."""
    with open_store(root) as store:
        result = analyse(study_of(store.study_document("small")), store)
        run_ids = sorted(row["run_id"] for row in store.runs_of("small"))
    digest = hashlib.sha256()
    for run_id in run_ids:
        logits = read_logits(root, run_id)
        digest.update(logits.val.tobytes() + logits.test.tobytes())
    return {arm.arm.name: arm.spreads["accuracy"].mean for arm in result.arms}, digest.hexdigest()


def test_it_holds_what_it_held(release):
    before = (release / "store.sqlite").read_bytes()
    accuracies, logits = held(release)
    assert accuracies == pytest.approx(ACCURACIES)
    assert logits == LOGITS
    assert (release / "store.sqlite").read_bytes() == before, "reading changes nothing"
    assert verify_store(release).damaged_runs == {}


def test_it_is_brought_up_to_date_and_nothing_is_trained_again(release, tmp_path, monkeypatch):
    write_images(tmp_path)
    monkeypatch.chdir(tmp_path)
    counts, _plan, _rows, sizes = go(frozen_study(), release, REFERENCE)
    assert (counts.done, counts.reused) == (4, 4)
    assert sizes == []
    with open_store(release, write=True) as store:
        assert recover(store) == []
        assert version_of(store._db) == VERSION
    assert held(release) == (pytest.approx(ACCURACIES), LOGITS)
    checked = verify_store(release)
    assert (checked.runs, checked.sets, checked.damaged_runs, checked.damaged_sets) == (4, 1, {}, {})


BROKEN = """
    ALTER TABLE runs ADD COLUMN one TEXT;
    UPDATE runs SET one = reason;
    CREATE TABLE runs (x);
"""


def test_a_migration_that_fails_leaves_the_store_as_it_was(release, monkeypatch):
    with open_store(release, write=True):
        pass
    before = (release / "store.sqlite").read_bytes()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, BROKEN))
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)
    with pytest.raises(UserError, match="table runs already exists"):
        open_store(release, write=True)
    assert (release / "store.sqlite").read_bytes() == before


GOOD = """
    ALTER TABLE runs ADD COLUMN one TEXT;
    UPDATE runs SET one = run_id;
    CREATE TABLE two (x TEXT);
    INSERT INTO two SELECT run_id FROM runs;
"""


def migrate_and_die(path, number):
    """Migrate in a forked process that is killed at a moment in the midst of a statement; tell whether it came to that.

    SQLite calls a handler every few instructions of its own machine; the process ends at call `number`.
    """
    child = os.fork()
    if not child:
        connection, calls = sqlite3.connect(path, isolation_level=None), itertools.count(1)
        connection.execute("PRAGMA cache_size = 1")
        connection.set_progress_handler(lambda: next(calls) == number and os.kill(os.getpid(), signal.SIGKILL), 40)
        migrate(connection)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_migration_that_is_killed_is_made_whole_or_not_at_all(release, monkeypatch):
    with open_store(release, write=True):
        pass
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, GOOD))
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)
    path, found = release / "store.sqlite", []
    whole, killed = path.read_bytes(), True
    while killed:
        path.write_bytes(whole)
        killed = migrate_and_die(path, len(found) + 1)
        with closing(sqlite3.connect(path)) as connection:
            found.append(version_of(connection))
            columns = {row[1] for row in connection.execute("PRAGMA table_info(runs)")}
            made = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'two'").fetchone()[0]
        assert ("one" in columns, made) == ((True, 1) if found[-1] == VERSION + 1 else (False, 0))
    assert len(found) > 5
    assert found[0] == VERSION
    assert found[-1] == VERSION + 1
