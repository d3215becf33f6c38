"""Running the server: where it listens, whom it lets in."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI

from doubleread.errors import UserError
from doubleread.server.app import create_app
from doubleread.server.guard import Allowed
from doubleread.server.listening import listening
from doubleread.store import open_store

GRACE = 2
"""Seconds that requests have to end when the server is stopped."""


def hosts_of(host: str, port: int, more: Sequence[str] = ()) -> frozenset[str]:
    """Return what Host may say to a server on an address: loopback goes by its usual names, `more` are others.

    Each name may come with the port or, as behind a proxy or on port 80, without one; only `more` may do so elsewhere.
    """
    own = {f"[{host}]" if ":" in host else host.lower()}
    names = own | {"127.0.0.1", "localhost", "[::1]"} if is_loopback(host) else own
    others = {name.lower() for name in more}
    bare = names if port == 80 else set[str]()
    return frozenset({f"{name}:{port}" for name in names | others} | others | bare)


def is_loopback(host: str) -> bool:
    """Tell whether an address reaches this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def allowed_on(host: str, port: int, token: str | None, more: Sequence[str] = ()) -> Allowed:
    """Return whom a server on an address lets in.

    Raises:
        UserError: others could reach it, and there is no token, or one that could be guessed.
    """
    if token is not None and len(token) < 16:
        raise UserError(
            "--token", f"{len(token)} letters", "expected 16 or more", f"such as {secrets.token_urlsafe(24)}"
        )
    if token is None and not is_loopback(host):
        raise UserError(
            f"--host {host}",
            "others could reach it",
            "expected 127.0.0.1, or a --token",
            f"add --token {secrets.token_urlsafe(24)}",
        )
    return Allowed(hosts=hosts_of(host, port, more), token=token)


def serve(
    root: Path,
    *,
    host: str,
    port: int,
    token: str | None,
    names: Sequence[str],
    studies_folder: Path,
    model: Path | None = None,
    say: Callable[[str], None],
) -> None:
    """Serve the store in `root`, and a saved model, until it is stopped; `say` gets the address once it is had.

    Raises:
        UserError: see `allowed_on` and `listening`; or the model cannot be read, or the store cannot be used (with a
            model there need be none).
    """
    allowed = allowed_on(host, port, token, names)
    if model is None or root.exists():
        with open_store(root):
            pass
    with listening(host, port) as sockets:
        app = create_app(root, allowed, studies_folder=studies_folder, model=model)
        shown = f"[{host}]" if ":" in host else host
        query = f"?{urlencode({'token': token})}" if token else ""
        say(f"http://{shown}:{port}/{query}")
        try:
            _run(app, sockets)
        finally:
            # a second Ctrl-C leaves no time for the end of the application
            app.state.context.end_processes()


def _run(app: FastAPI, sockets: list[socket.socket]) -> None:
    """Answer requests until Ctrl-C or SIGTERM; those that are under way then have `GRACE` seconds, and are cut off."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    # the server heeds both signals, then sends itself the one it got: that is the way it is stopped, and no mishap
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    log, quiet = logging.getLogger("uvicorn.error"), _Quiet(server)
    log.addFilter(quiet)
    try:
        server.run(sockets=sockets)
    except KeyboardInterrupt:
        return
    finally:
        log.removeFilter(quiet)


class _Quiet(logging.Filter):
    """Drops what a server that is being stopped logs of the requests that it cuts off: they are no mishap."""

    def __init__(self, server: uvicorn.Server) -> None:
        super().__init__()
        self._server = server

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be shown."""
        if not self._server.should_exit:
            return True
        cut_off = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
        # a second Ctrl-C cuts off the application itself, too
        return not (self._server.force_exit or cut_off or record.getMessage().startswith("Cancel "))
