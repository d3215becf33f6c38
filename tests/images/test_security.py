"""Security S1 to S6 of what is read: nothing is unpickled, bombs stay small, nothing is followed, no header is told.

S7 is shown by test_unpack.py, and that nothing of a header is kept by test_dicom.py; damaged files of every kind are
given to every reader by tests/reliability/fuzz.py.
"""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import time
import traceback
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from doubleread.analysis.logits_file import read_logits_file
from doubleread.errors import UnreadableImage, UserError
from doubleread.images import decode_file, open_source
from doubleread.images.dicom import header_of
from doubleread.images.image_file import mode_of_file
from doubleread.study import load_study
from doubleread.study.claims_file import load_claims
from doubleread.training.model import load_start
from tests.conftest import draw_images, needed, write_folder
from tests.images.dicom_files import write_dicom

SALT = "a salt for the tests"
MIB = 2**20


@pytest.fixture(autouse=True)
def _salt(monkeypatch):
    monkeypatch.setenv("DOUBLEREAD_SALT", SALT)


def in_child(code: str, *arguments: object) -> dict:
    """Run code, which prints JSON, in a fresh process; raises if that does not end well."""
    if sys.platform != "linux":
        pytest.skip("memory is looked up in /proc")
    line = [sys.executable, "-c", PREAMBLE + code, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


PREAMBLE = """
import json, resource, sys
from pathlib import Path
from doubleread.errors import UnreadableImage, UserError
from doubleread.images import decode_file, open_source

def mib(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key + ":")) / 1024

def reason(call):
    try:
        call()
    except (UnreadableImage, UserError) as error:
        return str(error)
    return None
"""


class Mark:
    """Makes a folder if it is ever unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def poisons(marker: Path) -> dict[str, bytes]:
    """Return files that make `marker` when they are unpickled, by what they are called."""
    several = np.empty(3, dtype=object)
    several[:] = [Mark(marker)] * 3
    array, arrays, state = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(array, several, allow_pickle=True)
    splits = {f"{split}_{what}": several for split in ("train", "val", "test") for what in ("images", "labels")}
    np.savez(arrays, **splits)
    torch.save({"weight": Mark(marker)}, state)
    return {"x.pkl": pickle.dumps(Mark(marker)), "x.npy": array.getvalue(), "x.npz": arrays.getvalue(),
            "x.pt": state.getvalue()}  # fmt: skip


def test_the_poison_works(tmp_path):
    """S1: what the tests below use does leave a mark where it is unpickled."""
    marker = tmp_path / "marker"
    pickle.loads(poisons(marker)["x.pkl"])
    assert marker.exists()


@pytest.mark.parametrize("name", ["x.pkl", "x.npy", "x.npz", "x.pt"])
def test_nothing_is_unpickled_wherever_it_is_given(tmp_path, name):
    """S1: as an image, a data source, a table, weights to start from, a study, claims, logits: refused, and no mark."""
    marker = tmp_path / "marker"
    content = poisons(marker)[name]
    for call in (decode_file, mode_of_file):
        with pytest.raises(UnreadableImage):
            call(content)
    images = tmp_path / "images" / "A"
    images.mkdir(parents=True)
    for suffix in ("png", "jpg", "tif", "dcm", "pt"):
        (images / f"x.{suffix}").write_bytes(content)
    source = open_source(str(images.parent))
    for index in range(len(source.items)):
        with pytest.raises(UnreadableImage):
            source.read(index)
    for suffix in ("npz", "csv", "tsv", "parquet", "safetensors", "pt", "yaml"):
        path = tmp_path / f"it.{suffix}"
        path.write_bytes(content)
        with pytest.raises(UserError):
            open_source(str(path))
    arrays = tmp_path / "arrays"
    arrays.mkdir()
    (arrays / "0.npy").write_bytes(content)
    with pytest.raises(UserError):
        open_source(str(arrays))
    for read in (load_study, read_logits_file, lambda path: load_claims(path, ["a"])):
        with pytest.raises(UserError):
            read(tmp_path / "it.yaml")
    for suffix in ("safetensors", "pt"):
        with pytest.raises(UserError):
            load_start(nn.Linear(2, 1), str(tmp_path / f"it.{suffix}"))
    assert not marker.exists()


def test_yaml_builds_no_objects(tmp_path):
    """S1: a tag of Python in a study file or a file of claims calls nothing."""
    marker = tmp_path / "marker"
    path = tmp_path / "it.yaml"
    for tag in ("object/apply:builtins.open", "object/new:builtins.open", "name:builtins.open", "module:os"):
        path.write_text(f"study: !!python/{tag} ['{marker}', w]\nclaims: 1\n")
        for read in (load_study, lambda path: load_claims(path, ["a"])):
            with pytest.raises(UserError):
                read(path)
    assert not marker.exists()


def npy_header(text: str, version: int = 1, said: int | None = None) -> bytes:
    size = len(text) if said is None else said
    return b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 if version == 1 else 4, "little") + text.encode()


def described(shape: str, descr: str = "|u1") -> str:
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"


def write_bombs(folder: Path) -> None:
    """Write arrays that ask for much more memory than they are large."""
    wanted = npy_header(described("(32, 1024, 1024, 1024)").ljust(118))
    assert len(wanted) == 128
    arrays = {
        "wants-32-gib": wanted,
        "long-header": npy_header(" ", 2, said=2**31),
        "no-size": npy_header(described("(1000000000000, 8, 8)", "|S0")),
        "many": npy_header(described("(100000000, 1, 1)")) + bytes(1),
    }
    for name, content in arrays.items():
        (folder / name).mkdir()
        (folder / name / "0.npy").write_bytes(content)
    # a file with a hole is small on the disk
    with (folder / "many" / "0.npy").open("r+b") as handle:
        handle.truncate(2**27)
    (folder / "mapped").mkdir()
    with (folder / "mapped" / "0.npy").open("wb") as handle:
        handle.write(npy_header(described("(8, 16384, 65536)")))
        handle.truncate(2**34)
    six = {
        f"{split}_{what}.npy": npy_header(described(shape)) + bytes(6_000_000)
        for split in ("train", "val", "test")
        for what, shape in (("images", "(6000000, 1, 1)"), ("labels", "(6000000,)"))
    }
    archives = {
        "header.npz": {"train_images.npy": npy_header(" " * (64 * MIB), 2)},
        "members.npz": {f"{number}.npy": b"" for number in range(200)},
        "wants.npz": {"train_images.npy": wanted},
        "many.npz": six,
    }
    for name, members in archives.items():
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
    zeros = npy_header(described("(560, 1024, 1024)"))
    with (
        zipfile.ZipFile(folder / "ratio.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("train_images.npy", "w") as member,
    ):
        member.write(zeros)
        for _ in range(560):
            member.write(bytes(MIB))
    size = struct.pack("<I", len(zeros) + 560 * MIB)
    (folder / "lies.npz").write_bytes((folder / "ratio.npz").read_bytes().replace(size, struct.pack("<I", 1000)))


def test_arrays_that_ask_for_too_much(tmp_path):
    """S2: bombs of .npy and .npz are refused with 512 MiB above what the process has."""
    write_bombs(tmp_path)
    paths = sorted(tmp_path.iterdir())
    found = in_child(
        """
limit = int(mib("VmSize") + 512) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(json.dumps([reason(lambda: open_source(path)) for path in sys.argv[1:]]))
""",
        *paths,
    )
    reasons = {path.name: why.split(": ", 1)[1] for path, why in zip(paths, found, strict=True)}
    large = " for each; do not trust this file, or save it again with numpy.savez"
    for name in ("ratio.npz", "header.npz"):
        assert reasons.pop(name).endswith(f"; expected at most 100{large}")
    assert reasons == {
        "wants-32-gib": "the header asks for 34,359,738,496 bytes, the file has 128; copy the file again",
        "long-header": "not a .npy array, or damaged; copy the file again",
        "no-size": "values without a size (|S0); expected uint8 pixels; save it as uint8",
        "many": "100,000,000 images; expected at most 5,000,000; split the array",
        "mapped": "its 8,589,934,673 bytes cannot be mapped (Cannot allocate memory); allow the process more memory",
        "lies.npz": "not a .npy array, or damaged; copy the file again",
        "members.npz": "200 members; expected at most 100",
        "wants.npz": "the header asks for 34,359,738,368 bytes, there are 128",
        "many.npz": "6,000,000 images; expected at most 5,000,000; split the array",
    }


def png(width: int, height: int) -> bytes:
    """Return a PNG of black and white pixels, all black."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(width: int, height: int) -> bytes:
    """Return a TIFF of the same, in one strip, compressed (Adobe's deflate)."""
    strip = zlib.compress(bytes((width + 7) // 8 * height))
    entries = [(256, 4, width), (257, 4, height), (258, 3, 1), (259, 3, 8), (262, 3, 1), (273, 4, 8 + 2 + 9 * 12 + 4),
               (277, 3, 1), (278, 4, height), (279, 4, len(strip))]  # fmt: skip
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + strip


@pytest.mark.parametrize("make", [png, tiff])
def test_a_decompression_bomb_takes_no_memory(tmp_path, make):
    """S3: 14,000 × 14,000 pixels in 25 kB are refused, and the process is no larger at any time."""
    (tmp_path / "small").write_bytes(make(64, 48))
    (tmp_path / "bomb").write_bytes(make(14_000, 14_000))
    assert decode_file((tmp_path / "small").read_bytes()).shape == (48, 64)
    assert (tmp_path / "bomb").stat().st_size < 40_000
    found = in_child(
        """
small, bomb = (Path(path).read_bytes() for path in sys.argv[1:])
decode_file(small)
before = mib("VmHWM")
reasons = [reason(lambda: decode_file(bomb, colour=colour)) for colour in (False, True)]
print(json.dumps({"reasons": reasons, "grown": mib("VmHWM") - before}))
""",
        tmp_path / "small",
        tmp_path / "bomb",
    )
    assert found["reasons"] == ["too many pixels; expected at most 89,478,485"] * 2
    assert found["grown"] < 8


def test_an_alias_bomb_is_refused_in_less_than_a_second(tmp_path):
    """S4: nine lists of nine aliases each would be 387,420,489 values; YAML 1.2 and keys are in test_study_file.py."""
    rows = ["a: &a [" + ",".join(["lol"] * 9) + "]"]
    rows += [
        f"{new}: &{new} [" + ",".join([f"*{old}"] * 9) + "]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    path = tmp_path / "it.yaml"
    path.write_text("\n".join(rows))
    for read in (load_study, lambda path: load_claims(path, ["a"])):
        began = time.process_time()
        with pytest.raises(UserError) as error:
            read(path)
        assert time.process_time() - began < 1
        assert str(error.value) == f"{path}: more than 100,000 values; expected at most 100,000"


def test_a_large_study_file_is_refused_before_it_takes_a_minute(tmp_path):
    """S4: what the size allows and nobody has time for."""
    path = tmp_path / "it.yaml"
    path.write_text("a: [" + "1," * 500_000 + "1]")
    began = time.process_time()
    with pytest.raises(UserError) as error:
        load_study(path)
    assert time.process_time() - began < 8
    assert str(error.value) == f"{path}: more than 50,000 values; expected at most 50,000"


@pytest.mark.parametrize("text", ["study: a\nstudy: b\n", "{claims: [], claims: []}"])
def test_a_key_that_stands_twice(tmp_path, text):
    """S4: duplicate keys, in a study file and in a file of claims; unknown keys are in test_study_file.py."""
    path = tmp_path / "it.yaml"
    path.write_text(text)
    for read in (load_study, lambda path: load_claims(path, ["a"])):
        with pytest.raises(UserError, match='duplicate key "'):
            read(path)


def test_an_unknown_key_of_a_file_of_claims(tmp_path):
    """S4: with a suggestion."""
    path = tmp_path / "it.yaml"
    path.write_text("margn: {accuracy: 0.02}\nclaims: [{id: x, metric: accuracy, arm: a, above: 0.5}]\n")
    with pytest.raises(UserError) as error:
        load_claims(path, ["a"])
    assert str(error.value) == 'it.yaml, margn: unknown key "margn"; did you mean "margin"?'


def write_directory(path: Path, *names: list[str]) -> None:
    """Write a DICOMDIR that lists files."""
    needed("pydicom")
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = MediaStorageDirectoryStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    found = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    found.DirectoryRecordSequence = []
    for name in names:
        record = Dataset()
        record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", name
        found.DirectoryRecordSequence.append(record)
    found.save_as(path, enforce_file_format=True)


def test_a_dicomdir_is_not_followed(tmp_path):
    """S5: of files that a DICOMDIR names outside the folder, and inside it, none is opened for that."""
    needed("pydicom")
    root = tmp_path / "root"
    (root / "train" / "A").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for path in (tmp_path / "outside.dcm", root / ".hidden" / "IM1", root / "train" / "A" / "IM0"):
        write_dicom(path, draw_images(1, 0, 0)[0])
    for folder in (root, root / "train", root / "train" / "A"):
        outside = [[".."] * up + ["outside.dcm"] for up in (1, 2, 3)]
        write_directory(folder / "DICOMDIR", *outside, ["..", "..", ".hidden", "IM1"], [".hidden", "IM1"])
    found = in_child(
        """
import os
root = Path(sys.argv[1])
decode_file((root / "train/A/IM0").read_bytes())
opened = []

def see(event, arguments):
    if event == "open" and isinstance(arguments[0], str | bytes):
        opened.append(os.fsdecode(arguments[0]))

sys.addaudithook(see)
source = open_source(str(root))
read = lambda i: (source.mode(i), source.digest(i), source.read(i))
reasons = {source.shown(i): reason(lambda: read(i)) for i in range(len(source.items))}
print(json.dumps({"reasons": reasons, "opened": sorted(set(opened))}))
""",
        root,
    )
    assert found["reasons"] == {
        "train/A/DICOMDIR": "a DICOMDIR, which is no image; its files are not followed",
        "train/A/IM0": None,
    }
    assert found["opened"] == [str(root / "train" / "A" / name) for name in ("DICOMDIR", "IM0")]


CANARIES = ("Canaryson", "CANARY", "canary")
TOLD = {
    # each is read as a number, a name or a code, and what reads it says what it read
    "RescaleSlope": ("1.2345678", "CANARY-47"),
    "WindowCenter": ("512.34567", "CANARY-47"),
    "NumberOfFrames": ("1234", "CANA"),
    "PhotometricInterpretation": ("MONOCHROME2", "CANARY-4711"),
    "TransferSyntaxUID": ("1.2.840.10008.1.2.1\0", "CANARY.10008.1.2.1\0\0"),
    "MediaStorageSOPClassUID": ("1.2.840.10008.5.1.4.1.1.7", "CANARY.10008.5.1.4.1.1.77"),
    "SpecificCharacterSet": ("ISO_IR 100", "CANARY 100"),
    "StudyDate": ("20240131", "CANARY-1"),
}


def with_canaries(folder: Path) -> bytes:
    """Return an image of a patient whose name, number and doctor are canaries, with texts that `broken` changes."""
    tags = {tag: text for tag, (text, _) in TOLD.items() if tag not in ("TransferSyntaxUID", "MediaStorageSOPClassUID")}
    tags |= {"NumberOfFrames": "1234", "WindowWidth": "400"}
    return write_dicom(
        folder / "one.dcm",
        draw_images(1, 0, 0)[0].astype(np.uint16),
        PatientName="Canaryson^Jane",
        PatientID="CANARY-4711",
        ReferringPhysicianName="Dr Canary canary",
        **tags,
    ).read_bytes()


def broken(content: bytes) -> list[bytes]:
    """Return a DICOM file cut off in many places, with noise in many places, and with a canary in each tag."""
    rng = np.random.default_rng(0)
    found = [content[:end] for end in range(132, len(content), 11)]
    for at in rng.integers(132, min(len(content) - 8, 900), 150):
        found.append(content[:at] + rng.bytes(int(rng.integers(1, 8))) + content[at + 4 :])
    for old, new in TOLD.values():
        assert old.encode() in content
        found.append(content.replace(old.encode(), new.encode(), 1).replace(b"1234", b"1   "))
    return found


def test_no_error_or_warning_repeats_a_header(tmp_path):
    """S6: of damaged DICOM neither a reason nor a traceback, of chained errors too, nor a warning repeats a name."""
    needed("pydicom")
    content = with_canaries(tmp_path)
    told, refused = [], 0
    with warnings.catch_warnings(record=True) as warned:
        # as the program has it
        warnings.simplefilter("default")
        warnings.filterwarnings("ignore", module="pydicom")
        for damaged in broken(content):
            for call in (decode_file, mode_of_file, header_of):
                try:
                    call(damaged)
                except UnreadableImage as error:
                    refused += 1
                    told += [str(error), *traceback.format_exception(error)]
    told += [str(one.message) for one in warned]
    assert refused > 100
    assert not [text for text in told if any(canary in text for canary in CANARIES)]


def test_nothing_that_is_printed_repeats_a_header(tmp_path):
    """S6: nor has what the libraries say by themselves, on the terminal of a process of its own."""
    needed("pydicom")
    content = with_canaries(tmp_path)
    for number, damaged in enumerate(broken(content)):
        (tmp_path / f"{number}.dcm").write_bytes(damaged)
    code = """
from doubleread.images.dicom import header_at, header_of
for path in Path(sys.argv[1]).glob("*.dcm"):
    for call in (lambda: decode_file(path.read_bytes()), lambda: header_of(path.read_bytes()), lambda: header_at(path)):
        reason(call)
"""
    line = [sys.executable, "-c", PREAMBLE + code, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=120)
    assert not [canary for canary in CANARIES if canary in done.stdout + done.stderr]


def test_a_pipe_among_the_images_is_listed_and_not_waited_for(tmp_path):
    """R11: what would never end is no image."""
    needed("pydicom")
    root = write_folder(tmp_path / "images", train=2, test=2)
    for name in ("pipe", "pipe.png", "pipe.dcm"):
        os.mkfifo(root / "train" / "NORMAL" / name)
    (tmp_path / "t.csv").write_text("path,label\nimages/train/NORMAL/pipe,1\nimages/train/NORMAL/pipe.dcm,0\n")
    found = in_child(
        """
told = {}
for path, kind in ((sys.argv[1], None), (sys.argv[1], "dicom"), (sys.argv[2], None)):
    source = open_source(path, kind=kind)
    pipes = [i for i in range(len(source.items)) if "pipe" in source.shown(i)]
    told[f"{Path(path).name} {kind}"] = [reason(lambda: source.read(i)) for i in pipes]
print(json.dumps(told))
""",
        root,
        tmp_path / "t.csv",
    )
    listed = "not a regular file"
    assert found == {
        "images None": [listed, listed, listed],
        "images dicom": [listed] * 3,
        "t.csv None": [listed] * 2,
    }
