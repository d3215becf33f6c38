"""What Ray reads of the environment, once, as it is imported: what it tells, where it listens, who may speak to it."""

from __future__ import annotations

import os
import secrets
import sys


def settle_ray(*, local: bool) -> None:
    """Set Ray's environment before it is imported: it reports nothing; a `local` cluster listens to this machine alone
    and wants a token.

    The token is new, and only this process and those that it starts know it. Where Ray has been imported already, or
    the user has set these variables, they are as they are.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not local or "ray" in sys.modules:
        return
    # what keeps Ray to the loopback address on macOS and Windows does so on Linux too
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
