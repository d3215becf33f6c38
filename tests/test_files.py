"""A durable write leaves the old file or the new one; reads are capped."""

import pytest

from doubleread import disk, files
from doubleread.errors import UserError


def test_write_replaces_whole_files_and_makes_folders(tmp_path):
    path = tmp_path / "deep" / "er" / "a.txt"
    files.write_text(path, "one")
    files.write_text(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_reads_are_capped(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(b"x" * 11)
    with pytest.raises(UserError) as error:
        files.read_bytes(path, 10)
    assert str(error.value) == f"{path}: the file has more than 10 bytes; expected a smaller file"
    assert files.read_bytes(path, 11) == b"x" * 11


def test_canonical_json_ignores_the_order_of_keys():
    assert files.hash_of({"a": 1, "b": [1.0, "x"]}) == files.hash_of({"b": [1.0, "x"], "a": 1})
    assert files.hash_of({"a": 1}) != files.hash_of({"a": 2})


@pytest.mark.parametrize("has_call", [True, False])
def test_room_is_taken_and_what_is_there_stays(tmp_path, monkeypatch, has_call):
    if not has_call:
        monkeypatch.delattr("os.posix_fallocate", raising=False)
    path = tmp_path / "a"
    with path.open("wb") as handle:
        handle.write(b"head")
        handle.truncate(3 * 2**20 + 5)
    with path.open("rb+") as handle:
        disk.reserve(handle, 3 * 2**20 + 5)
    assert path.stat().st_size == 3 * 2**20 + 5
    assert path.stat().st_blocks * 512 >= 3 * 2**20
    assert path.read_bytes() == b"head" + bytes(3 * 2**20 + 1)


def test_nan_never_reaches_a_json_file(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert not (tmp_path / "a.json").exists()
