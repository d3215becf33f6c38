"""What happens in the process of a run: read the prepared set, train, write the attempt; loaded with nothing else."""

from doubleread.worker.task import Task, execute

__all__ = ["Task", "execute"]
