"""Where runs execute; each engine is a `concurrent.futures.Executor`."""

from doubleread.engines.engine import CallRaised, Engine, WorkerDied
from doubleread.engines.local import LocalExecutor

__all__ = ["CallRaised", "Engine", "LocalExecutor", "WorkerDied"]
