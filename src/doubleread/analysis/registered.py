"""What became of the claims since the study was first run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from doubleread.study import Claim


@dataclass(frozen=True, kw_only=True, slots=True)
class Registration:
    """The claims as they were hashed at a study's first run, and how those of today differ.

    `hash` is of the claims then, `registered` when (UTC, ISO 8601), `done_before` how many of the study's runs had
    finished by then; `changed` says for each claim that reads otherwise today which of its parts do.
    """

    hash: str
    registered: str
    done_before: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: dict[str, tuple[str, ...]]

    @property
    def edited(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.removed or self.changed)


def _said(part: str, then: Any, now: Any) -> str:
    """Return what of a claim changed, of a number from what to what."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (then, now))
    return f"{part} {then:g} → {now:g}" if numbers else part


def registration(kept: Mapping[str, Any] | None, claims: Sequence[Claim]) -> Registration | None:
    """Return what a store kept of a study's claims, beside those of today; None where it kept nothing."""
    if kept is None:
        return None
    then: dict[str, Any] = kept["document"]
    # through JSON, so that numbers and lists compare as they were kept
    today: dict[str, Any] = json.loads(json.dumps({claim.id: claim.canonical() for claim in claims}))
    changed = {
        name: tuple(
            _said(part, then[name][part], today[name].get(part))
            for part in then[name]
            if then[name][part] != today[name].get(part)
        )
        for name in then.keys() & today.keys()
        if then[name] != today[name]
    }
    return Registration(
        hash=kept["hash"],
        registered=kept["registered"],
        done_before=kept["done_before"],
        added=tuple(sorted(today.keys() - then.keys())),
        removed=tuple(sorted(then.keys() - today.keys())),
        changed=dict(sorted(changed.items())),
    )
