"""Where runs execute; each engine is a `concurrent.futures.Executor`."""

from doubleread.engines.local import LocalExecutor, WorkerDied

__all__ = ["LocalExecutor", "WorkerDied"]
