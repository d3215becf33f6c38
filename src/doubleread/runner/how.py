"""What whoever trains a study chooses each time; the study itself says nothing of it, or only what is usual."""

from __future__ import annotations

from dataclasses import dataclass, field

from doubleread.runner.care import Care


@dataclass(frozen=True, kw_only=True, slots=True)
class How:
    """How a study is trained.

    `workers` is how many runs there are at once, by default as many as there is room for; `device` is `auto` (CUDA
    where there is one), `cpu` or `cuda`; `engine` is `local`, `ray` or `slurm`, by default what the study says. With
    `assumptions`, every alternative of the study's assumptions is trained too.
    """

    workers: int | None = None
    device: str = "auto"
    engine: str | None = None
    assumptions: bool = False
    care: Care = field(default_factory=Care)
