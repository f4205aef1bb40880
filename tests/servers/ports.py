"""Ports of loopback for servers that are ended and come back where they were."""

from __future__ import annotations

import contextlib
import random
import socket

_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """One below those that connections are given, so that it is still free after a restart."""
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):  # taken
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port of loopback is free")
