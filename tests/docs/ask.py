"""Asks the warm process to run a command, with the arguments, folder, environment and handles of this one."""

import json
import os
import socket
import sys

caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
caller.connect(sys.argv[1])
asked = {"command": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}
socket.send_fds(caller, [json.dumps(asked).encode()], [0, 1, 2])
caller.shutdown(socket.SHUT_WR)
sys.exit(int(caller.recv(16) or b"1"))
