"""Two studies side by side on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from doubleread.report import words


def print_comparison(console: Console, found: dict[str, Any]) -> None:
    """Print what two studies set otherwise, and the arms and claims that both have."""
    first, second = found["names"]
    if found["settings"]:
        settings = Table("setting", first, second, title="What the two set otherwise", title_justify="left", box=None)
        for row in found["settings"]:
            settings.add_row(*(Text(row[key]) for key in ("path", "first", "second")))
        console.print(settings)
    columns = [words.column_name(metric) for metric in found["metrics"]]
    title = f"{first}, {second}, and the 95 % interval of the difference"
    arms = Table("arm", "seeds", *columns, title=Text(title), title_justify="left", box=None)
    for row in found["arms"]:
        cells = [f"{c['first']}\n{c['second']}\n{c['difference'] or ''}" for c in row["cells"]]
        why = f"\nnot comparable: {row['why']}" if row["why"] else ""
        arms.add_row(*(Text(text) for text in (f"{row['arm']}{why}", str(row["seeds"]), *cells)))
    console.print(arms)
    for row in found["claims"]:
        mine, theirs = row["cells"]
        console.print(f"{row['title']}: {mine['verdict']} in {first}, {theirs['verdict']} in {second}")
    console.print(found["note"])
