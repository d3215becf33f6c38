"""Jobs are given to sbatch, by submitit; what it says where it does not take them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from submitit import SlurmExecutor as Submitter
from submitit.core.utils import FailedJobError, FailedSubmissionError

from doubleread.disk import FULL
from doubleread.engines.batch import Batch, Call, Jobs
from doubleread.engines.in_hand import InHand
from doubleread.engines.manifest import Manifest

MOST_TIMEOUTS = 1000
"""How often a job may come to its time limit, so that one whose calls never get anywhere does not go on for ever."""
MOST_IN_ARRAY = 1000
"""Jobs of one array: as many as a Slurm with its own settings takes."""
TOO_MANY = re.compile(r"limit|too many|MaxArraySize|array", re.IGNORECASE)
TOO_LONG = re.compile(r"requested time limit", re.IGNORECASE)
"""What it says of a job that it will never take, in much the same words as of too many."""
SILENT = re.compile(r"unable to contact|timed out|connect failure|connection refused|socket|transport", re.IGNORECASE)
KEPT = frozenset({"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT"})
"""What a user may have set, of variables that begin as those do that Slurm sets in a job."""


class Refused(Exception):
    """Jobs were not taken, as far as is known; the text is what sbatch said."""

    @property
    def is_too_many(self) -> bool:
        """Whether fewer jobs would be taken, or these later."""
        return bool(TOO_MANY.search(str(self))) and not TOO_LONG.search(str(self))

    @property
    def is_silence(self) -> bool:
        """Whether nobody answered: a controller that is busy, or being restarted."""
        return SILENT.search(str(self)) is not None


def arrays_of(jobs: Sequence[list[InHand]]) -> Iterator[Sequence[list[InHand]]]:
    """Yield jobs as arrays of at most `MOST_IN_ARRAY`."""
    for start in range(0, len(jobs), MOST_IN_ARRAY):
        yield jobs[start : start + MOST_IN_ARRAY]


def submit_array(manifest: Manifest, jobs: Sequence[Sequence[InHand]], how: Jobs) -> str:
    """Submit the calls of each job; return the number of their array, or of the one job.

    Raises:
        Refused: they are not taken; some of them may be in the queue all the same, by the manifest's name.
        OSError: the disk is full.
    """
    try:
        return _submitted(manifest, jobs, how)
    except (FailedJobError, FailedSubmissionError, subprocess.SubprocessError, OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        raise Refused(_brief(error)) from error


def _submitted(manifest: Manifest, jobs: Sequence[Sequence[InHand]], how: Jobs) -> str:
    submitter = Submitter(folder=manifest.logs, max_num_timeout=MOST_TIMEOUTS)
    most = how.at_once or MOST_IN_ARRAY
    submitter.update_parameters(**how.sbatch, job_name=manifest.token, array_parallelism=most)
    batches = [
        Batch(manifest.folder, number, [_call(entry) for entry in batch], how) for number, batch in enumerate(jobs)
    ]
    with _no_job_of_ours(), submitter.batch():
        submitted = [submitter.submit(batch) for batch in batches]
    return submitted[0].job_id.partition("_")[0]


@contextmanager
def _no_job_of_ours() -> Iterator[None]:
    """Keep what Slurm has told a driver that is in a job itself from the jobs that it submits."""
    told = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("SLURM_") and name not in KEPT}
    try:
        yield
    finally:
        os.environ |= told


def _call(entry: InHand) -> Call:
    assert entry.call is not None, "a call of an earlier driver is not submitted again"
    return entry.call


def _brief(error: Exception) -> str:
    """Return what sbatch said, of all that submitit says about it."""
    text = " ".join(str(error).split())
    said = re.search(r"sbatch: error: (.+)", text)
    return said[1] if said else text
