"""A durable write leaves the old file or the new one; reads are capped."""

import pytest

from doubleread import files
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


def test_nan_never_reaches_a_json_file(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert not (tmp_path / "a.json").exists()
