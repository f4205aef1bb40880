"""An empty cluster for a gateway under test: its service account, and the settings that lead there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from .double import SingleStoreDouble
from .fixtures import check_faithful
from .versions import ALTER_USER_PRIVILEGE

ACCOUNT = "scim_gw"
PASSWORD = "Password-of-the-gateway-1"
PRIVILEGES = ("CREATE USER", "PROCESS", "SHOW METADATA", "GRANT OPTION")


def add_service_account(double: SingleStoreDouble) -> None:
    """Make the gateway's account, with the privileges that ``docs/engine.rst`` gives it."""
    newer = ("ALTER USER",) if double.cluster.has(ALTER_USER_PRIVILEGE) else ()
    double.execute(
        f"CREATE USER '{ACCOUNT}'@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT {', '.join(PRIVILEGES + newer)} ON *.* TO '{ACCOUNT}'@'%'",
    )


def environ_of(port: int) -> dict[str, str]:
    """Settings by the names of their environment variables, without the prefix."""
    return {
        "ENGINE_URL": f"singlestore://{ACCOUNT}@127.0.0.1:{port}/",
        "ENGINE_PASSWORD": PASSWORD,
        "RECONCILE_MINUTES": "0",
    }


@contextmanager
def engine_environ(version: str = "8.5") -> Iterator[Mapping[str, str]]:
    """Start a cluster; at the end it may not have been sent what it does not know."""
    double = SingleStoreDouble(version)
    add_service_account(double)
    with double.running() as address:
        yield environ_of(address.port)
    check_faithful(double)
