"""`data fetch`: public sets of images."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from rich.table import Table

from doubleread.cli.show import err, out, print_json
from doubleread.errors import UserError
from doubleread.files import check_folder, user_path
from doubleread.images.fetch import Fetched, fetch_set
from doubleread.images.public_sets import SETS, PublicSet, choose
from doubleread.runner import Progress

FOLDER = Path("data")


def fetch_command(name: str | None, size: int | None, to: Path | None, as_json: bool) -> None:
    """Fetch a set, or list all without a name."""
    if name is None:
        for option, value in (("--size", size), ("--to", to)):
            if value is not None:
                raise UserError(option, "has no effect without NAME", "", "name a set, or delete it")
        _list(as_json)
        return
    chosen, file = choose(name, size)
    folder = user_path(to or FOLDER, "--to")
    check_folder(folder, "--to")
    err().print(f"{chosen.name}: {_licence(chosen)}\n{chosen.name}: cite {chosen.citation}", soft_wrap=True)
    with Progress(err(), chosen.name) as show:
        found = fetch_set(chosen, file, folder, show.reading)
    if as_json:
        print_json(
            {
                "name": chosen.name,
                "path": str(found.path),
                "bytes": found.bytes,
                "hash": file.hash,
                "licence": chosen.licence,
                "citation": chosen.citation,
                "fetched": found.fetched,
            }
        )
    else:
        _print(chosen, found)


def _licence(chosen: PublicSet) -> str:
    return f"licence {chosen.licence}" + (", not for commercial use" if "-NC" in chosen.licence else "")


def _print(chosen: PublicSet, found: Fetched) -> None:
    how = "fetched, and its hash is right" if found.fetched else "it was there, and its hash is right"
    console = out()
    console.print(f"{found.path}: {how}", soft_wrap=True)
    label = " --column label=pneumonia    # one of its 14 labels" if chosen.several else ""
    text = f"next: doubleread new {shlex.quote(str(found.path))}{label}"
    console.print(text, soft_wrap=True)


def _list(as_json: bool) -> None:
    if as_json:
        print_json([_described(one) for one in SETS.values()])
        return
    table = Table(box=None, padding=(0, 2))
    for column in ("name", "what it is", "classes", "images", "sizes", "licence"):
        table.add_column(column, justify="right" if column in ("classes", "images") else "left")
    for one in SETS.values():
        sizes = ", ".join(map(str, one.sizes)) or "as taken"
        table.add_row(one.name, one.what, str(one.classes), f"{one.images:,}", sizes, one.licence)
    out().print(table)
    out().print("doubleread data fetch NAME shows how to cite a set, and fetches it")


def _described(one: PublicSet) -> dict[str, Any]:
    return {
        "name": one.name,
        "what": one.what,
        "classes": one.classes,
        "images": one.images,
        "sizes": one.sizes,
        "licence": one.licence,
        "citation": one.citation,
    }
