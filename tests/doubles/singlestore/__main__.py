"""The double by hand: a cluster without a cluster, which prints each account statement that it carries out."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from dataclasses import fields
from typing import Any

from doubles.by_hand import end_if_taken

from .api import Behaviour, MariaDB, SingleStoreDouble
from .errors import EngineError
from .statement_log import Entry
from .versions import ALTER_USER_PRIVILEGE

SERVICE_ACCOUNT = "scim_gw"
PASSWORD = "trying-it-out"
PRIVILEGES = ("CREATE USER", "PROCESS", "SHOW METADATA", "GRANT OPTION")


def main() -> None:
    """Serve until Ctrl-C or the line ``quit``."""
    options = _options()
    end_if_taken(options.port, "make engine-double")
    double = SingleStoreDouble(
        options.version,
        Behaviour(**dict(options.behaviour)),
        aggregators=options.aggregators,
        mariadb=options.mariadb,
        root_password=PASSWORD,
    )
    double.cluster.nodes[0].port = options.port
    newer = ("ALTER USER",) if double.cluster.has(ALTER_USER_PRIVILEGE) else ()
    double.execute(
        f"CREATE USER '{SERVICE_ACCOUNT}'@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT {', '.join(PRIVILEGES + newer)} ON *.* TO '{SERVICE_ACCOUNT}'@'%'",
    )
    double.log.listeners.append(_print_statement)
    with double.running():
        try:
            print(_introduction(double), flush=True)
            for line in sys.stdin:
                if line.strip() == "quit":
                    return
                _obey(double, line.strip())
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make engine-double", description=__doc__)
    parser.add_argument("--version", default="8.5", help="version of SingleStore to play (default %(default)s)")
    parser.add_argument("--port", type=int, default=3307, help="of the first node; 0 is any (default %(default)s)")
    parser.add_argument("--aggregators", type=int, default=1, help="how many nodes (default %(default)s)")
    parser.add_argument("--mariadb", type=_mariadb, metavar="USER:PASSWORD@HOST:PORT", help="where DML and DDL go")
    parser.add_argument(
        "--behaviour",
        type=_switch,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a switch of behaviour.py, as repeat_grant_group=error; may be given several times",
    )
    return parser.parse_args()


def _mariadb(text: str) -> MariaDB:
    credentials, _, address = text.rpartition("@")
    user, _, password = credentials.partition(":")
    host, _, port = address.partition(":")
    return MariaDB(host, int(port), user, password)


def _switch(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if name not in {field.name for field in fields(Behaviour)}:
        raise argparse.ArgumentTypeError(f"{name} is no switch of behaviour.py")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _introduction(double: SingleStoreDouble) -> str:
    master = double.address()
    others = [f"{node.host}:{node.port}" for node in double.cluster.nodes[1:]]
    return "\n".join(
        [
            f"A double of SingleStore {double.cluster.version} listens on {master.host}:{master.port}; accounts only.",
            *([f"Its other aggregators: {', '.join(others)}."] if others else []),
            f"The gateway's account is {SERVICE_ACCOUNT}, the administrator's root, the password of both {PASSWORD}.",
            "Point a gateway at it:\n",
            "    SCIM_GATEWAY_BACKEND=engine \\",
            f"    SCIM_GATEWAY_ENGINE_URL=singlestore://{SERVICE_ACCOUNT}@{master.host}:{master.port} \\",
            f"    SCIM_GATEWAY_ENGINE_PASSWORD={PASSWORD} \\",
            "    make serve\n",
            "A line of SQL is carried out as root: SHOW USERS, or SHOW USERS FOR GROUP 'eng', or a change by hand.",
            "restart         the cluster restarts, and forgets who was locked",
            "quit            end (so does Ctrl-C)\n",
            "What the gateway sends:",
        ]
    )


def _obey(double: SingleStoreDouble, line: str) -> None:
    """Carry out one line that was typed."""
    if not line:
        return
    if line == "restart":
        double.restart()
        print("restarted", flush=True)
        return
    try:
        rows = double.execute(line)
    except EngineError as error:
        print(f"error {error.number}: {error.message}", flush=True)
        return
    if rows is None:
        print("done", flush=True)
        return
    for row in (rows.columns, *rows.rows):
        print("  " + " | ".join(str(cell) for cell in row), flush=True)


def _print_statement(entry: Entry) -> None:
    if entry.is_account_statement or entry.error is not None:
        outcome = f"  -- error {entry.error}" if entry.error is not None else ""
        print(f"{entry.account.name} on {entry.node_id}: {entry.shown}{outcome}", flush=True)


if __name__ == "__main__":
    main()
