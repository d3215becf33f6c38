"""Says how many mutants of each module the tests killed: what `make mutants` left in mutants/, as a table."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from mutmut.stats import status_by_exit_code

FOLDER = Path("mutants/src/doubleread")
KILLED = ("killed", "timeout", "segfault", "caught by type check")


def counts(folder: Path = FOLDER) -> dict[str, Counter[str]]:
    """Return module → how many of its mutants were killed, survived, or stand open, for modules that have some."""
    found: dict[str, Counter[str]] = {}
    for path in sorted(folder.rglob("*.meta")):
        outcomes = json.loads(path.read_text())["exit_code_by_key"].values()
        if outcomes:
            module = path.relative_to(folder).as_posix().removesuffix(".py.meta")
            found[module] = Counter(_outcome(status_by_exit_code[code]) for code in outcomes)
    return found


def _outcome(status: str) -> str:
    if status in KILLED:
        return "killed"
    return "open" if status == "not checked" else "survived"


def main() -> None:
    """Print the table, then every survivor's name: `mutmut show NAME` shows what was changed."""
    table = counts()
    print(f"{'module':32}{'mutants':>9}{'killed':>9}{'survived':>10}{'open':>7}")
    for module, outcomes in [*table.items(), ("all", sum(table.values(), Counter()))]:
        killed, survived, left = (outcomes[outcome] for outcome in ("killed", "survived", "open"))
        print(f"{module:32}{killed + survived + left:9,}{killed:9,}{survived:10,}{left:7,}")
    if not table:
        sys.exit("no mutants here; make mutants makes them")


if __name__ == "__main__":
    main()
