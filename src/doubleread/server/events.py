"""Server-sent events of a study under way: its progress as a piece of a page, and word that its curves have grown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request

from doubleread.server.context import Context
from doubleread.server.live import snapshot

EVERY, IDLE = 1.0, 4.0
"""Seconds between two looks, while something is trained and else."""
BREATH = 15.0
"""Seconds after which a silent connection is kept open by a comment."""


def progress_of(here: Context, study: str) -> tuple[str, int, bool]:
    """Return the progress of a study as HTML, a number that changes as curves grow, and whether it is trained now."""
    now, job = snapshot(here.root, study), here.jobs.of(study)
    epochs = sum(run["epoch"] for run in now["running"]) + 1_000_000 * (now["runs"]["done"] + now["runs"]["diverged"])
    html = here.templates.get_template("progress.html").render(now=now, job=job, study=study)
    return html, epochs, bool(now["running"]) or (job is not None and job.running)


async def events(request: Request, here: Context, study: str) -> AsyncIterator[str]:
    """Yield events as long as the page listens: `progress` and `curves`, each where something has changed."""
    said: tuple[str, int] | None = None
    quiet = 0.0
    while not await request.is_disconnected():
        html, epochs, busy = await asyncio.to_thread(progress_of, here, study)
        if said is None or html != said[0]:
            yield event("progress", html)
            quiet = 0.0
        if said is not None and epochs != said[1]:
            yield event("curves", str(epochs))
        said = (html, epochs)
        if quiet >= BREATH:
            yield ": still here\n\n"
            quiet = 0.0
        pause = EVERY if busy else IDLE
        await asyncio.sleep(pause)
        quiet += pause


def event(name: str, data: Any) -> str:
    """Return one event as it goes over the wire."""
    lines = "".join(f"data: {line}\n" for line in str(data).splitlines() or [""])
    return f"event: {name}\n{lines}\n"
