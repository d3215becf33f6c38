"""The sockets that the server listens on, had before anything is said of its address."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from doubleread.errors import UserError

MOST_PORT = 65535
TRIED = 20
"""Ports after a taken one that are tried for one that is free."""
ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""What the system says where this machine has no such address: one of a name's several may be missing."""


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Yield sockets that listen on all addresses that `host` stands for, and close them afterwards.

    Raises:
        UserError: there is no such port or address here, or another program listens there.
    """
    if not 1 <= port <= MOST_PORT:
        raise UserError("--port", f"got {port}", f"expected 1 to {MOST_PORT}", "try --port 8000")
    with ExitStack() as opened:
        try:
            found = _opened(opened, host, port)
        except socket.gaierror as error:
            raise _no_address(host) from error
        except OSError as error:
            raise _refused(host, port, error) from error
        yield found


def _opened(opened: ExitStack, host: str, port: int) -> list[socket.socket]:
    found: list[socket.socket] = []
    absent: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            one = opened.enter_context(socket.socket(family, kind, protocol))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # else it would take the port of the other family, too
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen()
            found.append(one)
        except OSError as error:
            if error.errno not in ABSENT:
                raise
            absent = error
    if absent is not None and not found:
        raise absent
    return found


def _refused(host: str, port: int, error: OSError) -> UserError:
    if error.errno in ABSENT:
        return _no_address(host)
    if error.errno == errno.EADDRINUSE:
        return UserError(f"--port {port}", "another program listens there", "", _another(host, port))
    if error.errno == errno.EACCES:
        return UserError(
            f"--port {port}", "this user may not listen there", "expected 1024 or above", "try --port 8000"
        )
    return UserError(f"--port {port}", f"it cannot be had ({error.strerror})", "", "give another port")


def _no_address(host: str) -> UserError:
    return UserError(f"--host {host}", "no address of this machine", "expected such as 127.0.0.1", "check the address")


def _another(host: str, port: int) -> str:
    for other in range(port + 1, min(port + TRIED, MOST_PORT) + 1):
        with ExitStack() as opened:
            try:
                _opened(opened, host, other)
            except OSError:
                continue
            return f"try --port {other}"
    return "give another port"
