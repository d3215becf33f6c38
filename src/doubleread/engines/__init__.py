"""Where runs execute; each engine is a `concurrent.futures.Executor`."""

from doubleread.engines.local import CallRaised, LocalExecutor, WorkerDied

__all__ = ["CallRaised", "LocalExecutor", "WorkerDied"]
