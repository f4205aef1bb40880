"""Grants that are not answered yet: rows of ``scim_promise``, which keep what it takes to take each of them back.

A request that gives rights writes its promise down in the transaction that records the change. It is kept in the
transaction that marks the last of it as done, before the answer; or withdrawn, together with what was given. One whose
request came to no end is dead after a while, and is withdrawn by whoever comes upon it (:mod:`.withdrawal`): what was
not answered with success is not given afterwards.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from scim_gateway_sql.columns import Key
from scim_gateway_sql.database import Database, Session
from scim_gateway_sql.ddl import INNODB
from scim_gateway_sql.portable import Clock
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from .journal import Change
from .work import WorkKey, batches

_FORGOTTEN_AT_ONCE = 500
REMEMBERED_MS = 120_000
"""For so long it is known of a promise that it was withdrawn: longer than any request that built on it takes."""

Edges = Mapping[str, frozenset[tuple[str, str]]]
"""By target, memberships: ids of groups and members."""

metadata = MetaData()

#: ``rows_doc`` names the rows of work that were raised, with their generations; ``undo_doc`` is compressed JSON: the
#: changes, and the memberships that were written down. ``ended_flag``: it was withdrawn. ``relied_flag``: another
#: request about the same was answered with success.
promises = Table(
    "scim_promise",
    metadata,
    Column("tenant", Key, primary_key=True),
    Column("promise_id", Key, primary_key=True),
    Column("holder", Key, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("ended_flag", Integer, nullable=False),
    Column("relied_flag", Integer, nullable=False),
    Column("rows_doc", LargeBinary, nullable=False),
    Column("undo_doc", LargeBinary, nullable=False),
    Column("trouble_text", String),
)

_COLUMNS = """
    tenant VARBINARY(64) NOT NULL, promise_id VARBINARY(64) NOT NULL, holder VARBINARY(64) NOT NULL,
    until_ms BIGINT NOT NULL, ended_flag INT NOT NULL, relied_flag INT NOT NULL,
    rows_doc LONGBLOB NOT NULL, undo_doc LONGBLOB NOT NULL, trouble_text TEXT COLLATE utf8mb4_bin,
    PRIMARY KEY (tenant, promise_id), KEY scim_promise_by_end (tenant, ended_flag)
"""
STATEMENTS = {
    "sqlite": (
        """
        CREATE TABLE scim_promise (
            tenant TEXT NOT NULL, promise_id TEXT NOT NULL, holder TEXT NOT NULL, until_ms INTEGER NOT NULL,
            ended_flag INTEGER NOT NULL, relied_flag INTEGER NOT NULL,
            rows_doc BLOB NOT NULL, undo_doc BLOB NOT NULL, trouble_text TEXT,
            PRIMARY KEY (tenant, promise_id)
        )
        """,
        "CREATE INDEX scim_promise_by_end ON scim_promise (tenant, ended_flag)",
    ),
    "mysql": (f"CREATE TABLE IF NOT EXISTS scim_promise ({_COLUMNS}) {INNODB}",),
    "singlestore": (f"CREATE ROWSTORE TABLE IF NOT EXISTS scim_promise ({_COLUMNS}, SHARD KEY (tenant))",),
}
"""The table above, by the name of the dialect; a migration of this package runs them."""

_HERE = and_(promises.c.tenant == bindparam("tenant_"), promises.c.promise_id == bindparam("id_"))
_OPEN = and_(_HERE, promises.c.ended_flag == 0)
_INSERT = insert(promises).values(until_ms=Clock() + bindparam("claim_ms_"))
_LIST = select(
    promises.c.promise_id,
    promises.c.holder,
    promises.c.rows_doc,
    promises.c.trouble_text,
    promises.c.relied_flag,
    (promises.c.until_ms <= Clock()).label("dead_flag"),
).where(promises.c.tenant == bindparam("tenant_"), promises.c.ended_flag == 0)
_UNDO = select(promises.c.promise_id, promises.c.undo_doc).where(
    promises.c.tenant == bindparam("tenant_"),
    promises.c.promise_id.in_(bindparam("ids", expanding=True)),
    promises.c.ended_flag == 0,
)
_STATE = select(promises.c.holder, promises.c.ended_flag).where(_HERE)
_KEEP = delete(promises).where(_OPEN)
_WITHDRAW = (
    update(promises)
    .where(_OPEN, promises.c.holder == bindparam("holder_"))
    .values(ended_flag=1, until_ms=Clock() + REMEMBERED_MS, undo_doc=b"", trouble_text=None)
)
_TAKE_OVER = (
    update(promises)
    .where(_OPEN, promises.c.holder == bindparam("holder_"))
    .values(holder=bindparam("heir_"), until_ms=Clock() + bindparam("claim_ms_"), trouble_text=None)
)
_RENEW = update(promises).where(_OPEN).values(until_ms=Clock() + bindparam("claim_ms_"))
_TROUBLE = update(promises).where(_OPEN).values(trouble_text=bindparam("trouble_"))
_RELY = update(promises).where(_OPEN).values(relied_flag=1)
_ENDED = select(promises.c.promise_id).where(
    promises.c.tenant == bindparam("tenant_"),
    promises.c.promise_id.in_(bindparam("ids", expanding=True)),
    promises.c.ended_flag == 1,
)
_OLD = (
    select(promises.c.promise_id)
    .where(promises.c.tenant == bindparam("tenant_"), promises.c.ended_flag == 1, promises.c.until_ms <= Clock())
    .limit(_FORGOTTEN_AT_ONCE)
)
_FORGET = delete(promises).where(_HERE, promises.c.ended_flag == 1)


@dataclass(frozen=True, slots=True)
class Promise:
    """A grant that is not answered yet.

    :param holder: the request that answers for it; only that one may take it back while it lives.
    :param rows: the rows of work that it raised, with their generations.
    :param relied: another request about the same resources was answered with success.
    :param dead: its request did not give a sign of life for as long as a claim lasts.
    :param trouble: why it cannot be withdrawn, for the operator.
    """

    id: str
    holder: str
    rows: Mapping[WorkKey, int]
    relied: bool
    dead: bool
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Given:
    """What a request gave: its changes, and the memberships that it wrote down."""

    changes: tuple[Change, ...]
    edges: Edges


class PromiseGone(Exception):
    """Somebody else has kept the promise, withdrawn it, or answers for it now."""


def make(session: Session, tenant: str, id: str, rows: Mapping[WorkKey, int], given: Given, *, seconds: float) -> None:
    """Write a promise down, in the transaction that records what is given.

    :param id: the name of the request's claims.
    :param seconds: how long it lives without a sign of life.
    """
    undo = _packed(given)
    session.fit(undo, None)
    row = {
        "tenant": tenant,
        "promise_id": id,
        "holder": id,
        "ended_flag": 0,
        "relied_flag": 0,
        "rows_doc": orjson.dumps([[*key, number] for key, number in sorted(rows.items())]),
        "undo_doc": undo,
        "trouble_text": None,
        "claim_ms_": int(seconds * 1000),
    }
    session.execute(_INSERT, row)


def open_promises(session: Session, tenant: str) -> list[Promise]:
    """Every promise that is neither kept nor withdrawn."""
    return [_promise(row) for row in session.execute(_LIST, {"tenant_": tenant})]


def touching(session: Session, tenant: str, keys: Collection[WorkKey]) -> list[Promise]:
    """Those that concern rows of work."""
    if not keys:
        return []
    wanted = frozenset(keys)
    return [promise for promise in open_promises(session, tenant) if not wanted.isdisjoint(promise.rows)]


def given_by(session: Session, tenant: str, ids: Collection[str]) -> dict[str, Given]:
    """By id of a promise, what it takes to take it back; those that are kept or withdrawn by now are left out."""
    found: dict[str, Given] = {}
    for batch in batches(ids):
        for row in session.execute(_UNDO, {"tenant_": tenant, "ids": batch}):
            found[row.promise_id] = _unpacked(bytes(row.undo_doc))
    return found


def keep(session: Session, tenant: str, id: str) -> bool:
    """What was promised is there; ``False``: it was withdrawn. Whoever shares a promise may keep it."""
    if session.execute(_KEEP, _key(tenant, id)).rowcount == 1:
        return True
    return session.execute(_STATE, _key(tenant, id)).first() is None


def keep_alone(database: Database, tenant: str, id: str) -> bool:
    """:func:`keep` in a transaction of its own."""

    def work(session: Session) -> bool:
        session.prove_by(lambda later: later.execute(_STATE, _key(tenant, id)).first() is None)
        return keep(session, tenant, id)

    return database.run(work)


def withdraw(session: Session, tenant: str, id: str, holder: str) -> None:
    """Note that what was given is taken back, in the transaction that does so.

    :raises PromiseGone: it is not the holder's any more.
    """
    session.prove_by(lambda later: _has_ended(later, tenant, id))
    if session.execute(_WITHDRAW, {**_key(tenant, id), "holder_": holder}).rowcount != 1:
        raise PromiseGone(id)


def take_over(session: Session, tenant: str, promise: Promise, heir: str, *, seconds: float) -> bool:
    """Answer for a promise from now on; ``False``: it was kept or withdrawn at this moment."""
    parameters = {**_key(tenant, promise.id), "holder_": promise.holder, "heir_": heir}
    session.prove_by(lambda later: _is_held_by(later, tenant, promise.id, heir))
    return session.execute(_TAKE_OVER, {**parameters, "claim_ms_": int(seconds * 1000)}).rowcount == 1


def rely_on(database: Database, tenant: str, ids: Collection[str]) -> bool:
    """Note that a request about the same as these promises is answered with success; ``False``: one was withdrawn."""

    def work(session: Session) -> bool:
        _repeatable(session)
        for id in sorted(ids):
            session.execute(_RELY, _key(tenant, id))
        return not any(session.execute(_ENDED, {"tenant_": tenant, "ids": batch}).first() for batch in batches(ids))

    return database.run(work)


def note_trouble(session: Session, tenant: str, id: str, text: str) -> None:
    """Note why a promise could not be withdrawn: what it gives is held until a request asks for it again."""
    _repeatable(session)
    session.execute(_TROUBLE, {**_key(tenant, id), "trouble_": text})


def forget_old(database: Database, tenant: str) -> None:
    """Remove what is known of promises that were withdrawn long ago."""
    with database.operation(write=False) as session:
        old = sorted(session.execute(_OLD, {"tenant_": tenant}).scalars())

    def forget(session: Session) -> None:
        _repeatable(session)
        session.execute(_FORGET, [_key(tenant, id) for id in old])

    if old:
        database.run(forget)


class SignsOfLife:
    """The signs of life of a request that has promised something.

    :param seconds: after so long without one the promise is dead.
    """

    def __init__(self, database: Database, tenant: str, id: str, seconds: float) -> None:
        self._database = database
        self._tenant = tenant
        self._id = id
        self._seconds = seconds
        self._since = time.monotonic()

    def renew_in_time(self) -> None:
        """Give a sign of life, if a third of the time is over.

        :raises scim_gateway.errors.Unavailable: the directory cannot be reached.
        """
        now = time.monotonic()
        if now - self._since >= self._seconds / 3:
            self._database.run(self._renew)
            self._since = now

    def _renew(self, session: Session) -> None:
        _repeatable(session)
        session.execute(_RENEW, {**_key(self._tenant, self._id), "claim_ms_": int(self._seconds * 1000)})


def _key(tenant: str, id: str) -> dict[str, Any]:
    return {"tenant_": tenant, "id_": id}


def _repeatable(session: Session) -> None:
    """What was done is the same when it is done twice: after a commit without an answer it is done again."""
    session.prove_by(lambda _later: False)


def _has_ended(session: Session, tenant: str, id: str) -> bool | None:
    row = session.execute(_STATE, _key(tenant, id)).first()
    return None if row is None else bool(row.ended_flag)


def _is_held_by(session: Session, tenant: str, id: str, holder: str) -> bool:
    row = session.execute(_STATE, _key(tenant, id)).first()
    return row is not None and row.holder == holder


def _promise(row: Any) -> Promise:
    rows = {(id, target): number for id, target, number in orjson.loads(row.rows_doc)}
    return Promise(row.promise_id, row.holder, rows, bool(row.relied_flag), bool(row.dead_flag), row.trouble_text)


def _packed(given: Given) -> bytes:
    changes = [
        {
            "kind": change.kind,
            "id": change.id,
            "before": change.before,
            "after": change.after,
            "added": change.added,
            "removed": sorted(change.removed),
        }
        for change in given.changes
    ]
    return zlib.compress(orjson.dumps({"changes": changes, "edges": _by_group(given.edges)}), 1)


def _by_group(edges: Edges) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for target, pairs in edges.items():
        of_target = found.setdefault(target, {})
        for group, member in sorted(pairs):
            of_target.setdefault(group, []).append(member)
    return found


def _unpacked(document: bytes) -> Given:
    content = orjson.loads(zlib.decompress(document))
    return Given(
        tuple(_changes(content["changes"])),
        {
            target: frozenset((group, member) for group, members in groups.items() for member in members)
            for target, groups in content["edges"].items()
        },
    )


def _changes(found: Iterable[Mapping[str, Any]]) -> Iterator[Change]:
    for each in found:
        yield Change(
            each["kind"],
            each["id"],
            each["before"],
            each["after"],
            added=dict(each["added"]),
            removed=set(each["removed"]),
        )
