"""A durable write leaves the old file or the new one; reads are capped."""

import pytest

from doubleread import disk, files
from doubleread.errors import UserError, printable
from tests.refusals import refusal


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


def test_a_folder_is_moved_whole_into_one_that_is_made_for_it(tmp_path):
    source, target = tmp_path / "draft", tmp_path / "deep" / "er" / "kept"
    files.write_text(source / "a.txt", "one")
    files.move_folder(source, target)
    assert not source.exists()
    assert (target / "a.txt").read_text() == "one"


def test_what_was_written_in_part_is_removed_and_nothing_else(tmp_path):
    (tmp_path / ".a.txt.0123abcd.tmp").write_text("on")
    (tmp_path / ".hidden").write_text("kept")
    (tmp_path / ".folder.tmp").mkdir()
    files.write_text(tmp_path / "a.txt", "one")
    assert files.remove_leftovers(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".folder.tmp", ".hidden", "a.txt"]


@pytest.mark.parametrize(
    ("folder", "variable", "usual"),
    [
        (files.cache_folder, "XDG_CACHE_HOME", ".cache/doubleread"),
        (files.config_folder, "XDG_CONFIG_HOME", ".config/doubleread"),
    ],
)
def test_the_folders_of_a_user(monkeypatch, tmp_path, folder, variable, usual):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(variable, raising=False)
    assert folder() == tmp_path / usual
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert folder() == tmp_path / "elsewhere" / "doubleread"


@pytest.mark.parametrize("folder", [files.cache_folder, files.config_folder])
def test_a_user_without_a_home_folder(monkeypatch, folder):
    for variable in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    # a number that stands in no list of users, as in some containers
    monkeypatch.setattr("os.getuid", lambda: 987_654)
    with pytest.raises(OSError, match=r"^Could not determine home directory\.$"):
        folder()


@pytest.mark.parametrize(
    ("path", "why"),
    [("a" * 300, "File name too long"), ("~nobody-of-this-name/a", "could not determine home directory")],
)
def test_a_path_that_no_file_can_have(path, why):
    said = f"--data: not a usable path ({why}); give another path"
    assert refusal(files.user_path, path, "--data") == said


def test_the_home_folder_is_written_out(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.user_path("~/films", "--data") == tmp_path / "films"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("there", "{0} is a folder; expected a file; add a file name"),
        ("a.txt/report.html", "{0} cannot be written (File exists); give another path"),
        ("a.txt/deep/report.html", "{0} cannot be written (Not a directory); give another path"),
        (f"{'ü' * 121}.html", "{0} cannot be written; give another path"),
    ],
)
def test_a_file_that_cannot_be_written_is_known_beforehand(tmp_path, name, said):
    (tmp_path / "there").mkdir()
    (tmp_path / "a.txt").write_text("one")
    path = tmp_path / name
    assert refusal(files.check_target, path, "--html") == f"--html: {said.format(path)}"


def test_the_folder_of_a_file_that_can_be_written_is_made(tmp_path):
    files.check_target(tmp_path / "deep" / "er" / "report.html", "--html")
    assert list((tmp_path / "deep" / "er").iterdir()) == []
    files.check_folder(tmp_path / "figures", "--figures")
    assert list((tmp_path / "figures").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.txt", "{0} is a file; expected a folder; give another path"),
        ("a.txt/deep", "{0} cannot be made (Not a directory); give another path"),
        ("a" * 300, "{0} cannot be made (File name too long); give another path"),
        ("a\0b", "{0} cannot be made (embedded null byte); give another path"),
    ],
)
def test_a_folder_that_cannot_be_written_to_is_known_beforehand(tmp_path, name, said):
    (tmp_path / "a.txt").write_text("one")
    path = tmp_path / name
    assert refusal(files.check_folder, path, "--figures") == printable(f"--figures: {said.format(path)}")


def test_a_folder_of_someone_else(tmp_path, monkeypatch):
    # who runs this may be allowed everything
    monkeypatch.setattr("os.access", lambda *_given: False)
    said = f"--figures: {tmp_path} cannot be written to; give another path"
    assert refusal(files.check_folder, tmp_path, "--figures") == said


def test_every_kind_of_damage_is_a_phrase(tmp_path):
    names = ("well", "gone", "short", "other", "folder")
    for name in names:
        (tmp_path / name).write_bytes(b"x" * 1234)
    known = {name: files.describe(tmp_path / name) for name in names}
    assert known["well"] == files.described(b"x" * 1234)
    (tmp_path / "gone").unlink()
    (tmp_path / "short").write_bytes(b"xx")
    (tmp_path / "other").write_bytes(b"y" * 1234)
    (tmp_path / "folder").unlink()
    (tmp_path / "folder").mkdir()
    known["folder"]["bytes"] = (tmp_path / "folder").stat().st_size
    known["well/deep"] = known["well"]
    sizes = ["gone is gone", "short has 2 bytes instead of 1,234", "well/deep cannot be read (Not a directory)"]
    assert files.damage(tmp_path, known, read=False) == sizes
    assert files.damage(tmp_path, known, read=True) == [
        "gone is gone",
        "short has 2 bytes instead of 1,234",
        "other has other content than was written",
        "folder cannot be read (Is a directory)",
        "well/deep cannot be read (Not a directory)",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "no such file; check the path"),
        ("folder", "cannot be read (Is a directory); check the path"),
        ("binary", "not a text file; expected UTF-8 text"),
        ("big", "the file has more than 10 bytes; expected a smaller file"),
    ],
)
def test_a_text_that_cannot_be_read(tmp_path, name, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "big").write_text("x" * 11)
    assert refusal(files.read_text, tmp_path / name, 10) == f"{tmp_path / name}: {said}"
