"""S7: an archive is looked at before anything is written, and a cut-off leaves no half set."""

import errno
import io
import os
import stat
import zipfile
from types import SimpleNamespace

import pytest

from doubleread.errors import UserError, WorkFailed
from doubleread.images import unpack as module
from doubleread.images.unpack import RECORD, Caps, is_unpacked, unpack
from tests.reliability.faults import FULL, Counting, Failing, in_a_killed_process, using

GOOD = {
    "chest_xray/train/NORMAL/a.jpeg": b"a" * 300,
    "chest_xray/train/PNEUMONIA/b.jpeg": b"b" * 200,
    "chest_xray/test/NORMAL/c.jpeg": os.urandom(3 * 2**20),
}
JUNK = {"chest_xray/.DS_Store": b"x", "__MACOSX/chest_xray/train/._a.jpeg": b"x", "__MACOSX/._chest_xray": b"x"}


def silent(what, done, total):
    """Show nothing."""


def write_zip(path, members, method=zipfile.ZIP_DEFLATED):
    """Write an archive; a member is bytes under a name, or under a `ZipInfo`."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != RECORD
    }


@pytest.fixture
def good(tmp_path):
    folders = [("chest_xray/", b""), ("chest_xray/train/", b""), ("__MACOSX/", b"")]
    return write_zip(tmp_path / "good.zip", [*folders, *GOOD.items(), *JUNK.items()])


@pytest.fixture
def refused(tmp_path):
    """Return a function that checks that an archive is refused and leaves nothing, and gives what was found."""

    def check(members, caps=None, inside=None):
        path = members if isinstance(members, os.PathLike) else write_zip(tmp_path / "bad.zip", members)
        with pytest.raises(UserError) as error:
            unpack(path, tmp_path / "set", origin="x", inside=inside, reading=silent, caps=caps)
        assert os.listdir(tmp_path) == [path.name]
        return str(error.value).removeprefix(f"{path}: ")

    return check


def test_a_good_archive(good, tmp_path):
    shown = []
    unpack(good, tmp_path / "kermany", origin="sha256:1", inside="chest_xray", reading=lambda *all: shown.append(all))
    assert tree(tmp_path / "kermany") == {name.removeprefix("chest_xray/"): content for name, content in GOOD.items()}
    assert shown == [("unpacking files", number, 3) for number in (1, 2, 3)]
    assert sorted(os.listdir(tmp_path)) == ["good.zip", "kermany"]
    assert is_unpacked(tmp_path / "kermany", "sha256:1")


def test_it_replaces_an_empty_folder_only(good, tmp_path):
    (tmp_path / "kermany").mkdir()
    assert not is_unpacked(tmp_path / "kermany", "sha256:1")
    unpack(good, tmp_path / "kermany", origin="sha256:1", inside="chest_xray", reading=silent)
    with pytest.raises(OSError, match="not empty") as error:
        unpack(good, tmp_path / "kermany", origin="sha256:2", inside="chest_xray", reading=silent)
    assert error.value.errno == errno.ENOTEMPTY
    assert sorted(os.listdir(tmp_path)) == ["good.zip", "kermany"]
    assert is_unpacked(tmp_path / "kermany", "sha256:1")


def test_what_is_not_the_set_is_not_taken_for_it(good, tmp_path):
    folder = tmp_path / "kermany"
    unpack(good, folder, origin="sha256:1", inside="chest_xray", reading=silent)
    other = f"{folder}: it is there and is not this set; expected nothing there; move it away, or add --to DIR"
    with pytest.raises(UserError) as error:
        is_unpacked(folder, "sha256:2")
    assert str(error.value) == other
    (folder / "train/NORMAL/a.jpeg").write_bytes(b"A" * 300)
    (folder / "train/PNEUMONIA/b.jpeg").unlink()
    with pytest.raises(UserError) as error:
        is_unpacked(folder, "sha256:1")
    assert str(error.value) == (
        f"{folder}: the set is damaged: train/NORMAL/a.jpeg has other content than was written, and 1 more; expected it"
        " as it was fetched; move it away, then the same command fetches it again"
    )
    for broken in ("[]", "{", "{}"):
        (folder / RECORD).write_text(broken)
        with pytest.raises(UserError) as error:
            is_unpacked(folder, "sha256:1")
        assert str(error.value) == other


NAME = "; expected names below the archive's own folder; do not trust this file"


@pytest.mark.parametrize(
    "name", ["../up.txt", "a/../../up.txt", "a/..", "/etc/passwd", "C:/x", "c:x", "a\\..\\x", "a//b", "./a", "a/./b"]
)
def test_names_that_leave_the_folder(refused, name):
    assert refused([("fine.txt", b"x"), (name, b"x")]) == f'it has the name "{name}"{NAME}'


def test_a_name_with_a_zero_byte(refused, tmp_path):
    path = write_zip(tmp_path / "bad.zip", [("aaaa.txt", b"x")])
    path.write_bytes(path.read_bytes().replace(b"aaaa.txt", b"a\0aa.txt"))
    assert refused(path) == f'it has the name "a\\x00aa.txt"{NAME}'


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices(refused, kind):
    link = zipfile.ZipInfo("link")
    link.external_attr = (kind | 0o777) << 16
    assert refused([("fine.txt", b"x"), (link, b"/etc/passwd")]) == (
        "it has link, a link or a device; expected files and folders; do not trust this file"
    )


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_come_twice(refused):
    twice = "; expected every name once; do not trust this file"
    assert refused([("a.txt", b"x"), ("a.txt", b"y")]) == f"it has a.txt twice{twice}"
    assert refused([("a", b"x"), ("a/", b"")]) == f"it has a twice{twice}"
    assert refused([("a", b"x"), ("a/b/c", b"y")]) == f"it has a as a file and as a folder{twice}"


def test_what_lies_beside_the_folder_of_the_set(refused):
    assert refused([("chest_xray/a", b"x"), ("other/a", b"x")], inside="chest_xray") == (
        "it has other/a, outside chest_xray; expected everything in chest_xray; do not trust this file"
    )
    assert refused(list(JUNK.items()), inside="chest_xray") == (
        "it has no files; expected files in chest_xray; do not trust this file"
    )


def test_too_many_members(refused):
    members = [(f"{number}.txt", b"x") for number in range(11)]
    assert refused(members, Caps(members=10)) == "it has 11 members; expected at most 10; do not trust this file"


def test_too_many_bytes(refused, tmp_path):
    members = [("a", bytes(600)), ("b", bytes(600))]
    size = write_zip(tmp_path / "bad.zip", members).stat().st_size
    assert refused(members, Caps(bytes=1000)) == (
        f"it has 1,200 bytes unpacked, from {size}; expected at most 1,000; do not trust this file"
    )


def test_a_bomb(refused, tmp_path):
    members = [("a", bytes(2**20))]
    size = write_zip(tmp_path / "bad.zip", members).stat().st_size
    assert refused(members) == (
        f"it has 1,048,576 bytes unpacked, from {size:,}; expected at most {100 * size:,}; do not trust this file"
    )


def lying(path, real, said):
    """Write an archive with one member whose headers give another size."""
    write_zip(path, [("a", bytes(real))])
    path.write_bytes(path.read_bytes().replace(real.to_bytes(4, "little"), said.to_bytes(4, "little")))
    return path


def test_a_header_that_says_less_than_there_is(refused, tmp_path, monkeypatch):
    written = []
    keep = module.disk.Disk.write
    monkeypatch.setattr(
        module.disk.Disk, "write", lambda self, handle, piece: (written.append(len(piece)), keep(self, handle, piece))
    )
    assert (
        refused(lying(tmp_path / "bad.zip", 2**26, 1000))
        == "not a .zip file, or damaged; remove it, then fetch it again"
    )
    assert sum(written) <= 1000


def test_a_header_that_says_more_than_there_is(refused, tmp_path):
    assert refused(lying(tmp_path / "bad.zip", 1000, 1001)) == (
        "it has a in another size than it says; expected 1,001 bytes; do not trust this file"
    )


def test_a_reader_that_gives_more_than_the_header_says(refused, tmp_path, monkeypatch):
    path = write_zip(tmp_path / "bad.zip", [("a", os.urandom(1000))])
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: io.BytesIO(bytes(5 * module.PIECE)))
    assert refused(path) == ("it has a in another size than it says; expected 1,000 bytes; do not trust this file")


def test_passwords_and_other_compressions(refused, tmp_path):
    assert refused(write_zip(tmp_path / "bad.zip", [("a", b"x")], zipfile.ZIP_LZMA)) == (
        "it has a, with compression 14; expected stored or deflated files; do not trust this file"
    )
    info = zipfile.ZipInfo("a")
    path = write_zip(tmp_path / "bad.zip", [(info, b"x")])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    assert refused(path) == ("it has a, which is encrypted; expected files without a password; do not trust this file")


def test_files_that_are_no_archives(refused, good, tmp_path):
    damaged = "not a .zip file, or damaged; remove it, then fetch it again"
    whole = good.read_bytes()
    good.unlink()
    bad = tmp_path / "bad.zip"
    for content in (b"", b"hello", whole[:-30], whole[: len(whole) // 2]):
        bad.write_bytes(content)
        assert refused(bad) == damaged
    at = whole.index(GOOD["chest_xray/test/NORMAL/c.jpeg"][:50])
    bad.write_bytes(whole[:at] + bytes(50) + whole[at + 50 :])
    assert refused(bad, inside="chest_xray") == damaged


def test_no_room(good, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=5))
    with pytest.raises(WorkFailed) as error:
        unpack(good, tmp_path / "set", origin="x", inside="chest_xray", reading=silent)
    needed = sum(map(len, GOOD.values())) + 3 * 4096
    assert str(error.value) == (
        f"{tmp_path}: {needed:,} bytes are needed, 5 are free; free some space, then the same command goes on from"
        " here, or add --to DIR"
    )
    assert os.listdir(tmp_path) == ["good.zip"]


def test_a_disk_that_fails_anywhere_leaves_no_half_set(good, tmp_path):
    folder = tmp_path / "set"
    with using(Counting()) as counted:
        unpack(good, folder, origin="x", inside="chest_xray", reading=silent)
    total = len(counted.names)
    assert total > 20
    for number in range(1, total + 1):
        module.shutil.rmtree(folder, ignore_errors=True)
        with using(Failing(number, FULL, lasting=True)), pytest.raises(OSError, match="Errno") as error:
            unpack(good, folder, origin="x", inside="chest_xray", reading=silent)
        assert error.value.errno == errno.ENOSPC
        left = set(os.listdir(tmp_path))
        # what comes after the rename makes it durable
        assert left - {"set"} == {"good.zip"}
        assert is_unpacked(folder, "x") == ("set" in left)


def test_a_process_that_is_killed_anywhere_leaves_no_half_set(good, tmp_path):
    folder = tmp_path / "set"
    with using(Counting()) as counted:
        unpack(good, folder, origin="x", inside="chest_xray", reading=silent)
    for number in range(2, len(counted.names) + 1, 3):
        module.shutil.rmtree(folder, ignore_errors=True)

        def work():
            unpack(good, folder, origin="x", inside="chest_xray", reading=silent)

        assert in_a_killed_process(number, work)
        if not is_unpacked(folder, "x"):
            work()
        assert is_unpacked(folder, "x")
        assert sorted(os.listdir(tmp_path)) == ["good.zip", "set"]
