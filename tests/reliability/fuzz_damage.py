"""How files are damaged: anywhere, in the numbers that a format keeps in them, in its words, inside its archives."""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np

NUMBERS = (0, 1, 2, 3, 4, 7, 8, 9, 12, 16, 17, 32, 64, 127, 128, 255, 256, 999, 9_400, 2**15 - 1, 2**15, 60_000,
           2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**64 - 1)  # fmt: skip
HEADER, END = 600, 300
"""Bytes at the beginning and at the end of a file in which most of its numbers are."""

Mutator = Callable[[bytes, np.random.Generator], bytes]
Field = tuple[int, str]
"""Where in a file a number stands, and its `struct` format."""


def place(content: bytes, rng: np.random.Generator) -> int:
    """Draw a place: anywhere, or where headers are."""
    n = len(content) + 1
    part = rng.choice(3, p=[0.5, 0.35, 0.15])
    if part == 2:
        return n - 1 - int(rng.integers(min(n, END)))
    return int(rng.integers(min(n, HEADER) if part else n))


def any_of(known: tuple, rng: np.random.Generator):
    return known[rng.integers(len(known))]


def flip_bits(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9)) if content else 0):
        changed[min(place(content, rng), len(content) - 1)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwrite(content: bytes, rng: np.random.Generator) -> bytes:
    kind = any_of(("<", ">"), rng) + any_of(("B", "H", "I", "Q"), rng)
    return written(content, place(content, rng), any_of(NUMBERS, rng), kind)


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: place(content, rng)]


def remove(content: bytes, rng: np.random.Generator) -> bytes:
    start = place(content, rng)
    return content[:start] + content[start + int(rng.geometric(0.05)) :]


def insert(content: bytes, rng: np.random.Generator) -> bytes:
    start, n = place(content, rng), int(rng.geometric(0.02))
    more = rng.bytes(n) if rng.random() < 0.5 else bytes([rng.integers(256)]) * n
    return content[:start] + more + content[start:]


def repeat(content: bytes, rng: np.random.Generator) -> bytes:
    (start, end), target = sorted((place(content, rng), place(content, rng))), place(content, rng)
    return content[:target] + content[start:end] * int(rng.geometric(0.6)) + content[target:]


GENERAL = (flip_bits, overwrite, cut, remove, insert, repeat)


def splice(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    return content[: place(content, rng)] + other[place(other, rng) :]


def written(content: bytes, at: int, value: int, kind: str) -> bytes:
    """Return `content` with a number written over it, as much of it as goes in."""
    size = struct.calcsize(kind)
    packed = struct.pack(kind, value & (2 ** (8 * size) - 1))
    return content[:at] + packed[: len(content) - at] + content[at + size :]


def numbers_at(find: Callable[[bytes], list[Field]]) -> Mutator:
    """Return a mutator of numbers that a format keeps where `find` says: sizes, counts, places."""

    def mutate(content: bytes, rng: np.random.Generator) -> bytes:
        found = [(at, kind) for at, kind in find(content) if 0 <= at <= len(content) - struct.calcsize(kind)]
        if not found:
            return content
        at, kind = any_of(tuple(found), rng)
        (old,) = struct.unpack_from(kind, content, at)
        value = old + int(rng.integers(-3, 4)) if rng.random() < 0.3 else any_of(NUMBERS, rng)
        return written(content, at, value, kind)

    return mutate


def words(*known: bytes) -> Mutator:
    """Return a mutator of text: one of its words, or a stretch between them, becomes one of `known`, or is put in."""

    def mutate(content: bytes, rng: np.random.Generator) -> bytes:
        spans = [match.span() for match in re.finditer(rb"[\w.-]+|\s+|[^\w\s]", content)] or [(0, 0)]
        start, end = spans[rng.integers(len(spans))]
        return content[:start] + any_of(known, rng) + content[start if rng.random() < 0.3 else end :]

    return mutate


def lines(content: bytes, rng: np.random.Generator) -> bytes:
    """Repeat or move a line."""
    rows = content.splitlines(keepends=True) or [b""]
    row, target = rows[rng.integers(len(rows))], int(rng.integers(len(rows) + 1))
    if rng.random() < 0.5:
        rows.remove(row)
    return b"".join([*rows[:target], row, *rows[target:]])


# --- images


def png_numbers(content: bytes) -> list[Field]:
    found, at = [], 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4])
        found += [(at, ">I"), (at + 4, ">I"), *((at + 8 + i, "B") for i in range(min(size, 13)))]
        if content[at + 4 : at + 8] == b"IHDR":
            found += [(at + 8, ">I"), (at + 12, ">I")] * 4
        at += 12 + size
    return found


def png_mended(content: bytes) -> bytes:
    """Return a PNG with its checksums right, so that what lies behind them is reached."""
    changed, at = bytearray(content), 8
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4])
        if end + 4 > len(content):
            break
        changed[end : end + 4] = zlib.crc32(content[at + 4 : end]).to_bytes(4)
        at = end + 4
    return bytes(changed)


def jpeg_numbers(content: bytes) -> list[Field]:
    """Return those of JPEG's segments; those of JPEG 2000's size, too, which begin the same."""
    found: list[Field] = []
    for match in re.finditer(rb"\xff[\xc0-\xfe\x51\x52\x5c\x90]", content):
        at = match.start()
        found += [(at + 1, "B"), (at + 2, ">H"), *((at + 4 + i, "B") for i in range(8))]
        if content[at + 1] in (0xC0, 0xC1, 0xC2, 0xC3, 0xF7):
            found += [(at + 5, ">H"), (at + 7, ">H")] * 4
        if content[at + 1] == 0x51:
            found += [(at + 6 + 4 * i, ">I") for i in range(8)] * 2
    return found


def tiff_numbers(content: bytes) -> list[Field]:
    order = ">" if content[:2] == b"MM" else "<"
    big = b"+" in content[2:4]
    if len(content) < 20:
        return []
    (start,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", content, 8 if big else 4)
    if start + 8 > len(content):
        return []
    (entries,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", content, start)
    count, step, kinds = (8, 20, "HHQQ") if big else (2, 12, "HHII")
    found = [(start, f"{order}H"), (8 if big else 4, f"{order}I")]
    for entry in range(min(entries, 40)):
        at = start + count + step * entry
        for kind in kinds:
            found.append((at, f"{order}{kind}"))
            at += struct.calcsize(f"{order}{kind}")
    return found


def dicom_numbers(content: bytes) -> list[Field]:
    """Return lengths and values of a header, the lengths of encapsulated pixels, and what `jpeg_numbers` finds."""
    found: list[Field] = []
    for match in re.finditer(rb"(?:US|SS|UL|IS|DS|CS|LO|LT|UI|PN|SH|AT|OB|OW|SQ|UN)", content):
        at = match.end()
        wide = match.group() in (b"OB", b"OW", b"SQ", b"UN")
        found += [(at - 2, "<H"), (at + 2, "<I") if wide else (at, "<H"), (at + 2, "<H")]
    found += [(match.end(), "<I") for match in re.finditer(rb"\xfe\xff[\x00\x0d\xdd]\xe0", content)]
    return found + jpeg_numbers(content)[:200]


# --- arrays, archives, tables

_HEADERS = words(b"0", b"1", b"4", b"-1", b"True", b"1000000000000", b"99999999999999999999", b"|S0", b"|V0", b"<U0",
                 b"|O", b"<u2", b"|b1", b"<M8[s]", b"<f8", b"(", b")", b"()", b",", b"{", b"None", b"'", b"|V4",
                 b"<c16", b"[('a','|u1')]", b"[('a','|u1',(3,))]", b"__import__", b"9" * 5000, b"((" * 60)  # fmt: skip


def npy_header(content: bytes, rng: np.random.Generator) -> bytes:
    """Return an array with other words in its header, whose length is right."""
    if content[:6] != b"\x93NUMPY" or len(content) < 12:
        return content
    start = 12 if content[6] > 1 else 10
    end = start + int.from_bytes(content[8:start], "little")
    header = content[start:end]
    for _ in range(int(rng.geometric(0.6))):
        header = _HEADERS(header, rng)
    header = header[: 256 ** (start - 8) - 1]
    return content[:8] + len(header).to_bytes(start - 8, "little") + header + content[end:]


def packed(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a .zip, the same at any time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def zip_numbers(content: bytes) -> list[Field]:
    found: list[Field] = []
    for magic, shorts, longs in (
        (b"PK\3\4", (4, 6, 8, 26, 28), (14, 18, 22)),
        (b"PK\1\2", (6, 8, 10, 28, 30, 32, 34), (16, 20, 24, 38, 42)),
        (b"PK\5\6", (4, 6, 8, 10, 20), (12, 16)),
    ):
        for match in re.finditer(re.escape(magic), content):
            found += [(match.start() + at, "<H") for at in shorts] + [(match.start() + at, "<I") for at in longs]
    return found


def inside_zip(*mutators: Mutator) -> Mutator:
    """Return a mutator of what an archive holds: a member's content, or its name; its checksums are right."""

    def mutate(content: bytes, rng: np.random.Generator) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [(name, archive.read(name)) for name in dict.fromkeys(archive.namelist())]
            index = int(rng.integers(len(members)))
        except Exception:
            # no archive any more
            return content
        name, inner = members[index]
        if rng.random() < 0.15:
            name = any_of(("../x", "/x", "a\\b", "C:x", name * 2, name.upper(), ".x", "", "a/", "x.npy"), rng)
        else:
            inner = any_of(mutators, rng)(inner, rng)
        members[index] = name, inner
        methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
        return packed(members, int(rng.choice(methods, p=[0.2, 0.6, 0.1, 0.1])))

    return mutate


def parquet_numbers(content: bytes) -> list[Field]:
    """Return the numbers of a Parquet file's end, byte by byte."""
    n = len(content)
    length = int.from_bytes(content[-8:-4], "little") if n > 12 else 0
    return [(n - 8, "<I"), *((at, "B") for at in range(max(4, n - 8 - length), n - 8))]
