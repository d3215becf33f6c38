"""Reading by processes gives what reading by threads gives, and a process that ends is said to have ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from doubleread.dataset import prepare, reading
from doubleread.dataset.reading import Look, Target, digest_all, look_at
from doubleread.errors import UnreadableImage, WorkFailed
from doubleread.images import PhantomSource, PhantomSpec, open_source
from tests.conftest import write_folder
from tests.dataset.test_prepare import spec


def looked(source, path, monkeypatch, worth):
    monkeypatch.setattr(reading, "WORTH_PROCESSES", worth)
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(5, 8, 8))
    told = []
    seen = look_at(source, range(len(source.items)), Target(path, {3: 0, 5: 1, 40: 2}), lambda *a: told.append(a))
    return seen, np.load(path), told


def as_text(value):
    return str(value) if isinstance(value, UnreadableImage) else value


def test_processes_see_what_threads_see(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "images")
    (folder / "train" / "NORMAL" / "broken.png").write_bytes(b"no image")
    (folder / "train" / "NORMAL" / "note.txt").write_text("no image")
    source = open_source(str(folder))
    threads, by_threads, _ = looked(source, tmp_path / "threads.npy", monkeypatch, 10**6)
    processes, by_processes, told = looked(source, tmp_path / "processes.npy", monkeypatch, 1)
    assert np.array_equal(by_threads, by_processes)
    assert by_threads[:3].any(axis=(1, 2)).all()
    assert not by_threads[3:].any()
    assert [(as_text(s.digest), as_text(s.look)) for s in threads.values()] == [
        (as_text(s.digest), as_text(s.look)) for s in processes.values()
    ]
    unreadable = [s for s in processes.values() if isinstance(s.look, UnreadableImage)]
    assert len(unreadable) == 2
    assert sum(isinstance(s.look, Look) for s in processes.values()) == 68
    assert [as_text(s.digest) for s in processes.values()] == [as_text(d) for d in digest_all(source)]
    assert told[-1] == ("reading images", 70, 70)


def test_a_phantom_in_processes(tmp_path, monkeypatch):
    source = PhantomSource(PhantomSpec(train_per_class=20, test_per_class=4))
    threads, by_threads, _ = looked(source, tmp_path / "threads.npy", monkeypatch, 10**6)
    processes, by_processes, _ = looked(source, tmp_path / "processes.npy", monkeypatch, 1)
    assert threads == processes
    assert np.array_equal(by_threads, by_processes)


class Killer:
    """A source whose reading ends the process that reads."""

    kind = "folder"
    location = "nowhere"
    items = tuple(range(64))

    def mode(self, index):
        return "L"

    def digest(self, index):
        return str(index)

    def read(self, index, *, colour=False):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_while_it_reads(monkeypatch):
    monkeypatch.setattr(reading, "WORTH_PROCESSES", 1)
    with pytest.raises(WorkFailed) as error:
        look_at(Killer(), range(64))
    assert str(error.value) == "a process that reads images was ended, perhaps out of memory"


def test_the_first_time_everything_is_hashed_and_read_at_once(image_folder, tmp_path):
    told = []
    data = spec(image_folder)
    first = prepare(open_source(str(image_folder)), data, tmp_path, lambda what, *_: told.append(what))
    assert set(told) == {"reading images"}
    told.clear()
    again = prepare(open_source(str(image_folder)), data, tmp_path, lambda what, *_: told.append(what))
    assert set(told) == {"hashing images"}
    assert first.data_hash == again.data_hash


@pytest.mark.slow
def test_a_script_without_a_guard_is_not_started_again(tmp_path):
    folder = write_folder(tmp_path / "images")
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib\n"
        "from doubleread.dataset import reading\n"
        "from doubleread.images import open_source\n"
        "reading.WORTH_PROCESSES = 1\n"
        f"with open({str(tmp_path / 'started')!r}, 'a') as f: f.write('x')\n"
        f"source = open_source({str(folder)!r})\n"
        "print(len(reading.look_at(source, range(len(source.items)))))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "68"
    assert Path(tmp_path / "started").read_text() == "x"


def test_keeping_large_blocks_is_for_any_process():
    # in a process of its own: it changes how memory is handled from then on
    code = "from doubleread.processes import keep_large_blocks; keep_large_blocks(); print(len(bytes(10**8)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "100000000\n"
