"""The double by hand: a cluster without a cluster, which prints each account statement that it carries out."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import threading

from . import Behaviour, MariaDB, SingleStoreDouble
from .statement_log import Entry

GRANTS = ("CREATE USER", "ALTER USER", "PROCESS", "SHOW METADATA", "GRANT OPTION")


def main() -> None:
    """Serve until Ctrl-C."""
    arguments = _arguments()
    double = SingleStoreDouble(
        arguments.version,
        Behaviour(),
        aggregators=arguments.aggregators,
        mariadb=arguments.mariadb,
    )
    password = secrets.token_urlsafe(24)
    double.execute(f"CREATE USER 'scim_gw'@'%' IDENTIFIED BY '{password}'")
    for privilege in GRANTS:
        if privilege != "ALTER USER" or arguments.version != "7.8":
            double.execute(f"GRANT {privilege} ON *.* TO 'scim_gw'@'%'")
    if arguments.port:
        double.cluster.nodes[0].port = arguments.port
    double.log.listeners.append(_print)
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    with double.running():
        _introduce(double, password)
        stopped.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make engine-double", description=__doc__)
    parser.add_argument("--version", default="8.5", help="version of SingleStore to play (default %(default)s)")
    parser.add_argument("--port", type=int, default=3307, help="0 takes a free one (default %(default)s)")
    parser.add_argument("--aggregators", type=int, default=1, help="how many nodes (default %(default)s)")
    parser.add_argument("--mariadb", type=_mariadb, metavar="USER:PASSWORD@HOST:PORT", help="where DML and DDL go")
    return parser.parse_args()


def _mariadb(text: str) -> MariaDB:
    credentials, _, address = text.rpartition("@")
    user, _, password = credentials.partition(":")
    host, _, port = address.partition(":")
    return MariaDB(host, int(port), user, password)


def _introduce(double: SingleStoreDouble, password: str) -> None:
    master = double.address()
    lines = [
        f"SingleStore {double.cluster.version}, a double for trying out and testing; accounts only, in memory.",
        *(f"  node {node.id}: {node.host}:{node.port}" for node in double.cluster.nodes),
        f"  root:            {double.root_password}",
        f"  service account: scim_gw, password {password}",
        "",
        "Look into it:",
        f"  mysql -h {master.host} -P {master.port} -u scim_gw -p -e 'SHOW GROUPS'",
        "Point the gateway at it:",
        "  export SCIM_GATEWAY_BACKEND=engine",
        f"  export SCIM_GATEWAY_ENGINE_HOST={master.host} SCIM_GATEWAY_ENGINE_PORT={master.port}",
        f"  export SCIM_GATEWAY_ENGINE_USER=scim_gw SCIM_GATEWAY_ENGINE_PASSWORD={password}",
        "  make serve",
        "",
        "Account statements as they come (Ctrl-C stops):",
    ]
    print("\n".join(lines), flush=True)


def _print(entry: Entry) -> None:
    if entry.is_account_statement or entry.error is not None:
        outcome = f"  -- error {entry.error}" if entry.error is not None else ""
        sys.stdout.write(f"{entry.account.name}@{entry.node_id}: {entry.shown}{outcome}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
