"""What the server process does once, before it forks a process for each run; importing this module does it.

A forked process inherits the imports, the compiled routine and the facts of the machine instead of finding them again,
which would take a short run as long as its training.
"""

import gc
import signal

# the ranks of an AUROC; loaded late elsewhere, which here would be in every run
import scipy.stats  # noqa: F401

from doubleread.training import native
from doubleread.worker import execute
from doubleread.worker.environment import processor, versions

versions()
processor()
if native.is_available():
    native.compiler_version()
# SIGTERM to the whole group is the driver's to answer; each process that is forked says for itself what it does with it
signal.signal(signal.SIGTERM, signal.SIG_IGN)
# what is here stays: a collection in a forked process would look at every object, and copy its page to do so
gc.freeze()

__all__ = ["execute"]
