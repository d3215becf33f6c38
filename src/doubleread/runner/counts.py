"""How a study stands after its runs were driven."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How a study stands after a `run`; the keys of its JSON. `halted` says why it stopped before its end, if so."""

    planned: int
    done: int
    reused: int
    failed: int
    diverged: int
    interrupted: int
    halted: str = ""

    @property
    def finished(self) -> bool:
        """Whether every run has an end, good or bad."""
        return self.done + self.failed + self.diverged == self.planned

    def in_words(self) -> str:
        """Return why it stopped before its end, what is kept, and the next step."""
        return (
            f"{self.halted or 'interrupted'}: {self.done} of {self.planned} runs are done and kept;"
            f" {'free some space, then ' if self.halted else ''}the same command goes on from here"
        )

    def as_dict(self) -> dict[str, int]:
        """Return the counts for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "halted"}
