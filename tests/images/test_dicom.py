"""DICOM: pixels as a viewer shows them, who it is of under salted names, and nothing else of a header."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from doubleread.errors import UnreadableImage, UserError
from doubleread.images import open_source
from doubleread.images.dicom import decode_dicom, dicom_mode, header_of
from doubleread.images.image_file import decode_file, mode_of_file
from doubleread.images.salt import salted
from tests.conftest import draw_images, needed
from tests.images.dicom_files import write_dicom

pytestmark = pytest.mark.usefixtures("_pydicom")
CANARIES = ("Canaryson^Jane", "CANARY-4711", "canary ward", "canary secret", "Dr Canary", "19700401")
RAMP = np.arange(12, dtype=np.uint16).reshape(3, 4) * 100


@pytest.fixture(scope="module")
def _pydicom():
    needed("pydicom")


@pytest.fixture(autouse=True)
def _salt(monkeypatch):
    monkeypatch.setenv("DOUBLEREAD_SALT", "a salt for the tests")


def made(tmp_path, pixels=RAMP, **header):
    return write_dicom(tmp_path / "one.dcm", pixels, **header).read_bytes()


def test_without_a_window_the_range_that_can_be_stored_is_kept(tmp_path):
    pixels = decode_dicom(made(tmp_path, BitsStored=12, HighBit=11))
    assert pixels.dtype == np.uint16
    assert np.abs(pixels / 65535 - RAMP / 4095).max() < 1e-4
    eight = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    assert np.array_equal(decode_dicom(made(tmp_path, eight)), eight)


def test_a_window_is_that_of_the_standard(tmp_path):
    # PS3.3 C.11.2.1.2: linear, centre c, width w: ((x − (c − 0.5)) / (w − 1) + 0.5) of the range
    centre, width = 500, 401
    pixels = decode_dicom(made(tmp_path, BitsStored=12, HighBit=11, WindowCenter=centre, WindowWidth=width))
    expected = np.clip((RAMP - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    assert np.abs(pixels / 65535 - expected).max() < 1e-4


def test_the_window_is_one_of_rescaled_values(tmp_path):
    shifted = made(
        tmp_path, BitsStored=12, HighBit=11, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=0, WindowWidth=1001
    )
    expected = np.clip((RAMP * 2.0 - 1024 + 0.5) / 1000 + 0.5, 0, 1)
    assert np.abs(decode_dicom(shifted) / 65535 - expected).max() < 1e-3


def test_monochrome1_is_turned_over(tmp_path):
    plain = decode_dicom(made(tmp_path, BitsStored=12, HighBit=11))
    turned = decode_dicom(made(tmp_path, BitsStored=12, HighBit=11, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(turned, 65535 - plain)


def test_padding_is_black_either_way(tmp_path):
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        pixels = decode_dicom(made(tmp_path, PixelPaddingValue=1100, PhotometricInterpretation=photometric))
        assert pixels[2, 3] == 0
        assert pixels[1, 1] > 0


def test_signed_pixels(tmp_path):
    signed = RAMP.astype(np.int16) - 600
    pixels = decode_dicom(made(tmp_path, signed))
    assert np.abs(pixels / 65535 - (signed + 32768.0) / 65535).max() < 1e-4


def test_colour(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    content = made(tmp_path, colour)
    assert dicom_mode(content) == "RGB"
    assert np.array_equal(decode_dicom(content, colour=True), colour)
    assert np.array_equal(decode_dicom(content), np.asarray(Image.fromarray(colour).convert("L")))
    grey = decode_dicom(made(tmp_path, colour[:, :, 0]), colour=True)
    assert np.array_equal(grey, np.repeat(colour[:, :, :1], 3, axis=2))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"NumberOfFrames": 5}, "5 frames; expected one image a file"),
        ({"Rows": 0}, "0 × 4 pixels; expected 1 to 89,478,485"),
        ({"Rows": 60000, "Columns": 60000}, "60000 × 60000 pixels; expected 1 to 89,478,485"),
        ({"BitsAllocated": 32}, "1 × 32 bits a pixel; expected 1 or 3 of 1, 8 or 16 bits"),
        ({"PhotometricInterpretation": "CMYK"}, "a photometric interpretation that is not known"),
        ({"Columns": 9}, "damaged DICOM pixels (ValueError)"),
    ],
)
def test_reasons(tmp_path, header, reason):
    with pytest.raises(UnreadableImage) as error:
        decode_dicom(made(tmp_path, **header))
    assert str(error.value) == reason


def test_no_pixels_and_no_dicom(tmp_path):
    content = made(tmp_path)
    with pytest.raises(UnreadableImage, match="not a DICOM file"):
        decode_dicom(content[1:])
    with pytest.raises(UnreadableImage, match=r"^damaged DICOM|^DICOM without"):
        decode_dicom(content[:400])


def shipped():
    needed("pydicom")
    from pydicom import data

    folder = Path(data.__file__).parent
    return folder, sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc", ".json"))


def test_every_file_that_pydicom_ships_is_read_or_refused_with_a_reason():
    folder, files = shipped()
    read, refused = {}, {}
    for path in files:
        content = path.read_bytes()
        try:
            pixels, mode = decode_file(content), mode_of_file(content)
            assert decode_file(content, colour=True).shape == (*pixels.shape, 3)
            assert mode.endswith(";16") == (pixels.dtype == np.uint16), path
            read[str(path.relative_to(folder))] = pixels
        except UnreadableImage as reason:
            refused[str(path.relative_to(folder))] = str(reason)
    assert len(read) + len(refused) == len(files)
    assert len(read) >= 85, refused
    assert all(refused.values())
    # the same image in six encodings is the same image
    encodings = [read[f"test_files/MR_small{end}.dcm"] for end in ("", "_RLE", "_bigendian", "_implicit", "_padded")]
    assert all(np.array_equal(one, encodings[0]) for one in encodings)
    assert np.array_equal(read["test_files/MR_small_jp2klossless.dcm"], encodings[0])
    assert np.array_equal(read["test_files/MR_small_jpeg_ls_lossless.dcm"], encodings[0])
    what = {name.split("/")[-1]: reason for name, reason in refused.items()}
    assert what["DICOMDIR"] == "a DICOMDIR, which is no image; its files are not followed"
    assert what["rtdose.dcm"] == "15 frames; expected one image a file"
    assert what["rtplan.dcm"] == "DICOM without pixels of whole numbers"
    assert what["MR_truncated.dcm"] == "damaged DICOM pixels (ValueError)"


def test_a_compressed_stream_that_lies_about_its_size_is_refused_before_it_is_decoded():
    _, files = shipped()
    content = bytearray(next(p for p in files if p.name == "JPEG2000.dcm").read_bytes())
    at = content.index(b"\xff\x4f\xff\x51") + 2
    assert struct.unpack(">II", content[at + 6 : at + 14]) == (256, 1024)
    content[at + 6 : at + 14] = struct.pack(">II", 60000, 60000)
    with pytest.raises(UnreadableImage, match=r"60000 × 60000 pixels when unpacked|damaged DICOM pixels"):
        decode_dicom(bytes(content))


def test_a_deflated_bomb_is_refused(tmp_path):
    _, files = shipped()
    content = next(p for p in files if p.name == "image_dfl.dcm").read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()
    assert len(bomb) < 2**20
    with pytest.raises(UnreadableImage, match="it unpacks to more than 268,435,456 bytes"):
        decode_dicom(content[:start] + bomb)


def test_a_deflated_bomb_behind_a_header_that_misleads_is_refused():
    _, files = shipped()
    content = next(p for p in files if p.name == "image_dfl.dcm").read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()
    # the syntax stands behind 4,000 bytes of something else
    version = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 4000) + bytes(4000)
    far = content[:144] + version + content[144 + 14 :][: start - 144 - 14] + bomb
    # the length of the header counts the bomb as a part of it
    long = content[:140] + struct.pack("<I", start - 144 + len(bomb)) + content[144:start] + bomb + content[start:]
    for misleading in (far, long):
        with pytest.raises(UnreadableImage) as error:
            header_of(misleading)
        assert "unpacks to more than" in str(error.value) or "damaged DICOM" in str(error.value)


def test_a_scale_that_falls_is_windowed_as_its_values_are(tmp_path):
    # 0 to 4095 becomes 4095 to 0, and the window is the whole range
    falling = {"BitsStored": 12, "HighBit": 11, "RescaleSlope": -1, "RescaleIntercept": 4095}
    plain = decode_dicom(made(tmp_path, **falling))
    windowed = decode_dicom(made(tmp_path, **falling, WindowCenter=2048, WindowWidth=4096))
    assert np.abs(plain / 65535 - (4095.0 - RAMP) / 4095).max() < 1e-4
    assert np.abs(windowed.astype(int) - plain.astype(int)).max() <= 20


def test_a_slope_alone_is_no_scale(tmp_path):
    alone = decode_dicom(made(tmp_path, BitsStored=12, HighBit=11, RescaleSlope=2))
    assert np.array_equal(alone, decode_dicom(made(tmp_path, BitsStored=12, HighBit=11)))


@pytest.mark.parametrize(("function", "at_centre"), [("LINEAR_EXACT", 0.5), ("SIGMOID", 0.5)])
def test_other_windows_of_the_standard(tmp_path, function, at_centre):
    header = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 500, "WindowWidth": 400, "VOILUTFunction": function}
    part = decode_dicom(made(tmp_path, **header)) / 65535
    assert part[1, 1] == pytest.approx(at_centre, abs=1e-4)
    expected = (RAMP - 500.0) / 400 + 0.5 if function == "LINEAR_EXACT" else 1 / (1 + np.exp(-4 * (RAMP - 500.0) / 400))
    assert np.abs(part - np.clip(expected, 0, 1)).max() < 1e-4


def test_empty_tags_say_nothing(tmp_path):
    plain = decode_dicom(made(tmp_path))
    for header in ({"PixelPaddingValue": None}, {"WindowCenter": None, "WindowWidth": None}, {"VOILUTSequence": []}):
        assert np.array_equal(decode_dicom(made(tmp_path, **header)), plain)


def archive(root: Path) -> Path:
    """Write a folder of DICOM files whose headers hold canaries."""
    for part, n in (("train", 16), ("test", 6)):
        for label, name in enumerate(("NORMAL", "PNEUMONIA")):
            for i, pixels in enumerate(draw_images(n, label, part == "test")):
                folder = root / part / name / f"patient {i // 2}"
                folder.mkdir(parents=True, exist_ok=True)
                path = write_dicom(
                    folder / f"IM{i:04d}",
                    pixels.astype(np.uint16) * 16,
                    BitsStored=12,
                    HighBit=11,
                    PatientID=f"CANARY-4711-{part}-{label}-{i // 2}",
                    PatientName="Canaryson^Jane",
                    PatientBirthDate="19700401",
                    InstitutionName="canary ward",
                    ReferringPhysicianName="Dr Canary",
                    StudyInstanceUID=f"1.2.{label}.{i // 2}",
                )
                content = path.read_bytes()
                # a private element, too, in front of the pixels
                private = struct.pack("<HH2sH", 0x0029, 0x1010, b"LO", 14) + b"canary secret "
                at = content.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
                path.write_bytes(content[:at] + private + content[at:])
    return root


def test_subject_study_and_series_are_salted(tmp_path, monkeypatch):
    source = open_source(str(archive(tmp_path)))
    assert source.kind == "dicom"
    assert len(source.items) == 44
    first, second, third = source.items[:3]
    assert first.subject == second.subject != third.subject
    assert first.subject == salted("PatientID CANARY-4711-test-0-0")
    assert first.case.split("/")[:2] == ["test", "NORMAL"]
    assert first.case.split("/")[2] == salted("StudyInstanceUID 1.2.0.0")
    assert len({item.case for item in source.items}) == 44
    assert source.shown(0) == "test/NORMAL/patient 0/IM0000"
    monkeypatch.setenv("DOUBLEREAD_SALT", "another salt of this test")
    other = open_source(str(tmp_path)).items[0]
    assert other.subject != first.subject
    assert other.case != first.case


def test_the_salt_is_made_once_and_is_its_owners(tmp_path, monkeypatch):
    monkeypatch.delenv("DOUBLEREAD_SALT")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    told = [
        subprocess.run(
            [sys.executable, "-c", "from doubleread.images.salt import salted; print(salted('x'))"],
            capture_output=True, text=True, check=True,
        ).stdout
        for _ in range(2)
    ]  # fmt: skip
    path = tmp_path / "doubleread" / "salt"
    assert told[0] == told[1]
    assert len(path.read_text().strip()) == 64
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [p.name for p in path.parent.iterdir()] == ["salt"]


def test_a_short_salt_is_refused(monkeypatch):
    monkeypatch.setenv("DOUBLEREAD_SALT", "short")
    with pytest.raises(UserError) as error:
        salted("x")
    assert str(error.value) == "DOUBLEREAD_SALT: 5 letters; expected 16 at least"


def test_a_damaged_file_among_dicom_files_is_listed(tmp_path):
    root = archive(tmp_path)
    (root / "train" / "NORMAL" / "patient 0" / "notes.txt").write_text("Canaryson^Jane")
    (root / "train" / "NORMAL" / "patient 0" / "cut.dcm").write_bytes(
        (root / "train" / "NORMAL" / "patient 0" / "IM0000").read_bytes()[:900]
    )
    source = open_source(str(root))
    reasons = {}
    for i in range(len(source.items)):
        try:
            source.read(i)
        except UnreadableImage as error:
            reasons[source.shown(i).split("/")[-1]] = str(error)
    assert reasons["notes.txt"] == "not a DICOM file, among DICOM files"
    assert reasons["cut.dcm"].startswith(("damaged DICOM", "DICOM without"))
    assert len(reasons) == 2


def test_nothing_of_a_header_is_in_anything_that_is_kept_or_printed(tmp_path):
    root = archive(tmp_path / "archive")
    broken = root / "train" / "NORMAL" / "patient 0" / "IM0000"
    (broken.parent / "broken.dcm").write_bytes(broken.read_bytes()[:-100])
    study = tmp_path / "study.yaml"
    program = [sys.executable, "-m", "doubleread"]
    env = {**os.environ, "DOUBLEREAD_SALT": "a salt for the tests"}

    def call(*arguments, rc=0):
        done = subprocess.run([*program, *arguments], capture_output=True, cwd=tmp_path, env=env, check=False)
        assert done.returncode == rc, done.stderr.decode()
        return done.stdout + done.stderr

    said = [call("data", "describe", str(root)), call("new", str(root), "--out", str(study))]
    said.append(call("run", str(study), "--set", "data.image_size=8", rc=2))
    assert b"1 of 45 images cannot be used" in said[-1]
    assert b"doubleread data describe PATH names the files" in said[-1]
    settings = ["--set", "data.image_size=8", "--set", "data.skip_unreadable=true", "--set", "base.epochs=1"]
    said.append(call("run", str(study), "--seeds", "2", *settings, "--store", "runs"))
    name = next(line.split()[1] for line in study.read_text().splitlines() if line.startswith("study:"))
    said.append(call("report", name, "--store", "runs", "--html", "r.html", "--tables", "tables"))
    kept = [path for top in ("runs", "tables") for path in (tmp_path / top).rglob("*") if path.is_file()]
    for content in [
        *said,
        (tmp_path / "r.html").read_bytes(),
        study.read_bytes(),
        *(path.read_bytes() for path in kept),
    ]:
        for canary in CANARIES:
            assert canary.encode() not in content
    assert len(kept) > 20
    cases = next(path for path in kept if path.name == "cases.csv").read_text()
    assert salted("PatientID CANARY-4711-test-0-0") in cases
    assert np.load(next(path for path in kept if path.name == "images.npy"), mmap_mode="r").dtype == np.uint16


def test_file_names_never_come_from_tags(tmp_path):
    root = archive(tmp_path / "archive")
    hostile = write_dicom(
        root / "train" / "NORMAL" / "hostile.dcm",
        RAMP,
        PatientID="../../../../escaped",
        StudyInstanceUID="../../escaped",
        SeriesInstanceUID="/tmp/escaped",
        ReferencedFileID=["..", "..", "escaped"],
    )
    source = open_source(str(root))
    item = next(item for i, item in enumerate(source.items) if source.shown(i).endswith(hostile.name))
    assert item.case.startswith("train/NORMAL/")
    assert ".." not in item.case
    assert item.subject is not None
    assert len(item.subject) == 12
    assert not list(tmp_path.rglob("*escaped*"))
