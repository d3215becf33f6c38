"""What a server of workers loads in a test: runs that crash, hang, or take all memory, by the name of a seed.

`DOUBLEREAD_TEST_FAULTS` maps seeds to faults, as JSON. It replaces the training of those runs.
"""

import ctypes
import json
import os
import resource
import signal
import time
from pathlib import Path

from doubleread.worker import task

FAULTS = {int(seed): fault for seed, fault in json.loads(os.environ.get("DOUBLEREAD_TEST_FAULTS", "{}")).items()}
trained = task.train


def _train(recipe, seed, *args, **more):
    fault = FAULTS.get(seed)
    if fault == "segfault":
        ctypes.string_at(0)
    if fault == "abort":
        os.abort()
    if fault == "exit":
        os._exit(7)
    if fault == "memory":
        # a limit that is below what the run needs
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, used + 2**20))
        bytearray(2**27)
    if fault == "hang":
        while True:
            time.sleep(1)
    if fault == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    if fault == "raise":
        raise ValueError("no such thing")
    return trained(recipe, seed, *args, **more)


task.train = _train
