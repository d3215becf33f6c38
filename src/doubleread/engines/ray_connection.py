"""A connection to a cluster of Ray: to one that is there, or to one that is started on this machine."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from typing import Any

import ray
from ray import exceptions
from ray._private import worker

LOOPBACK = "127.0.0.1"
REACH_SECONDS = 10.0


class NoCluster(Exception):
    """There is no cluster where one was asked for, or none can be started; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Which cluster: the one at `address`, or, where that is None, one on this machine with `workers` cores.

    A local one listens on the loopback address alone, and wants a token: see `settle_ray`. `store_bytes` is how much
    its memory for shared objects takes.
    """

    address: str | None = None
    workers: int = 1
    store_bytes: int | None = None


def connect(cluster: Cluster) -> bool:
    """Connect to a cluster, or start one; return whether it is the caller's to leave.

    Raises:
        NoCluster: there is none, none can be started, or this process is connected to another.
    """
    if ray.is_initialized():
        there = ray.get_runtime_context().gcs_address
        if cluster.address not in (None, "auto", there):
            raise NoCluster(f"this process is connected to the one at {there}: leave that first, by ray.shutdown()")
        return False
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    _hush()
    try:
        if cluster.address is not None:
            _look_for(cluster.address)
            ray.init(address=cluster.address, **quiet)
            return True
        more = {} if cluster.store_bytes is None else {"object_store_memory": cluster.store_bytes}
        local = {"num_cpus": cluster.workers, "include_dashboard": False, "_node_ip_address": LOOPBACK}
        ray.init(address="local", **local, **more, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError, exceptions.RayError) as error:
        raise NoCluster(" ".join(str(error).split())) from error
    return True


def _look_for(address: str) -> None:
    """See whether anything listens at `host:port`: Ray itself would try for a minute.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        with socket.create_connection((host, int(port)), timeout=REACH_SECONDS):
            pass


def _hush() -> None:
    """Keep Ray from this process's output: of a machine that is gone it says pages, and on standard output at that.

    There is no option for the latter; `RayExecutor` tells its `remark` what a user should know.
    """
    logging.getLogger("ray").addHandler(logging.NullHandler())
    logging.getLogger("ray").propagate = False
    if hasattr(worker, "print_to_stdstream"):
        setattr(worker, "print_to_stdstream", lambda *_args, **_more: None)  # noqa: B010
