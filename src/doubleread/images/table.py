"""A table of images, CSV or Parquet: a path and a label in each row, a subject and a split where it has them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from doubleread.errors import UserError, closest, printable
from doubleread.files import read_text, sha256
from doubleread.images.dicom_folder import begins_as_dicom, case_of, header_or_none
from doubleread.images.folder import PARTS
from doubleread.images.image_file import decode_file, mode_of_file, read_image_file
from doubleread.images.reader import Reader
from doubleread.images.salt import salted
from doubleread.nouns import Item, Split

try:
    from pyarrow import ArrowException, parquet, types
except ModuleNotFoundError:
    parquet = types = None
    ArrowException = OSError

TABLES = frozenset({".csv", ".tsv", ".parquet"})
COLUMNS = {"path": True, "label": True, "subject": False, "split": False}
"""What a table may tell, and whether it must."""
MOST_ROWS = 5_000_000
MOST_BYTES = 2**29
MOST_LETTERS = 4096
"""Letters of one value, as many as a path may have."""
MAX_RATIO, SMALL = 100, 2**25
"""Bytes that one of a Parquet file may become, and how many it may become in any case."""

Rows = dict[str, list[str]]
"""Columns by what they tell, as text; those that are not there are left out."""


class TableSource:
    """Images that a table lists, each JPEG, PNG, TIFF or DICOM; relative paths count from the table's folder.

    `columns` says which column is the `path`, the `label`, the `subject` and the `split`, where they are called
    otherwise; the last two may be missing. Who a DICOM image is of is salted, be it from the table or from its header.
    """

    kind = "table"

    def __init__(self, path: Path, columns: Mapping[str, str] | None = None) -> None:
        self.location = str(path)
        rows, names = _rows(path, columns or {})
        self._paths = [path.parent / text for text in rows["path"]]
        self.items: Sequence[Item] = _items(rows, self._paths, path)
        used = {(columns or {}).get(what, what) for what in COLUMNS}
        self.unused = () if "subject" in rows else tuple(printable(name) for name in names if name not in used)

    def digest(self, index: int) -> str:
        """See `Source`."""
        return sha256(self._content(index))

    def mode(self, index: int) -> str:
        """See `Source`."""
        return mode_of_file(self._content(index))

    def read(self, index: int, *, colour: bool = False) -> np.ndarray:
        """See `Source`."""
        return decode_file(self._content(index), colour=colour)

    def shown(self, index: int) -> str:
        """See `Source`."""
        return printable(str(self._paths[index]))

    def _content(self, index: int) -> bytes:
        return read_image_file(self._paths[index])


def _items(rows: Rows, paths: Sequence[Path], table: Path) -> list[Item]:
    items: list[Item] = []
    holds_dicom = [begins_as_dicom(path) for path in paths]
    salts = any(holds_dicom)
    seen: dict[str, int] = {}
    # as a spreadsheet counts: the header is its first row
    first = 1 if table.suffix.lower() == ".parquet" else 2
    for row, (text, path) in enumerate(zip(rows["path"], paths, strict=True)):
        where = f"{table}, row {row + first}"
        for what, column in rows.items():
            if len(column[row]) > MOST_LETTERS:
                raise UserError(
                    where, f"a {what} of {len(column[row]):,} letters", f"expected {MOST_LETTERS:,} at most"
                )
        label, part = rows["label"][row].strip(), _part(rows["split"][row], where) if "split" in rows else None
        if not text.strip() or not label:
            raise UserError(where, f"no {'path' if label else 'label'}", "expected a path and a label in each row")
        if text in seen:
            raise UserError(where, f"the path of row {seen[text] + first} once more", "expected each image once")
        seen[text] = row
        subject = rows["subject"][row].strip() or None if "subject" in rows else None
        case = text
        if salts:
            # all of them, under the names that headers give: one person is one subject, whatever their files are
            subject = salted(f"PatientID {subject}") if subject else None
        if holds_dicom[row]:
            header = header_or_none(path)
            case, subject = case_of(text, header), subject or header.subject
        items.append(Item(case=printable(case), class_name=printable(label), part=part, subject=subject))
    return items


def _part(text: str, where: str) -> Split:
    if text.strip().lower() not in PARTS:
        raise UserError(where, f'split "{text}"', f"expected one of {', '.join(PARTS)}")
    return PARTS[text.strip().lower()]


def _rows(path: Path, columns: Mapping[str, str]) -> tuple[Rows, Sequence[str]]:
    """Return the columns that tell something, and the names of all."""
    named = {what: columns.get(what, what) for what in COLUMNS}
    table, names = _parquet(path, named) if path.suffix.lower() == ".parquet" else _separated(path, named)
    if not table["path"]:
        raise UserError(str(path), "no rows", "expected one for each image")
    return table, names


def _chosen(there: Sequence[str], named: Mapping[str, str], columns: Mapping[str, bool], path: Path) -> dict[str, str]:
    """Return the column of each thing that a table tells."""
    found = {}
    for what, needed in columns.items():
        name = named[what]
        if name in there:
            found[what] = name
        elif needed or name != what:
            near = closest(name, there)
            hint = "" if near is None else f' (did you mean "{printable(near)}"?)'
            raise UserError(
                str(path),
                f'no column "{printable(name)}" for the {what}',
                f"it has {printable(', '.join(there[:20])[:200]) or 'none'}",
                f"give --column {what}=NAME or set data.columns.{what}{hint}",
            )
    return found


def _separated(path: Path, named: Mapping[str, str]) -> tuple[Rows, Sequence[str]]:
    text = read_text(path, limit=MOST_BYTES).removeprefix("\ufeff")
    reader = csv.reader(io.StringIO(text), delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
    try:
        header = next(reader, [])
        if len(header) == 1 and ";" in header[0]:
            raise UserError(str(path), "separated by semicolons", "expected commas", "save it as CSV with commas")
        places = {what: header.index(name) for what, name in _chosen(header, named, COLUMNS, path).items()}
        rows: Rows = {what: [] for what in places}
        for number, row in enumerate(reader, start=2):
            if not row:
                continue
            if len(row) != len(header) or number > MOST_ROWS:
                raise UserError(
                    f"{path}, row {number}", f"{len(row)} values", f"expected {len(header)}, in {MOST_ROWS:,} rows"
                )
            for what, place in places.items():
                rows[what].append(row[place])
    except csv.Error as error:
        raise UserError(str(path), f"not a table ({error})", "expected comma-separated values with a header") from error
    return rows, header


def _parquet(path: Path, named: Mapping[str, str]) -> tuple[Rows, Sequence[str]]:
    if parquet is None:
        raise UserError(str(path), "Parquet needs pyarrow", "", "pip install 'doubleread[parquet]'")
    try:
        with parquet.ParquetFile(path) as opened:
            names = opened.schema_arrow.names
            chosen = _chosen(names, named, COLUMNS, path)
            _check_size(opened.metadata, path)
            texts = _text_columns(opened.schema_arrow, chosen, path)
        # a text that stands a thousand times in few bytes is read once
        with parquet.ParquetFile(path, read_dictionary=texts) as opened:
            table = opened.read(columns=list(chosen.values()))
        return {what: _cells(table[name]) for what, name in chosen.items()}, names
    except (OSError, ValueError, LookupError, TypeError, ArrowException) as error:
        raise UserError(str(path), "not a Parquet file, or damaged", next_step="write it again") from error


def _check_size(facts: Any, path: Path) -> None:
    rows, size = facts.num_rows, sum(facts.row_group(group).total_byte_size for group in range(facts.num_row_groups))
    if rows > MOST_ROWS:
        raise UserError(str(path), f"{rows:,} rows", f"expected at most {MOST_ROWS:,}")
    stored = path.stat().st_size
    most = min(MOST_BYTES, max(MAX_RATIO * stored, SMALL))
    if size > most:
        raise UserError(str(path), f"{size:,} bytes unpacked, from {stored:,}", f"expected at most {most:,}")


def _text_columns(schema: Any, chosen: Mapping[str, str], path: Path) -> list[str]:
    """Return which of the columns hold texts, after each was looked at."""
    assert types is not None, "it has been read"
    texts = []
    for what, name in chosen.items():
        kind = schema.field(name).type
        kind = kind.value_type if types.is_dictionary(kind) else kind
        if types.is_string(kind) or types.is_large_string(kind):
            texts.append(name)
        elif not any(check(kind) for check in (types.is_integer, types.is_floating, types.is_boolean, types.is_null)):
            found = f'the column "{printable(name)}" holds {printable(str(kind))}'
            raise UserError(str(path), found, "expected texts or numbers", f"set data.columns.{what}")
    return texts


def _cells(column: Any) -> list[str]:
    found: list[str] = []
    for chunk in column.chunks:
        if not hasattr(chunk, "dictionary"):
            found += [_text(value) for value in chunk.to_pylist()]
            continue
        known = [_text(value) for value in chunk.dictionary.to_pylist()]
        found += ["" if place is None else known[place] for place in chunk.indices.to_pylist()]
    return found


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        # whole numbers with gaps are stored as numbers with a point
        return str(int(value))
    return "" if value is None or value != value else str(value)


READER = Reader(
    kind="table",
    layout=f"a table ({', '.join(sorted(TABLES, key=lambda ending: (len(ending), ending)))})",
    fits=lambda path: path.suffix.lower() in TABLES,
    open=TableSource,
    is_file=True,
    has_columns=True,
)
