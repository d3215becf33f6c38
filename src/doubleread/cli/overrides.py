"""What the options of a command change in a study file."""

from __future__ import annotations

from typing import Any

from doubleread.cli.show import err
from doubleread.errors import UserError
from doubleread.files import user_path
from doubleread.images.table import COLUMNS, TableSource
from doubleread.nouns import Source
from doubleread.study import parse_overrides

MOST_NAMED = 10


def overrides(settings: list[str], data: str | None, seeds: int | None) -> dict[str, Any]:
    """Return what `--set`, `--data` and `--seeds` change, as overrides of the study file."""
    changed = parse_overrides(settings)
    if data is not None:
        path = user_path(data, "--data")
        changed["data.source"] = str(path.resolve()) if path.exists() else data
    if seeds is not None:
        changed["seeds"] = seeds
    return changed


def columns_of(given: list[str]) -> dict[str, str]:
    """Return what `--column` says of a table.

    Raises:
        UserError: it is no WHAT=NAME, or says what no table tells.
    """
    found: dict[str, str] = {}
    for one in given:
        what, equals, name = one.partition("=")
        if not equals or not name or what not in COLUMNS or what in found:
            raise UserError("--column", f'got "{one}"', f"expected WHAT=NAME, once for each of {', '.join(COLUMNS)}")
        found[what] = name
    return found


def tell_unused(source: Source) -> None:
    """Name the columns of a table that are not used, one of which may say who is on an image."""
    if isinstance(source, TableSource) and source.unused:
        names = ", ".join(source.unused[:MOST_NAMED])
        what = f"column {names} is" if len(source.unused) == 1 else f"columns {names} are"
        err().print(
            f"{source.location}: {what} not used; if one names the subject, give --column subject=NAME",
            soft_wrap=True,
        )
