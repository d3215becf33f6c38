"""What happens in the process of a run: read the prepared set, train, write the attempt; loaded with nothing else."""

from doubleread.worker.environment import differences, environment
from doubleread.worker.task import Ending, Task, execute

__all__ = ["Ending", "Task", "differences", "environment", "execute"]
