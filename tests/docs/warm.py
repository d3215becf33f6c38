"""A process that has loaded what the program takes seconds to load; each command is run by a copy of it.

The pages call the program some seventy times. Arguments, folder, environment, input and output of a command are those
of its caller, and so is the exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path

HEAVY = ("doubleread.api", "doubleread.cli.report", "doubleread.cli.train", "matplotlib.pyplot", "sklearn.covariance")
ASK = Path(__file__).with_name("ask.py")
LARGEST = 1 << 16


class Warm:
    """The process, and the folder of the commands that ask it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.address, self.commands = folder / "socket", folder / "bin"
        self.commands.mkdir(parents=True)
        command = self.commands / "doubleread"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{ASK}" "{self.address}" doubleread "$@"\n')
        command.chmod(0o755)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self.address)],
            env=environment,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", "the warm process did not start"

    def end(self) -> None:
        """End it, and every copy that is still at work."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with self._process:
            pass


def serve(address: str) -> None:
    """Answer until killed."""
    for name in HEAVY:
        importlib.import_module(name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen()
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        caller, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            code = _answer(caller)
            sys.stdout.flush()
            caller.send(str(code).encode())
            # a copy lacks the threads that libraries would wait for at a usual end
            os._exit(0)
        caller.close()


def _answer(caller: socket.socket) -> int:
    """Run one command; return its exit code."""
    text, handles, _, _ = socket.recv_fds(caller, LARGEST, 3)
    while more := caller.recv(LARGEST):
        text += more
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
        os.close(handle)
    asked = json.loads(text)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = asked["command"]
    try:
        if sys.argv[0] == "doubleread":
            importlib.import_module("doubleread.cli").main()
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
