"""Trainings that the page starts: each a process of its own, the same command that a terminal would run."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from doubleread.errors import UserError

LINES = 200
"""Lines of a job's output that are kept."""
STOP_SECONDS = 60.0
"""How long a job has to leave its checkpoints when the server ends."""


@dataclass(eq=False)
class Job:
    """One `doubleread run` under way or over, with the last lines that it wrote."""

    study: str
    process: subprocess.Popen[str]
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    stopping: bool = False

    @property
    def running(self) -> bool:
        """Whether it is still under way."""
        return self.process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than well, without having been asked to stop."""
        return not self.running and self.process.returncode != 0 and not self.stopping

    def stop(self) -> None:
        """Ask it to stop, once: a second wish would end its runs without a checkpoint."""
        if not self.stopping:
            self.stopping = True
            self.process.send_signal(signal.SIGINT)


class Jobs:
    """The jobs of one store, the latest of each study; a store has one writer, so one job runs at a time."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def of(self, study: str) -> Job | None:
        """Return the latest job of a study."""
        return self._jobs.get(study)

    def start(self, study: str, what: str, *, seeds: int | None = None, workers: int | None = None) -> Job:
        """Start a study: `what` is its name in the store, a built-in name or a file.

        Raises:
            UserError: another one is under way.
        """
        with self._lock:
            busy = [job.study for job in self._jobs.values() if job.running]
            if busy:
                found = f"{busy[0]} is being trained; one study at a time"
                raise UserError(f"start {study}", found, next_step="stop it, or wait")
            words = [sys.executable, "-m", "doubleread", "run", what, "--store", str(self._store), "--json"]
            words += ["--seeds", str(seeds)] if seeds is not None else []
            words += ["--workers", str(workers)] if workers is not None else []
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                # Ctrl-C at the server's terminal is the server's: a second wish to stop would end the runs at once
                start_new_session=True,
            )
            job = Job(study=study, process=process)
            self._jobs[study] = job
        threading.Thread(target=_listen, args=(job,), daemon=True).start()
        return job

    def stop(self, study: str) -> None:
        """Ask a study's job to stop; its runs leave checkpoints, and the same study goes on from there.

        Raises:
            UserError: this server is not training it.
        """
        job = self._jobs.get(study)
        if job is None or not job.running:
            raise UserError(f"stop {study}", "this server is not training it")
        job.stop()

    def close(self) -> None:
        """Stop what is under way, and wait until it has left its checkpoints."""
        running = [job for job in self._jobs.values() if job.running]
        for job in running:
            job.stop()
        for job in running:
            try:
                job.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                job.process.kill()


def _listen(job: Job) -> None:
    assert job.process.stderr is not None, "it has a pipe"
    with job.process.stderr as stream:
        for line in stream:
            job.lines.append(line.rstrip("\n"))
    job.process.wait()
