"""What ``scim-gateway check`` says about a database server."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, delete, update

from scim_gateway.backend import Finding
from scim_gateway.errors import Unavailable

from .breaker import UNREACHABLE
from .database import Database, Session
from .failures import DRIVER_ERRORS, Refused, Unknown, Unprivileged, Untrusted
from .mysql import MysqlDriver
from .portable import insert_if_absent
from .tables import settings

_OLDEST = {"MariaDB": (10, 6), "MySQL": (8, 0), "SingleStore": (8, 0)}
_SKEW_SECONDS = 5.0
_LARGEST_NEEDED = 4 * 1024 * 1024
_PROBE = "probe of the privileges"

_HERE = (settings.c.tenant == bindparam("tenant_"), settings.c.name == bindparam("name_"))
_CHANGE = update(settings).where(*_HERE).values(payload=bindparam("payload_"))
_REMOVE = delete(settings).where(*_HERE)


class _Undo(Exception):
    """Takes back what was written to see whether it can be."""


def looked_at(database: Database, driver: MysqlDriver, session: Session) -> Iterator[Finding]:
    """A finding for each property of the server and of the connection to it."""
    yield _version(driver)
    yield _tls(driver, session)
    yield _isolation(session)
    if session.dialect == "mysql":
        yield _durability(session)
    else:
        # Given by CREATE DATABASE; no view that we know of shows it.
        yield Finding(
            "durability", True, "as the database was created", "WITH SYNC DURABILITY no answered change is lost"
        )
    yield _packet(driver)
    yield _clock(database, session)


def privileges(database: Database, driver: MysqlDriver, tenant: str) -> Finding:
    """Whether the account may read and write, seen by doing so and taking it back."""
    row = {"tenant": tenant, "name": _PROBE, "payload": b""}
    here = {"tenant_": tenant, "name_": _PROBE}
    try:
        with contextlib.suppress(_Undo), database.session(write=True) as session:
            insert_if_absent(session, settings, row)
            session.execute(_CHANGE, {**here, "payload_": b"1"})
            session.execute(_REMOVE, here)
            raise _Undo
    except Refused as error:
        return Finding("privileges", False, _shown(error), grant_for(driver, "SELECT, INSERT, UPDATE, DELETE"))
    return Finding("privileges", True, f"{driver.address.user} can read and write the tables")


def trouble(driver: MysqlDriver, error: Unavailable) -> Finding:
    """Why nothing could be looked at, in words for the operator."""
    where = f"{driver.place} as {driver.address.user}"
    said, _, remedy = _shown(error).partition("; ")
    if error.detail == UNREACHABLE:
        remedy = "See that the server runs and listens there, and that database_url names its host and port."
    elif isinstance(error, Unknown):
        remedy = "Compare user, password and the host of the account with what the administrator has created."
        if driver.address.tls is None:
            remedy += " An account with REQUIRE SSL needs SCIM_GATEWAY_DATABASE_TLS=required: TLS is off at present."
    elif isinstance(error, Untrusted):
        remedy = "Set database_tls_ca to its authority's file; the certificate has to name the host of database_url."
    elif isinstance(error, Unprivileged):
        remedy = grant_for(driver, "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP")
    return Finding("database", False, f"{where}: {said}", remedy)


def _shown(error: Unavailable) -> str:
    """What is said to a client, without what sends the administrator here."""
    return error.detail.partition("; scim-gateway check")[0].rstrip(".")


def grant_for(driver: MysqlDriver, rights: str) -> str:
    """The statement that gives the account rights, to paste."""
    address = driver.address
    database = address.database.replace("`", "``")
    return f"An administrator runs: GRANT {rights} ON `{database}`.* TO '{address.user}'@'<its host>';"


def _version(driver: MysqlDriver) -> Finding:
    name = next((name for name in _OLDEST if name in driver.version), "MySQL")
    numbers = re.search(r"(\d+)\.(\d+)", driver.version)
    found = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    needed = ".".join(str(number) for number in _OLDEST[name])
    ok = found >= _OLDEST[name]
    return Finding("version", ok, driver.version, "" if ok else f"Use {name} {needed} or newer.")


def _tls(driver: MysqlDriver, session: Session) -> Finding:
    if driver.address.tls is None:
        local = driver.address.is_local
        remedy = "" if local else "Passwords and people cross the network in plain text: set database_tls to required."
        return Finding("tls", local, "off, on this machine" if local else "off", remedy)
    documented = session.dialect != "singlestore"
    protocol = _row(session, "SHOW SESSION STATUS LIKE 'Ssl_version'")[-1] if documented else ""
    return Finding("tls", True, f"{protocol or 'on'}, certificate and host name verified")


def _isolation(session: Session) -> Finding:
    level = _setting(session, "transaction_isolation") or _setting(session, "tx_isolation")
    if session.dialect == "singlestore":
        return Finding("isolation", True, level or "READ-COMMITTED, as SingleStore has no other")
    ok = level == "READ-COMMITTED"
    return Finding("isolation", ok, level, "" if ok else "Something between here and the server changes sessions.")


def _durability(session: Session) -> Finding:
    flush = _setting(session, "innodb_flush_log_at_trx_commit")
    binlog, sync = _setting(session, "log_bin"), _setting(session, "sync_binlog")
    wrong = [] if flush == "1" else [f"innodb_flush_log_at_trx_commit={flush}"]
    if binlog == "ON":
        wrong += [] if sync == "1" else [f"sync_binlog={sync}"]
        wrong += [] if _setting(session, "binlog_format") != "STATEMENT" else ["binlog_format=STATEMENT"]
    if wrong:
        remedy = "An answered change can be lost when the machine fails: set both to 1, and binlog_format to ROW."
        return Finding("durability", False, ", ".join(wrong), remedy)
    return Finding("durability", True, "every commit is flushed")


def _packet(driver: MysqlDriver) -> Finding:
    largest = (driver.largest() or 0) // 2  # bytes are sent as two digits each
    ok = largest >= _LARGEST_NEEDED
    remedy = "" if ok else "Set max_allowed_packet to 16M or more."
    return Finding("largest resource", ok, f"{largest} bytes", remedy)


def _clock(database: Database, session: Session) -> Finding:
    skew = abs((database.now(session) - datetime.now(UTC)).total_seconds())
    ok = skew <= _SKEW_SECONDS
    return Finding("clock", ok, f"{skew:.1f} s between here and there", "" if ok else "Synchronise both clocks (NTP).")


def _setting(session: Session, name: str) -> str:
    return str(_row(session, f"SHOW SESSION VARIABLES LIKE '{name}'")[-1] or "")


def _row(session: Session, statement: str) -> tuple[Any, ...]:
    """The row of a SHOW of ours; what a server does not know it does not show."""
    try:
        row = session.connection.exec_driver_sql(statement).first()
    except DRIVER_ERRORS:
        return ("",)
    return ("",) if row is None else tuple(row)
