"""What is known to leak between splits: the same image twice, the same subject on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from doubleread.dataset.prepared import Case
from doubleread.errors import UserError
from doubleread.recipe.data import DrawnSplit, Split

SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaks:
    """Findings over the cases of a prepared set.

    `duplicates` lists groups of byte-identical images, `shared_subjects` subjects in more than one split with the
    number of images in each; `*_across` counts the groups that reach over two splits.
    """

    duplicates: list[dict[str, Any]]
    duplicates_across: int
    shared_subjects: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return the findings for JSON."""
        return asdict(self)


def leaks_of(cases: Sequence[Case], split: Split) -> Leaks:
    """Return what leaks between the splits of `cases`, exact matches only.

    Where `split` redraws training and validation for every seed, two copies in the development part will stand on
    both sides for some seed unless it is by group; two images of a subject, unless it is by subject or group.
    """
    redrawn = isinstance(split, DrawnSplit) and split.resample == "per_seed"
    by = split.by if isinstance(split, DrawnSplit) else "case"
    duplicates = [
        {"cases": [case.case for case in group], "splits": _splits(group, redrawn and by != "group")}
        for group in _groups(cases, "digest")
        if len(group) > 1
    ]
    shared = [
        {"subject": group[0].subject, "splits": {split: sum(c.split == split for c in group) for split in splits}}
        for group in _groups(cases, "subject")
        if len(splits := _splits(group, redrawn and by == "case")) > 1
    ]
    across = sum(len(group["splits"]) > 1 for group in duplicates)
    return Leaks(duplicates=duplicates, duplicates_across=across, shared_subjects=shared)


def refuse_leaks(meta: Mapping[str, Any]) -> None:
    """Stop on a known leak of a prepared set, by its `meta`, that the study does not allow.

    Raises:
        UserError: images or subjects are in two splits and `allow_leakage` is not given.
    """
    found = meta["audit"]
    if meta["settings"].get("allow_leakage") or not (found["duplicates_across"] or found["shared_subjects"]):
        return
    leaks = []
    if shared := found["shared_subjects"]:
        leaks.append(f"{_count(len(shared), 'subject has', 'subjects have')} images in two splits")
        leaks += _some(
            [f"{s['subject']}: {', '.join(f'{n} in {split}' for split, n in s['splits'].items())}" for s in shared]
        )
    if found["duplicates_across"]:
        across = [group for group in found["duplicates"] if len(group["splits"]) > 1]
        leaks.append(f"{_count(len(across), 'image stands', 'images stand')} byte for byte in two splits")
        leaks += _some([" = ".join(group["cases"]) for group in across])
    raise UserError(
        "data.split",
        "\n".join(leaks) + "\n",
        next_step="split by: group, or remove what the source's own test part shares; or state why it is allowed with"
        ' allow_leakage: "why"',
    )


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _some(lines: Sequence[str]) -> list[str]:
    more = [f"  and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    return [*(f"  {line}" for line in lines[:SHOWN]), *more]


def _groups(cases: Sequence[Case], key: str) -> Iterable[list[Case]]:
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        groups[getattr(case, key)].append(case)
    return groups.values()


def _splits(group: Sequence[Case], redrawn: bool) -> list[str]:
    present = {case.split for case in group}
    if redrawn and sum(case.split != "test" for case in group) > 1:
        present |= {"train", "val"}
    return [split for split in ("train", "val", "test") if split in present]
