"""One conformance suite for every reader: the same images in each layout are read the same."""

import io
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from doubleread.errors import UnreadableImage, UserError
from doubleread.images import READERS, open_source
from doubleread.images.pixels import decode, resize, stored_mode, to_depth
from tests.conftest import draw_images, needed
from tests.images.dicom_files import write_dicom

N = 3
ARRAYS = {(part, label): draw_images(N, label, seed) for seed, part in enumerate(("train", "test")) for label in (0, 1)}


def write(kind, root):
    """Write the same twelve images in one layout; return the path."""
    if kind == "folder":
        for (part, label), images in ARRAYS.items():
            folder = root / part / str(label)
            folder.mkdir(parents=True)
            for i, pixels in enumerate(images):
                Image.fromarray(pixels).save(folder / f"{i}.png")
        return root
    if kind == "npy":
        for (part, label), images in ARRAYS.items():
            (root / part).mkdir(exist_ok=True)
            np.save(root / part / f"{label}.npy", images)
        return root
    if kind in ("dicom", "table"):
        rows = ["path,label,split"]
        for (part, label), images in ARRAYS.items():
            folder = root / part / str(label)
            folder.mkdir(parents=True)
            for i, pixels in enumerate(images):
                if kind == "dicom":
                    write_dicom(folder / f"{i}.dcm", pixels, PatientID=f"{part}-{i}")
                else:
                    Image.fromarray(pixels).save(folder / f"{i}.png")
                    rows.append(f"{part}/{label}/{i}.png,{label},{part}")
        if kind == "dicom":
            return root
        (root / "table.csv").write_text("\n".join(rows) + "\n")
        return root / "table.csv"
    splits = {"train": "train", "val": "train", "test": "test"}
    arrays = {}
    for split, part in splits.items():
        arrays[f"{split}_images"] = np.concatenate([ARRAYS[part, 0], ARRAYS[part, 1]])
        arrays[f"{split}_labels"] = np.repeat([0, 1], N)[:, None].astype(np.uint8)
    np.savez_compressed(root / "set.npz", **arrays)
    return root / "set.npz"


@pytest.fixture(params=sorted(READERS))
def source(request, tmp_path):
    if request.param == "dicom":
        needed("pydicom")
    return open_source(str(write(request.param, tmp_path)))


def test_found_out_from_the_path(source, request):
    assert source.kind == request.node.callspec.params["source"]


def test_pixels_classes_and_parts_are_those_written(source):
    for part in ("train", "test"):
        for label in (0, 1):
            rows = [i for i, item in enumerate(source.items) if item.part == part and item.class_name == str(label)]
            read = np.stack([source.read(i) for i in rows])
            assert read.dtype == np.uint8
            assert np.array_equal(read, ARRAYS[part, label])


def test_case_names_are_unique_and_the_order_is_stable(source):
    names = [item.case for item in source.items]
    assert len(set(names)) == len(names)
    assert names == [item.case for item in open_source(source.location).items]


def test_digest_tells_contents_apart_and_nothing_else(source):
    digests = [source.digest(i) for i in range(len(source.items))]
    again = open_source(source.location)
    assert digests == [again.digest(i) for i in range(len(again.items))]
    train = [d for d, item in zip(digests, source.items, strict=True) if item.part == "train"]
    assert len(set(train)) == len(train)


def test_a_folder_without_parts(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((5, 7), np.uint8)).save(tmp_path / name / "a.jpg")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    source = open_source(str(tmp_path))
    assert [(i.case, i.class_name, i.part) for i in source.items] == [
        ("cat/a.jpg", "cat", None),
        ("dog/a.jpg", "dog", None),
    ]
    assert source.read(0).shape == (5, 7)


def test_npy_without_parts(tmp_path):
    np.save(tmp_path / "0.npy", np.zeros((2, 4, 4), np.uint8))
    np.save(tmp_path / "1.npy", np.ones((3, 4, 4, 3), np.uint8))
    source = open_source(str(tmp_path))
    assert [item.part for item in source.items] == [None] * 5
    assert source.read(4).shape == (4, 4)


def test_a_kind_can_be_asked_for(tmp_path):
    write("folder", tmp_path)
    np.save(tmp_path / "0.npy", np.zeros((1, 4, 4), np.uint8))
    np.save(tmp_path / "1.npy", np.zeros((1, 4, 4), np.uint8))
    # arrays that lie about beside class folders are no data set
    assert open_source(str(tmp_path)).kind == "folder"
    assert open_source(str(tmp_path), kind="npy").kind == "npy"


def encoded(pixels, kind="PNG"):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format=kind)
    return content.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "CMYK"])
def test_every_8_bit_mode_becomes_grey(tmp_path, mode):
    grey = Image.fromarray(np.full((6, 6), 200, np.uint8))
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    grey.convert("RGB").convert(mode, dither=Image.Dither.NONE).save(path)
    pixels = decode(path.read_bytes())
    assert pixels.shape == (6, 6)
    assert abs(int(pixels[3, 3]) - (255 if mode == "1" else 200)) <= 4


def test_colour_becomes_luma():
    content = io.BytesIO()
    Image.fromarray(np.full((2, 2, 3), (255, 0, 0), np.uint8)).save(content, format="PNG")
    assert decode(content.getvalue()).tolist() == [[76, 76], [76, 76]]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"hello, I am text", "not a JPEG, PNG or TIFF file"),
        (lambda: b"", "an empty file"),
        (
            lambda: encoded(np.zeros((4, 4), np.float32), "TIFF"),
            "F pixels; expected 8 or 16 bits, grey, or 8 bits a channel in colour",
        ),
        (lambda: colour_png_of_16_bits(), "16 bits a channel in colour; expected 8, or a .npy array of uint16"),
        (lambda: colour_tiff_of_16_bits(), "16 bits a channel in colour; expected 8, or a .npy array of uint16"),
        (lambda: pages(2), "several pages; expected one image a file"),
        (lambda: encoded(np.zeros((64, 64), np.uint8), "JPEG")[:-20][:200], None),
        (lambda: encoded(np.zeros((4, 4), np.uint8), "BMP"), "not a JPEG, PNG or TIFF file"),
    ],
)
def test_reasons(make, reason):
    with pytest.raises(UnreadableImage) as error:
        decode(make())
    assert reason is None or str(error.value) == reason
    assert str(error.value)


def colour_png_of_16_bits():
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(12) for _ in range(2)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(pixels, order=">", photometric=1):
    """A TIFF of one strip, without compression; what Pillow does not write it does not have."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    strip = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    bits = 8 * pixels.dtype.itemsize
    at = 8 + 2 + 9 * 12 + 4
    entries = [
        (256, 3, width),
        (257, 3, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, at + 6),
        (277, 3, channels),
        (278, 3, height),
        (279, 4, len(strip)),
    ]
    made = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}IH", 8, len(entries))
    for tag, kind, value in entries:
        if tag == 258 and channels == 3:
            made += struct.pack(f"{order}HHII", tag, kind, 3, at)
        else:
            made += struct.pack(f"{order}HHI", tag, kind, 1)
            made += struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
    return made + struct.pack(f"{order}I", 0) + struct.pack(f"{order}HHH", bits, bits, bits) + strip


def colour_tiff_of_16_bits():
    return tiff(np.zeros((2, 2, 3), np.uint16), photometric=2)


def pages(number):
    content = io.BytesIO()
    page = Image.fromarray(np.zeros((4, 4), np.uint8))
    page.save(content, format="TIFF", save_all=True, append_images=[page] * (number - 1))
    return content.getvalue()


DEEP = np.random.default_rng(0).integers(0, 65536, (5, 7)).astype(np.uint16)


@pytest.mark.parametrize(
    "content",
    [
        encoded(DEEP),
        encoded(DEEP, "TIFF"),
        tiff(DEEP, ">"),
        tiff(DEEP, "<"),
        tiff(65535 - DEEP, "<", photometric=0),
    ],
    ids=["png", "tiff", "tiff, big-endian", "tiff, little-endian", "tiff, white is 0"],
)
def test_16_bits_stay(content):
    assert np.array_equal(decode(content), DEEP)
    assert stored_mode(content) == "I;16"
    colour = decode(content, colour=True)
    assert colour.shape == (5, 7, 3)
    assert all(np.array_equal(colour[:, :, channel], DEEP) for channel in range(3))


def test_arrays_of_16_bits_stay(tmp_path):
    colour = np.random.default_rng(1).integers(0, 65536, (2, 5, 7, 3)).astype(">u2")
    np.save(tmp_path / "0.npy", DEEP[None])
    np.save(tmp_path / "1.npy", colour)
    source = open_source(str(tmp_path))
    assert [source.mode(i) for i in range(3)] == ["I;16", "RGB;16", "RGB;16"]
    assert np.array_equal(source.read(0), DEEP)
    assert np.array_equal(source.read(1, colour=True), colour[0])
    luma = colour[0] @ np.array([0.299, 0.587, 0.114])
    assert source.read(1).dtype == np.uint16
    assert np.abs(source.read(1) - luma).max() <= 0.5


def test_a_resized_image_of_16_bits_is_that_of_8_with_finer_steps():
    eight = draw_images(1, 1, 0)[0]
    deep = resize(to_depth(eight, np.dtype(np.uint16)), 5)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - resize(eight, 5)).max() <= 1.0
    assert np.array_equal(to_depth(to_depth(eight, np.dtype(np.uint16)), np.dtype(np.uint8)), eight)
    assert len(np.unique(deep)) > len(np.unique(deep // 257))


def test_a_decompression_bomb_is_refused_before_it_is_decoded():
    content = io.BytesIO()
    Image.new("1", (14000, 14000)).save(content, format="PNG")
    with pytest.raises(UnreadableImage, match="too many pixels; expected at most 89,478,485"):
        decode(content.getvalue())


def test_resize_is_antialiased():
    # one-pixel stripes: without antialiasing, every second row would be kept and the result black or white
    stripes = np.zeros((64, 64), np.uint8)
    stripes[::2] = 255
    small = resize(stripes, 16)
    assert small.shape == (16, 16)
    assert 110 < small.min() <= small.max() < 145
    assert resize(small, 16) is small


def test_a_header_that_lies_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "0.npy"
    np.save(path, np.zeros((2, 4, 4), np.uint8))
    content = path.read_bytes().replace(b"(2, 4, 4)", b"(9,99,99)")
    path.write_bytes(content)
    np.save(tmp_path / "1.npy", np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(UserError) as error:
        open_source(str(tmp_path))
    assert str(error.value) == (
        f"{path}: the header asks for {128 + 9 * 99 * 99:,} bytes, the file has {128 + 32}; copy the file again"
    )


def test_an_unreadable_file_in_a_folder_is_listed_not_dropped(tmp_path):
    write("folder", tmp_path)
    (tmp_path / "train" / "0" / "notes.txt").write_text("hello")
    shutil.copy(tmp_path / "train" / "0" / "0.png", tmp_path / "train" / "0" / "x.gif")
    source = open_source(str(tmp_path))
    reasons = {}
    for i, item in enumerate(source.items):
        try:
            source.read(i)
        except UnreadableImage as error:
            reasons[item.case] = str(error)
    assert reasons == {
        "train/0/notes.txt": ".txt; expected a .jpg, .jpeg, .png, .tif or .tiff file",
        "train/0/x.gif": ".gif; expected a .jpg, .jpeg, .png, .tif or .tiff file",
    }
