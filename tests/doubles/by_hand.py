"""What the doubles that are started by hand have in common: a port that is taken is one line."""

from __future__ import annotations

import errno
import socket
import sys


def end_if_taken(port: int, command: str) -> None:
    """End with one line if something listens on a port of loopback.

    :param command: how the double was started, with an argument for the port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            sys.exit(f'Error: 127.0.0.1:{port} is in use; choose another port: {command} ARGS="--port PORT"')
