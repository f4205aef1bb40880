"""The row of a tenant that every change locks last: how many events there are, the pause, the approval of removals.

Whoever holds it is the only one to append to the audit trail, to read the pause and to count removals, so each of these
is exact across threads, processes and machines, and all of them together cost a change two short statements. It comes
behind all rows of the directory in the order of locks, before leases alone, and is held for a moment only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scim_gateway_sql.columns import Key
from scim_gateway_sql.database import Session
from scim_gateway_sql.ddl import INNODB
from scim_gateway_sql.portable import Clock, insert_if_absent
from scim_gateway_sql.prepared import Prepared
from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    case,
    cast,
    func,
    select,
    update,
)

metadata = MetaData()

#: ``recorded_ms`` is the time of the newest event: milliseconds since 1970 by the database's clock.
guards = Table(
    "scim_guard",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("event_no", BigInteger, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
    Column("pause_reason", String),
    Column("approved_until_ms", BigInteger, nullable=False),
)

#: The audit trail: rows are added, never changed and never deleted (:mod:`.audit`).
events = Table(
    "scim_audit",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("event_no", BigInteger, primary_key=True),
    Column("event_doc", LargeBinary, nullable=False),
    Column("chain_hash", LargeBinary, nullable=False),
)

#: What was taken away lately, once each (:mod:`.breaker`).
removals = Table(
    "scim_removal",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("removal_key", Key, primary_key=True),
    Column("removal_kind", Key, nullable=False),
    Column("recorded_ms", BigInteger, nullable=False),
)


STATEMENTS = {
    "sqlite": (
        """
        CREATE TABLE scim_guard (
            tenant TEXT NOT NULL, event_no INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, pause_reason TEXT,
            approved_until_ms INTEGER NOT NULL,
            PRIMARY KEY (tenant)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE scim_audit (
            tenant TEXT NOT NULL, event_no INTEGER NOT NULL, event_doc BLOB NOT NULL, chain_hash BLOB NOT NULL,
            PRIMARY KEY (tenant, event_no)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE scim_removal (
            tenant TEXT NOT NULL, removal_key TEXT NOT NULL, removal_kind TEXT NOT NULL, recorded_ms INTEGER NOT NULL,
            PRIMARY KEY (tenant, removal_key)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX scim_removal_by_time ON scim_removal (tenant, recorded_ms, removal_kind)",
    ),
    "mysql": (
        f"""
        CREATE TABLE IF NOT EXISTS scim_guard (
            tenant VARBINARY(64) NOT NULL, event_no BIGINT NOT NULL, recorded_ms BIGINT NOT NULL,
            pause_reason VARCHAR(500) COLLATE utf8mb4_bin, approved_until_ms BIGINT NOT NULL,
            PRIMARY KEY (tenant)
        ) {INNODB}
        """,
        f"""
        CREATE TABLE IF NOT EXISTS scim_audit (
            tenant VARBINARY(64) NOT NULL, event_no BIGINT NOT NULL, event_doc MEDIUMBLOB NOT NULL,
            chain_hash VARBINARY(32) NOT NULL,
            PRIMARY KEY (tenant, event_no)
        ) {INNODB}
        """,
        f"""
        CREATE TABLE IF NOT EXISTS scim_removal (
            tenant VARBINARY(64) NOT NULL, removal_key VARBINARY(160) NOT NULL, removal_kind VARBINARY(16) NOT NULL,
            recorded_ms BIGINT NOT NULL,
            PRIMARY KEY (tenant, removal_key), KEY scim_removal_by_time (tenant, recorded_ms, removal_kind)
        ) {INNODB}
        """,
    ),
    "singlestore": (
        """
        CREATE ROWSTORE TABLE IF NOT EXISTS scim_guard (
            tenant VARBINARY(64) NOT NULL, event_no BIGINT NOT NULL, recorded_ms BIGINT NOT NULL,
            pause_reason VARCHAR(500) COLLATE utf8mb4_bin, approved_until_ms BIGINT NOT NULL,
            PRIMARY KEY (tenant), SHARD KEY (tenant)
        )
        """,
        """
        CREATE ROWSTORE TABLE IF NOT EXISTS scim_audit (
            tenant VARBINARY(64) NOT NULL, event_no BIGINT NOT NULL, event_doc MEDIUMBLOB NOT NULL,
            chain_hash VARBINARY(32) NOT NULL,
            PRIMARY KEY (tenant, event_no), SHARD KEY (tenant)
        )
        """,
        """
        CREATE ROWSTORE TABLE IF NOT EXISTS scim_removal (
            tenant VARBINARY(64) NOT NULL, removal_key VARBINARY(160) NOT NULL, removal_kind VARBINARY(16) NOT NULL,
            recorded_ms BIGINT NOT NULL,
            PRIMARY KEY (tenant, removal_key), KEY scim_removal_by_time (tenant, recorded_ms, removal_kind),
            SHARD KEY (tenant)
        )
        """,
    ),
}
"""The tables above, by the name of the dialect; a migration of this package runs them."""

BACKWARDS_MS = 300_000
"""Time does not go back by less than this; a clock that was wrong by more is believed when it has been put right."""

_HERE = guards.c.tenant == bindparam("tenant_")
_NOW = case(
    (and_(guards.c.recorded_ms > Clock(), guards.c.recorded_ms <= Clock() + BACKWARDS_MS), guards.c.recorded_ms),
    else_=Clock(),
)
_LOCK = Prepared(
    update(guards)
    .where(_HERE)
    .values(
        event_no=guards.c.event_no + bindparam("count_"),
        recorded_ms=_NOW,
    )
)

#: What a row holds, as bytes: somebody who tampered with it may have left something of another type there.
STORED_DOC = cast(events.c.event_doc, LargeBinary).label("event_doc")
STORED_HASH = cast(events.c.chain_hash, LargeBinary).label("chain_hash")

_BEFORE = and_(events.c.tenant == guards.c.tenant, events.c.event_no == guards.c.event_no - bindparam("count_"))
_LOCKED = Prepared(
    select(guards.c.event_no, guards.c.recorded_ms, guards.c.pause_reason, guards.c.approved_until_ms, STORED_HASH)
    .select_from(guards.outerjoin(events, _BEFORE))
    .where(_HERE)
)
_NEWEST = select(func.max(events.c.event_no)).where(events.c.tenant == bindparam("tenant_"))
_SET_NUMBER = update(guards).where(_HERE).values(event_no=bindparam("number_"))
LOCK_ROW = select(guards.c.event_no).where(_HERE).with_for_update()
"""Waits for whoever has locked the row, and locks it."""

_READ = select(guards, _NOW.label("now_ms")).where(_HERE)


@dataclass(frozen=True, slots=True)
class Guard:
    """The row, locked until the transaction ends.

    :param first: number of the first event that this transaction may append.
    :param now: the time of these events, in milliseconds since 1970.
    :param previous: hash of the event before, ``None`` if there is none.
    :param paused: reason of the pause, if there is one.
    :param approved_until: until when removals beyond the limit are approved, in milliseconds since 1970.
    """

    tenant: str
    first: int
    now: int
    previous: bytes | None
    paused: str | None
    approved_until: int


@dataclass(frozen=True, slots=True)
class Peek:
    """The row as it is read without a lock; ``now`` is the time, ``last`` the number of the newest event."""

    last: int
    now: int
    paused: str | None
    approved_until: int


def prepare(session: Session, tenant: str) -> None:
    """Make the row of a tenant, unless it is there."""
    row: dict[str, Any] = {"tenant": tenant, "event_no": 0, "recorded_ms": 0, "approved_until_ms": 0}
    insert_if_absent(session, guards, {**row, "pause_reason": None})


def lock(session: Session, tenant: str, count: int) -> Guard:
    """Lock the row for ``count`` events; if the transaction does not append them, it must be rolled back.

    :param count: at least 1, so that the statement always changes something.
    """
    here = {"tenant_": tenant, "count_": count}
    found = _locked(session, here)
    if found is None:
        prepare(session, tenant)
        found = _locked(session, here)
        assert found is not None
    last, now, reason, approved_until, previous = found
    return Guard(tenant, last - count + 1, now, None if previous is None else bytes(previous), reason, approved_until)


def _locked(session: Session, here: Mapping[str, Any]) -> Sequence[Any] | None:
    return _LOCKED.first(session, here) if _LOCK.changed(session, here) == 1 else None


def catch_up(session: Session, tenant: str, count: int) -> Guard:
    """:func:`lock` again after the number of events turned out to be wrong: somebody set it back."""
    newest = int(session.execute(_NEWEST, {"tenant_": tenant}).scalar_one() or 0)
    session.execute(_SET_NUMBER, {"tenant_": tenant, "number_": newest})
    return lock(session, tenant, count)


def peek(session: Session, tenant: str) -> Peek:
    """Read the row without waiting for anybody."""
    row = session.execute(_READ, {"tenant_": tenant}).first()
    if row is None:
        return Peek(0, 0, None, 0)
    return Peek(row.event_no, row.now_ms, row.pause_reason, row.approved_until_ms)


def set_pause(session: Session, tenant: str, reason: str | None) -> None:
    """Begin or end the pause; the row is locked already."""
    session.execute(update(guards).where(_HERE).values(pause_reason=bindparam("reason_")), _pause(tenant, reason))


def set_approval(session: Session, tenant: str, until: int) -> None:
    """Approve removals beyond the limit until a time in milliseconds since 1970; the row is locked already."""
    statement = update(guards).where(_HERE).values(approved_until_ms=bindparam("until_"))
    session.execute(statement, {"tenant_": tenant, "until_": until})


def _pause(tenant: str, reason: str | None) -> dict[str, Any]:
    return {"tenant_": tenant, "reason_": reason}
