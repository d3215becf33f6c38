"""Who an image is of: rules that find the subject from what a source or a file name says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from doubleread.errors import UserError, did_you_mean
from doubleread.nouns import Item

Rule = Callable[[Item], str | None]


def given(item: Item) -> str | None:
    """The subject that the source itself names."""
    return item.subject


def case(item: Item) -> str | None:
    """Every image its own subject."""
    return item.case


_PNEUMONIA = re.compile(r"person(\d+)_(bacteria|virus)(?:_\d+)+")
_NORMAL = re.compile(r"(NORMAL2-)?IM-(\d+)(?:-\d+)+")


def kermany(item: Item) -> str | None:
    """The subject in a file name of the Kermany chest X-ray set.

    `person<N>` is numbered for bacteria and virus apart, so `person11_bacteria_45` and `person11_virus_38` are two
    subjects. For `IM-0439-0001-0002` and `NORMAL2-IM-0007-0001` the key (NORMAL2 or not, IM number) is a guess.
    """
    stem = re.split(r"[/\\]", item.case)[-1].rsplit(".", 1)[0]
    if match := _PNEUMONIA.fullmatch(stem):
        return f"{match[2]}-{int(match[1])}"
    if match := _NORMAL.fullmatch(stem):
        return f"{'NORMAL2-' if match[1] else ''}IM-{match[2]}"
    return None


RULES: dict[str, Rule] = {"given": given, "kermany": kermany, "case": case}


def subjects_of(
    items: Sequence[Item], rules: Sequence[str] | None, place: str = "data.subject"
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Return the subject of every item, the rule that found them, and which rules did not fit and why.

    The first of `rules` that fits every item is used: a name in `RULES`, or a regular expression that is searched
    in the case's path, whose groups joined by `-` (or whose whole match) are the subject. Without rules: what the
    source says, else every image its own subject.

    Raises:
        UserError: no rule fits every item; the message names the first item that does not fit.
    """
    failed: list[str] = []
    for name in rules or ("given", "case"):
        found = [_rule(name, place)(item) for item in items]
        missing = next((item.case for item, subject in zip(items, found, strict=True) if subject is None), None)
        if missing is None:
            return tuple(subject for subject in found if subject is not None), name, tuple(failed) if rules else ()
        failed.append(f"{name} does not fit {missing}")
    raise UserError(
        place, "; ".join(failed), "expected a rule that fits every image", f"for example --set {place}=case"
    )


def rules_that_fit(items: Sequence[Item]) -> dict[str, int]:
    """Return the named rules that find a subject for every item, with the number of subjects each finds."""
    found = {name: {rule(item) for item in items} for name, rule in RULES.items()}
    return {name: len(subjects) for name, subjects in found.items() if None not in subjects}


def _rule(name: str, place: str) -> Rule:
    if name in RULES:
        return RULES[name]
    if re.fullmatch(r"\w+", name):
        raise UserError(place, f'unknown rule "{name}"', did_you_mean(name, RULES), "or give a regular expression")
    try:
        pattern = re.compile(name)
    except re.error as error:
        raise UserError(place, f"{name!r} is not a regular expression ({error})") from error

    def search(item: Item) -> str | None:
        match = pattern.search(item.case)
        if match is None:
            return None
        return "-".join(group or "" for group in match.groups()) or match[0]

    return search
