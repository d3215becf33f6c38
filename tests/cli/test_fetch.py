"""`data fetch`, as a user calls it: the list, a set, what is shown before and after, and everything that is refused."""

import dataclasses
import hashlib
import json
import os
import re
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from doubleread import cli, disk
from doubleread.images import fetch, unpack
from doubleread.images.public_sets import MEDMNIST, SETS
from tests.conftest import draw_images
from tests.images.test_fetch import BODY, server
from tests.images.test_unpack import GOOD, JUNK, write_zip
from tests.reliability.faults import FULL, Failing, using

__all__ = ["server"]


@pytest.fixture
def fetching(call, monkeypatch, tmp_path):
    """Return a function that fetches into an empty folder and gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fetch, "time", SimpleNamespace(sleep=lambda _: None))
    return partial(call, "data", "fetch")


def put(monkeypatch, server, name, size):
    """Let the catalogue have a set at the server, with what that has."""
    known = SETS[name]
    old = known.files[size]
    file = dataclasses.replace(old, url=server.url, hash=f"md5:{hashlib.md5(server.body).hexdigest()}")
    if old.bytes:
        file = dataclasses.replace(file, bytes=len(server.body))
    monkeypatch.setitem(SETS, name, dataclasses.replace(known, files={**known.files, size: file}))
    return file


@pytest.fixture
def pneumonia(server, monkeypatch, tmp_path_factory):
    """The server has a small PneumoniaMNIST."""
    path = tmp_path_factory.mktemp("set") / "set.npz"
    arrays = {}
    for part, n in (("train", 8), ("val", 4), ("test", 4)):
        arrays[f"{part}_images"] = np.concatenate([draw_images(n, label, n) for label in (0, 1)])
        arrays[f"{part}_labels"] = np.repeat([0, 1], n)[:, None]
    np.savez(path, **arrays)
    server.body = path.read_bytes()
    return put(monkeypatch, server, "pneumoniamnist", 28)


CITE = f"pneumoniamnist: licence CC BY 4.0\npneumoniamnist: cite {MEDMNIST}\n"


def test_the_list(fetching):
    code, out, err = fetching()
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 15
    assert lines[0].split() == ["name", "what", "it", "is", "classes", "images", "sizes", "licence"]
    rows = {line.split()[0]: re.split(r" {2,}", line.strip()) for line in lines[1:14]}
    assert list(rows) == list(SETS)
    assert rows["dermamnist"] == [
        "dermamnist", "pigmented spots of the skin, colour", "7", "10,015", "28, 64, 128, 224", "CC BY-NC 4.0"
    ]  # fmt: skip
    assert rows["kermany"][2:] == ["2", "5,856", "as taken", "CC BY 4.0"]
    assert lines[14] == "doubleread data fetch NAME shows how to cite a set, and fetches it"


def test_the_list_as_json(fetching):
    code, out, err = fetching("--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [one["name"] for one in found] == list(SETS)
    assert found[4] == {
        "name": "pneumoniamnist",
        "what": "chest films of children, pneumonia or normal",
        "classes": 2,
        "images": 5856,
        "sizes": [28, 64, 128, 224],
        "licence": "CC BY 4.0",
        "citation": MEDMNIST,
    }
    assert found[-1]["sizes"] == []


def test_a_set_and_the_next_command(fetching, pneumonia, server, monkeypatch, capsys):
    code, out, err = fetching("pneumoniamnist")
    assert code == 0
    assert out == (
        "data/pneumoniamnist.npz: fetched, and its hash is right\nnext: doubleread new data/pneumoniamnist.npz\n"
    )
    assert err.startswith(CITE)
    size = len(server.body)
    assert err.removeprefix(CITE) == f"pneumoniamnist: downloading bytes, {size:,} of {size:,}\n"
    assert os.listdir("data") == ["pneumoniamnist.npz"]
    code, out, err = fetching("PneumoniaMNIST")
    assert (code, err) == (0, CITE)
    assert out == (
        "data/pneumoniamnist.npz: it was there, and its hash is right\nnext: doubleread new data/pneumoniamnist.npz\n"
    )
    assert len(server.asked) == 1
    monkeypatch.setattr(sys, "argv", ["doubleread", *out.split("next: doubleread ")[1].split()])
    with pytest.raises(SystemExit) as leave:
        cli.main()
    assert leave.value.code == 0
    assert capsys.readouterr().out.startswith("wrote study.yaml")


def test_a_set_as_json(fetching, pneumonia, server):
    for fetched in (True, False):
        code, out, err = fetching("pneumoniamnist", "--size", 28, "--to", "my sets", "--json")
        assert code == 0
        assert json.loads(out) == {
            "name": "pneumoniamnist",
            "path": "my sets/pneumoniamnist.npz",
            "bytes": len(server.body),
            "hash": pneumonia.hash,
            "licence": "CC BY 4.0",
            "citation": MEDMNIST,
            "fetched": fetched,
        }
        assert err.startswith(CITE)
    _, out, _ = fetching("pneumoniamnist", "--to", "my sets")
    assert out.splitlines()[1] == "next: doubleread new 'my sets/pneumoniamnist.npz'"


def test_licence_and_citation_come_before_the_transfer(fetching, pneumonia, server):
    server.statuses = [404]
    code, out, err = fetching("pneumoniamnist")
    assert (code, out) == (1, "")
    assert err == (
        f"{CITE}doubleread: 127.0.0.1, pneumoniamnist.npz: the server answered 404; expected 200; look with a browser"
        f" whether {server.url} is there\n"
    )


def test_other_licences_and_labels_are_said(fetching, server, monkeypatch):
    put(monkeypatch, server, "dermamnist", 28)
    _, _, err = fetching("dermamnist")
    assert err.startswith("dermamnist: licence CC BY-NC 4.0, not for commercial use\n")
    put(monkeypatch, server, "chestmnist", 64)
    _, out, _ = fetching("chestmnist", "--size", "64")
    assert out == (
        "data/chestmnist_64.npz: fetched, and its hash is right\n"
        "next: doubleread new data/chestmnist_64.npz --column label=pneumonia    # one of its 14 labels\n"
    )


def test_an_archive(fetching, server, monkeypatch, tmp_path):
    archive = write_zip(tmp_path / "a.zip", [*GOOD.items(), *JUNK.items()])
    server.body = archive.read_bytes()
    file = put(monkeypatch, server, "kermany", None)
    code, out, err = fetching("kermany", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["path"], found["bytes"], found["hash"]) == ("data/kermany", len(server.body), file.hash)
    assert (found["licence"], found["fetched"]) == ("CC BY 4.0", True)
    assert "kermany: downloading bytes, 65,536 of" in err
    assert sorted(os.listdir("data/kermany")) == [unpack.RECORD, "test", "train"]
    _, out, _ = fetching("kermany")
    assert out == "data/kermany: it was there, and its hash is right\nnext: doubleread new data/kermany\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pneumonia"], 'NAME: unknown set "pneumonia"; did you mean "pneumoniamnist"?'),
        (["\x1b[31mkermani"], 'NAME: unknown set "\\x1b[31mkermani"; did you mean "kermany"?'),
        (["xyz"], f'NAME: unknown set "xyz"; expected one of {", ".join(sorted(SETS))}'),
        (["pathmnist", "--size", "32"], "--size: got 32; expected 28, 64, 128 or 224"),
        (["kermany", "--size", "28"], "--size: has no effect with kermany, which has one size; delete it"),
        (["--size", "28"], "--size: has no effect without NAME; name a set, or delete it"),
        (["--to", "here"], "--to: has no effect without NAME; name a set, or delete it"),
        (["pathmnist", "--to", "file"], "--to: file is a file; expected a folder; give another path"),
    ],
)
def test_bad_input(fetching, tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    code, out, err = fetching(*arguments)
    assert (code, out, err) == (2, "", f"doubleread: {message}\n")
    assert os.listdir() == ["file"]


def test_another_file_that_is_there(fetching, pneumonia, server, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pneumoniamnist.npz").write_bytes(b"mine")
    code, out, err = fetching("pneumoniamnist")
    assert (code, out) == (2, "")
    assert err == (
        f"{CITE}doubleread: data/pneumoniamnist.npz: it is there with the hash md5:{hashlib.md5(b'mine').hexdigest()};"
        f" expected {pneumonia.hash}; move it away, or add --to DIR\n"
    )
    assert server.asked == []


def failed(fetching):
    code, out, err = fetching("pneumoniamnist")
    assert (code, out) == (1, "")
    return err.splitlines()[-1].removeprefix("doubleread: ")


def test_a_broken_transfer_goes_on_with_the_same_command(fetching, server, monkeypatch):
    put(monkeypatch, server, "pneumoniamnist", 28)
    server.cuts = [2**19] + [0] * 4
    assert failed(fetching) == (
        "127.0.0.1, pneumoniamnist.npz: the connection was cut, or was silent for too long (tried 5 times); 524,288 of"
        " 1,048,576 bytes have arrived and are kept; the same command goes on from there"
    )
    code, out, _ = fetching("pneumoniamnist", "--json")
    assert (code, json.loads(out)["fetched"]) == (0, True)
    assert server.asked[-1]["Range"] == "bytes=524288-"
    with open("data/pneumoniamnist.npz", "rb") as file:
        assert file.read() == BODY


def test_a_wrong_hash(fetching, pneumonia, server):
    server.body = BODY
    assert failed(fetching) == (
        f"127.0.0.1, pneumoniamnist.npz: what was fetched has the hash md5:{hashlib.md5(BODY).hexdigest()}; expected"
        f" {pneumonia.hash}; it is removed: try again, and if that does not help, the file or the way to it is not to"
        " be trusted"
    )
    assert os.listdir("data") == []


def test_a_full_disk(fetching, pneumonia):
    with using(Failing(6, FULL, lasting=True)):
        assert failed(fetching) == (
            "the disk: the disk is full; what has finished is kept; free some space, then the same command goes on from"
            " here"
        )
    assert fetching("pneumoniamnist")[0] == 0
    assert os.listdir("data") == ["pneumoniamnist.npz"]


def test_two_at_once(fetching, pneumonia, tmp_path):
    (tmp_path / "data").mkdir()
    held = disk.lock(tmp_path / "data")
    assert failed(fetching) == "data: another fetch writes there; wait for it, or add --to DIR"
    os.close(held)


def test_an_interrupted_fetch(fetching, pneumonia, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch.requests.Session, "get", interrupted)
        assert failed(fetching) == ("interrupted; what has finished is kept, the same command goes on from here")
    assert fetching("pneumoniamnist")[0] == 0


def test_the_page_has_every_set_and_its_commands_are_right(fetching, server, monkeypatch, tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "fetching.md").read_text()
    for one in SETS.values():
        sizes = ", ".join(map(str, one.sizes)) or "as taken"
        row = f"| `{one.name}` | {one.what} | {one.classes} | {one.images:,} | {sizes} | {one.licence} |"
        assert row in text
        assert one.citation.partition(", doi ")[2] in text
    put(monkeypatch, server, "pneumoniamnist", 64)
    listed, fetched, then = re.findall(r"^doubleread (.*?) *(?:#.*)?$", text, re.M)
    assert listed == "data fetch"
    _, out, _ = fetching(*fetched.removeprefix("data fetch ").split())
    assert out.splitlines()[1] == f"next: doubleread {then}"
