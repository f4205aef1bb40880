"""Whether the gateway can listen where it is told to, found out before anything is prepared or said."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from gunicorn import systemd, util

from scim_gateway.cli_common import Failure

Address = tuple[str, int] | str | int
"""As gunicorn reads ``--bind``: host and port, the path of a Unix socket, or the number of an open file."""


def refuse_what_cannot_be_bound(addresses: Iterable[Address], *, inherited: bool, reuse_port: bool = False) -> None:
    """Try each host and port, and let go of it again; gunicorn itself would try for seconds, and fill the log.

    Sockets that others opened for us (systemd, a gunicorn that is replaced) are listening already. For the file of a
    Unix socket gunicorn makes room itself.

    :param inherited: whether a gunicorn that is replaced hands its sockets over.
    :param reuse_port: whether others may listen there, too (``--reuse-port``).
    :raises Failure: an address is in use, or not ours.
    """
    tried = list(addresses)
    inherited = inherited or bool(systemd.listen_fds(unset_environment=False))
    if inherited or any(isinstance(address, int) for address in tried):
        return
    for address in tried:
        if isinstance(address, tuple):
            _try(*address, reuse_port)


def shown(address: Address) -> str:
    """An address as people write it."""
    if isinstance(address, tuple):
        host, port = address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"fd://{address}" if isinstance(address, int) else f"unix:{address}"


def _try(host: str, port: int, reuse_port: bool) -> None:
    with socket.socket(socket.AF_INET6 if util.is_ipv6(host) else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port and hasattr(socket, "SO_REUSEPORT"):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            probe.bind((host, port))
        except (TypeError, UnicodeError):  # what the codec of names refuses, such as a part of more than 63 characters
            raise Failure(f"{host[:80]!r} is no name of a machine; give another address: --bind HOST:PORT") from None
        except OSError as error:
            raise Failure(f"{shown((host, port))} {_reason(error)}") from None


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "is in use; stop what listens there, or give another address: --bind HOST:PORT"
    if error.errno == errno.EADDRNOTAVAIL:
        return "is no address of this machine; give one that is: --bind HOST:PORT"
    if error.errno == errno.EACCES:
        return "is not for this account; take a port above 1023 (--bind HOST:PORT), and let a proxy listen on this one"
    return f"cannot be listened on: {error.strerror}; give another address: --bind HOST:PORT"
