"""How large the images are that a JPEG or JPEG-LS stream announces, told without a decoder, which would believe it."""

from __future__ import annotations

from collections.abc import Iterator

NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})
"""Markers among those of frames that begin tables."""
FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7, 0xDE}) - NO_FRAME
"""Markers of a frame: of JPEG, of JPEG-LS, of a hierarchy of frames (ITU-T T.81 B.1.1.3, T.87 C.1.1)."""
LINES_LATER = 0xDC
"""The marker that gives the number of lines when they have been read."""
FIRST_WITH_LENGTH = 0xC0
"""Below it there is nothing after 0xFF but the rest of the pixels."""
WITHOUT_LENGTH = frozenset(range(0xD0, 0xDA))


def frame_sizes(stream: bytes) -> list[tuple[int, int, int]]:
    """Return the rows, columns and samples of every frame in a stream; 0 rows where only a later marker gives them."""
    found = []
    for marker, at in _segments(stream):
        if marker in FRAMES and at + 8 <= len(stream):
            rows, columns = int.from_bytes(stream[at + 3 : at + 5]), int.from_bytes(stream[at + 5 : at + 7])
            found.append((rows, columns, stream[at + 7]))
        elif marker == LINES_LATER:
            found.append((0, 0, 0))
    return found


def _segments(stream: bytes) -> Iterator[tuple[int, int]]:
    """Yield each marker that has a segment, with the place of the segment's length."""
    at = stream.find(b"\xff")
    while 0 <= at < len(stream) - 3:
        marker = stream[at + 1]
        if marker == 0xFF or marker < FIRST_WITH_LENGTH or marker in WITHOUT_LENGTH:
            at += 1
        else:
            yield marker, at + 2
            at += 2 + int.from_bytes(stream[at + 2 : at + 4])
        at = stream.find(b"\xff", at)
