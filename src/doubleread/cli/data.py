"""`data phantom` and `data describe`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from doubleread.cli.overrides import columns_of, tell_unused
from doubleread.cli.show import err, out, print_json
from doubleread.dataset import Checked, check_source, rules_that_fit
from doubleread.errors import UserError
from doubleread.files import check_folder, user_path
from doubleread.images import open_source, write_png
from doubleread.nouns import Source
from doubleread.report.words import SYNTHETIC
from doubleread.runner import Progress
from doubleread.study import parse_overrides

SHOWN = 20


def phantom_command(folder: Path, settings: list[str], as_json: bool) -> None:
    """Write the phantom's images as PNG."""
    folder = user_path(folder, "DIR")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(str(folder), "it exists and is not empty", "expected a new folder", "give another path")
    check_folder(folder, "DIR")
    try:
        source = open_source({"name": "phantom", **parse_overrides(settings)}, place="data.source")
    except UserError as error:
        place = error.place.replace("data.source.", "--set ")
        raise UserError(place, error.found, error.allowed, error.next_step) from error
    with Progress(err(), "phantom") as show:
        write_png(source, folder, lambda done, total: show.reading("writing images", done, total))
    if as_json:
        print_json({"folder": str(folder), "images": len(source.items)})
    else:
        out().print(f"wrote {len(source.items):,} images to {folder}\n{SYNTHETIC}", soft_wrap=True)


def describe_command(path: str, columns: list[str], as_json: bool) -> None:
    """Read every image and print counts, sizes, subject rules and what cannot be used."""
    source = open_source(path, columns=columns_of(columns), place=path)
    with Progress(err(), path) as show:
        checked = check_source(source, show.reading)
    found = _describe(source, checked)
    tell_unused(source)
    if as_json:
        print_json(found)
    else:
        _print(found, [source.shown(index) for index, one in enumerate(checked) if one.reason is not None])


def _describe(source: Source, checked: list[Checked]) -> dict[str, Any]:
    good = [c for c in checked if c.reason is None]
    groups: dict[tuple[str, str], list[Checked]] = {}
    for item, seen in zip(source.items, checked, strict=True):
        groups.setdefault((item.part or "–", item.class_name), []).append(seen)
    return {
        "source": source.location,
        "kind": source.kind,
        "images": len(checked),
        "groups": [
            {
                "part": part,
                "class": name,
                "images": len(seen),
                "unreadable": sum(c.reason is not None for c in seen),
                "mean_grey": _mean([c.mean for c in seen if c.reason is None]),
            }
            for (part, name), seen in groups.items()
        ],
        "sizes": [
            {"width": width, "height": height, "images": n}
            for (width, height), n in Counter((c.width, c.height) for c in good).most_common(SHOWN)
        ],
        "subject_rules": rules_that_fit(source.items),
        "unreadable": [
            {"case": item.case, "reason": c.reason}
            for item, c in zip(source.items, checked, strict=True)
            if c.reason is not None
        ],
    }


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 2) if values else None


def _print(found: dict[str, Any], names: list[str]) -> None:
    console = out()
    bad = len(found["unreadable"])
    others = f" and {bad:,} {'file' if bad == 1 else 'files'} that cannot be used" if bad else ""
    console.print(f"{found['source']}: {found['images'] - bad:,} images{others} ({found['kind']})", soft_wrap=True)
    table = Table(box=None, padding=(0, 2))
    for column in ("part", "class", "images", "mean grey", "cannot be used"):
        table.add_column(column, justify="left" if column in ("part", "class") else "right")
    for group in found["groups"]:
        mean = "–" if group["mean_grey"] is None else f"{group['mean_grey']:.1f}"
        bad = str(group["unreadable"] or "–")
        table.add_row(group["part"], Text(group["class"]), f"{group['images']:,}", mean, bad)
    console.print(table)
    sizes = ", ".join(f"{s['width']} × {s['height']} ({s['images']:,})" for s in found["sizes"][:5])
    more = f" and {len(found['sizes']) - 5} more" if len(found["sizes"]) > 5 else ""
    console.print(f"sizes: {sizes}{more}")
    rules = ", ".join(f"{rule} ({n:,} subjects)" for rule, n in found["subject_rules"].items())
    console.print(f"subject rules that fit every image: {rules}")
    for bad, name in zip(found["unreadable"][:SHOWN], names, strict=False):
        console.print(f"  {name}: {bad['reason']}", soft_wrap=True)
    if len(found["unreadable"]) > SHOWN:
        console.print(f"  and {len(found['unreadable']) - SHOWN:,} more")
