"""R11: whatever a file holds, its reader reads it or says why not, soon and in bounded memory."""

import io
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from doubleread.analysis.logits_file import read_logits_file
from doubleread.errors import UnreadableImage, UserError
from doubleread.images import decode_file, open_source
from doubleread.images.image_file import mode_of_file
from doubleread.images.jpeg_frames import frame_sizes
from doubleread.images.table import TableSource
from doubleread.images.unpack import unpack
from doubleread.study.yaml_file import parse_mapping
from tests.conftest import needed

INPUTS = 300
NAMES = ("jpeg", "png", "tiff", "dicom", "header", "npy", "npz", "csv", "parquet", "zip", "study", "claims", "logits")
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
noise = st.text(max_size=200)


@pytest.fixture(autouse=True)
def _salt(monkeypatch):
    monkeypatch.setenv("DOUBLEREAD_SALT", "a salt for the tests")


@pytest.fixture(scope="module")
def targets():
    """Every target by its name."""
    needed("pydicom")
    needed("pyarrow")
    from tests.reliability.fuzz_targets import targets

    return {target.name: target for target in targets()}


@pytest.mark.slow
def test_damaged_files_of_every_kind(tmp_path):
    needed("pydicom")
    needed("pyarrow")
    if sys.platform != "linux":
        pytest.skip("memory is looked up in /proc")
    line = [sys.executable, "-m", "tests.reliability.fuzz", str(INPUTS), "1", str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout
    found = re.findall(r"^(\w+): (\d+) inputs, (\d+) refused, (\d+) read, slowest [\d.]+ s$", done.stdout, re.MULTILINE)
    assert [name for name, *_ in found] == list(NAMES)
    for name, inputs, refused, read in found:
        assert int(refused) + int(read) == int(inputs) == INPUTS, name
        # else nothing behind the first check was reached, or nothing was damaged
        assert int(read) > 0, name
        assert int(refused) > 0, name


def test_what_fuzzing_begins_with_is_read(targets, tmp_path):
    assert tuple(targets) == NAMES
    for name, target in targets.items():
        refused = []
        for number, seed in enumerate(target.seeds):
            place = tmp_path / f"{name}-{number}"
            place.mkdir()
            try:
                target.read(seed, place)
            except (UnreadableImage, UserError) as error:
                refused.append(str(error))
        # without a preamble, as the standard asks for one
        assert refused == ["not a DICOM file"] * (3 if name == "header" else 0), name
    assert len(targets["dicom"].seeds) >= 35


def test_an_input_can_be_made_again(targets):
    from tests.reliability.fuzz import input_of

    for target in targets.values():
        inputs = [input_of(target, 1, number) for number in range(20)]
        assert inputs == [input_of(target, 1, number) for number in range(20)], target.name
        assert len(set(inputs)) > 10, target.name
        assert inputs != [input_of(target, 2, number) for number in range(20)], target.name


WRONG = {
    "an exception": ("raise KeyError('x')", "KeyError: 'x'"),
    "a crash": ("os.abort()", "SIGABRT"),
    "an end": ("os._exit(9)", "exit code 9"),
    "memory": ("bytes(2**33)", "MemoryError"),
    "memory that is kept": ("kept.append(bytes(2**30))", "bytes are kept"),
    "time": ("sum(range(10**8))", " s"),
    "nothing said": ("raise UnreadableImage(' ')", "a reason without words"),
    "a name": ("raise UnreadableImage('of Canaryson^Jane')", "a patient's name in a reason"),
    "a name in a chain": (
        "raise UnreadableImage('x') from ValueError('Canaryson^Jane')",
        "a patient's name in a trace",
    ),
}
HARNESS = """
import os, sys
from pathlib import Path
from doubleread.errors import UnreadableImage
from tests.reliability import fuzz
kept = []
fuzz.SLOW = 0.5
fuzz.input_of = lambda target, seed, number: b"x" * (number + 1)
for line in sys.argv[2:]:
    def read(content, folder):
        if content == b"xx":
            exec(line)
    target = fuzz.Target(name="it", seeds=(), read=read, mutators=())
    print(fuzz.run(target, 3, 1, Path(sys.argv[1]))[:4], flush=True)
"""


def test_a_reader_that_is_wrong_is_found(tmp_path):
    """Else the program shows nothing."""
    needed("pydicom")
    needed("pyarrow")
    if sys.platform != "linux":
        pytest.skip("memory is looked up in /proc")
    line = [sys.executable, "-c", HARNESS, str(tmp_path), *(wrong for wrong, _ in WRONG.values())]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=120)
    *told, end = done.stdout.split("(3, 0, 2, 1)\n")
    assert end == ""
    for (what, (_, expected)), text in zip(WRONG.items(), told, strict=True):
        assert text.startswith("it, seed 1, number 1: "), what
        assert expected in text, what
    assert (tmp_path / "it-1-1.bin").read_bytes() == b"xx"


# --- what was found


def dicom(name: str, **tags) -> bytes:
    """Return a file that pydicom ships, with other values in some tags."""
    needed("pydicom")
    import pydicom
    from pydicom import data

    content = (Path(data.__file__).parent / "test_files" / name).read_bytes()
    if not tags:
        return content
    found, out = pydicom.dcmread(io.BytesIO(content)), io.BytesIO()
    for tag, value in tags.items():
        setattr(found, tag, value)
    found.save_as(out)
    return out.getvalue()


def without_lines() -> bytes:
    """Return a JPEG that gives its number of lines later, or never."""
    content = dicom("SC_rgb_jpeg_dcmtk.dcm")
    at = content.rindex(b"\xff\xc0\0\x11\x08") + 5
    return content[:at] + bytes(2) + content[at + 2 :]


def of_9000_lines() -> bytes:
    """Return a JPEG-LS of a few kilobytes that is as large in its stream as in its header."""
    content = dicom("MR_small_jpeg_ls_lossless.dcm", Rows=9000, Columns=9000)
    at = content.rindex(b"\xff\xf7\0\x0b") + 5
    return content[:at] + struct.pack(">HH", 9000, 9000) + content[at + 4 :]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (without_lines, "0 × 100 pixels when unpacked, which is not what its header says"),
        (of_9000_lines, "162,000,000 bytes unpacked, from 4,430; expected at most 1,000 for each"),
        # a decoder in Rust, whose panic is no Exception
        (lambda: dicom("MR_small_RLE.dcm", Rows=63), "damaged DICOM pixels (PanicException)"),
        (lambda: dicom("MR_small.dcm", Rows=32), "more pixels than those of one image"),
        (
            lambda: dicom("SC_rgb_gdcm_KY.dcm", PhotometricInterpretation="MONOCHROME2"),
            "3 samples a pixel; expected 1 of grey, 3 of colour",
        ),
        (lambda: dicom("MR_small.dcm").replace(b"UI", b"QI", 1), "damaged DICOM header (NotImplementedError)"),
    ],
    ids=["no lines", "blown up", "panic", "two images", "grey of three", "unknown kind of value"],
)
def test_images_of_dicom(make, reason):
    for colour in (False, True):
        with pytest.raises(UnreadableImage) as error:
            decode_file(make(), colour=colour)
        assert str(error.value) == reason


def test_a_path_that_is_none(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("path,label\na\0b,x\n" + "c" * 300 + ",y\n")
    source = open_source(str(path))
    for index, reason in enumerate(("no such file", "cannot be read (File name too long)")):
        for call in (source.read, source.mode, source.digest):
            with pytest.raises(UnreadableImage) as error:
                call(index)
            assert str(error.value) == reason


def test_a_value_that_is_no_value(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("path,label\na.png," + "x" * 5000 + "\n")
    with pytest.raises(UserError) as error:
        open_source(str(path))
    assert str(error.value) == f"{path}, row 2: a label of 5,000 letters; expected 4,096 at most"


def test_columns_of_parquet_that_are_no_values(tmp_path):
    needed("pyarrow")
    import pyarrow as pa
    from pyarrow import parquet

    def refused(**columns):
        path = tmp_path / "t.parquet"
        parquet.write_table(pa.table(columns), path, compression="zstd")
        with pytest.raises(UserError) as error:
            open_source(str(path))
        return str(error.value).removeprefix(f"{path}: ")

    assert refused(path=["a"], label=[[1]]) == (
        'the column "label" holds list<element: int64>; expected texts or numbers; set data.columns.label'
    )
    blank = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int32), [" " * 10**6])
    assert "a label of 1,000,000 letters" in refused(path=[f"{i}.png" for i in range(1000)], label=blank)
    assert refused(path=["a"], label=["x" * 40_000_000]).endswith("; expected at most 33,554,432")


def test_an_archive_of_another_compression(tmp_path):
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("train_images.npy", b"x")
    with pytest.raises(UserError) as error:
        open_source(str(path))
    assert str(error.value) == (
        f"{path}, train_images: compression 14; expected what numpy.savez writes; save it again"
    )


def test_an_archive_whose_member_lies_before_it(tmp_path):
    path = tmp_path / "it.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", bytes(100))
    content = path.read_bytes()
    at = content.rindex(b"PK\5\6")
    path.write_bytes(content[: at + 16] + struct.pack("<I", 2**31) + content[at + 20 :])
    with pytest.raises(UserError) as error:
        unpack(path, tmp_path / "out", origin="x", inside=None, reading=lambda *_: None)
    assert str(error.value) == f"{path}: not a .zip file, or damaged; remove it, then fetch it again"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: .inf", "x: the number inf; expected finite numbers; quote it if it is a text"),
        ("a: 1e999", "x: the number inf; expected finite numbers; quote it if it is a text"),
        ("a: !!float ''", "x: not YAML 1.2; check the syntax"),
        # of which the library warns on the terminal
        ("a: &x 1\nb: &x 2\nc: *x", 'x: two anchors "&x"; expected each name once; rename one'),
    ],
)
def test_yaml_that_means_nothing(text, message):
    with pytest.raises(UserError) as error:
        parse_mapping(text, "x")
    assert str(error.value) == message


# --- anything at all


def said_of(call):
    """Call, and return the words of its refusal, or `read`; any other exception goes on."""
    try:
        call()
    except (UnreadableImage, UserError) as error:
        return str(error).strip()
    return "read"


@given(noise)
@example("a: 1__0")
@example("a: !!float ''")
@example("a: .inf")
@example("? [a, b]\n: c")
@example("a: \x00")
def test_any_text_as_a_study_file(text):
    assert said_of(lambda: parse_mapping(text, "x"))
    assert said_of(lambda: parse_mapping(f"a: {text}", "x"))


@in_one_folder
@given(noise)
@example("\0,x")
@example("a" * 300 + ",x")
def test_any_text_as_a_table(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text("path,label\n" + text, encoding="utf-8", errors="surrogatepass")

    def read():
        source = TableSource(path)
        for index in range(len(source.items)):
            source.read(index)

    assert said_of(read)


@in_one_folder
@given(noise)
@example("a,0\x1d,c,0,1")
@example("a,0,c,0\x1e,1")
def test_any_text_as_logits(tmp_path, text):
    path = tmp_path / "l.csv"
    path.write_text("arm,seed,case,label,logit\n" + text, encoding="utf-8", errors="surrogatepass")
    assert said_of(lambda: read_logits_file(path))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")
@given(
    st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", bytes(128) + b"DICM"]),
    st.binary(),
)
def test_any_bytes_as_an_image(magic, content):
    assert said_of(lambda: decode_file(magic + content))
    assert said_of(lambda: mode_of_file(magic + content))


@given(st.binary())
def test_any_bytes_as_a_stream_of_jpeg(content):
    for size in frame_sizes(content):
        assert len(size) == 3
        assert min(size) >= 0


def test_the_size_that_a_stream_of_jpeg_announces():
    frame = bytes([0xFF, 0xC0, 0, 11, 8, 0, 24, 0, 19, 1, 1, 0x11, 0])
    # a table that looks like a frame, then the frame, then pixels with a stuffed byte
    stream = b"\xff\xd8" + b"\xff\xdb\0\4\xff\xc0" + frame + b"\xff\xda\0\2ab\xff\0\xff\xd9"
    assert frame_sizes(stream) == [(24, 19, 1)]
    assert frame_sizes(stream[:-2] + b"\xff\xdc\0\4\0\x18") == [(24, 19, 1), (0, 0, 0)]
    assert frame_sizes(frame * 2) == [(24, 19, 1)] * 2
    assert frame_sizes(frame[:8]) == []
