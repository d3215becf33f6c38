"""Variables of the environment that hold for a while: how a foreign library is told what it has no argument for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

TIMEOUT = 10
"""Seconds to wait for a server's answer."""


@contextmanager
def environment(values: Mapping[str, str], *, unless_set: bool = False) -> Iterator[None]:
    """Set variables in the block; with `unless_set` only those that the user has not set."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: value for name, value in values.items() if not (unless_set and before[name] is not None)})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def brief() -> Iterator[None]:
    """Let MLflow wait for a server as long as `TIMEOUT`, unless the user has said otherwise, and print nothing.

    Its requests are not repeated either: one whose answer is lost would leave two runs. The tracker tries again itself,
    and looks first. To be entered before a thread is started: the environment is no place for two at once.
    """
    limits = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(TIMEOUT), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    # of each run that ends it would print the address, beside our JSON
    quiet = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
    with environment(limits, unless_set=True), environment(quiet):
        yield
