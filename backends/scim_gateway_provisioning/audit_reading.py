"""Reading the audit trail: all of it in order, or the events of one resource, or the newest ones."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
from scim_gateway_sql.database import Session
from sqlalchemy import bindparam, select

from scim_gateway.provisioned import AuditEvent
from scim_gateway.text import collision_key

from .guard import STORED_DOC, STORED_HASH, events, peek

_BATCH = 500
_UNREADABLE = "unreadable"

_OF_TENANT = events.c.tenant == bindparam("tenant_")
_ROWS = select(events.c.event_no, STORED_DOC, STORED_HASH)
_UP = _ROWS.where(_OF_TENANT, events.c.event_no > bindparam("after_")).order_by(events.c.event_no).limit(_BATCH)
_DOWN = (
    _ROWS.where(_OF_TENANT, events.c.event_no < bindparam("before_"), events.c.event_no > bindparam("after_"))
    .order_by(events.c.event_no.desc())
    .limit(_BATCH)
)
_AT = (
    select(events.c.event_no, STORED_DOC)
    .where(_OF_TENANT, events.c.event_no >= bindparam("from_"))
    .order_by(events.c.event_no)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Row:
    """One event as it is stored.

    :param number: -1 if what stands there is no number.
    """

    number: int
    document: bytes
    hash: bytes


def rows(session: Session, tenant: str, after: int = 0) -> Iterator[Row]:
    """All rows behind a number, in order; as many as there are when the last one is read."""
    while found := session.execute(_UP, {"tenant_": tenant, "after_": after}).all():
        yield from (_row(*row) for row in found)
        after = found[-1][0]


def read(
    session: Session,
    tenant: str,
    *,
    user: str | None = None,
    since: datetime | None = None,
    after: int = 0,
    limit: int | None = None,
) -> Iterator[AuditEvent]:
    """Events in their order; see :meth:`scim_gateway.provisioned.Provisioned.audit`."""
    if since is not None:
        after = max(after, _before(session, tenant, since))
    found = rows(session, tenant, after) if limit is None else _backwards(session, tenant, after)
    if user is not None:
        ids = _ids(session, tenant, user)
        found = (row for row in found if _concerns(_content(row), ids))
    if limit is not None:
        found = reversed(list(islice(found, limit)))
    for row in found:
        yield _event(row)


def _backwards(session: Session, tenant: str, after: int) -> Iterator[Row]:
    here = {"tenant_": tenant, "after_": after}
    before = sys.maxsize
    while found := session.execute(_DOWN, {**here, "before_": before}).all():
        yield from (_row(*row) for row in found)
        before = found[-1][0]


def _row(number: Any, document: bytes, hash: bytes) -> Row:
    return Row(number if isinstance(number, int) else -1, bytes(document), bytes(hash))


def _before(session: Session, tenant: str, since: datetime) -> int:
    """A number such that the events behind it are the ones at or after a time; times never go back in the trail."""
    low, high = 0, peek(session, tenant).last
    while low < high:
        middle = (low + high + 1) // 2
        row = session.execute(_AT, {"tenant_": tenant, "from_": middle}).first()
        if row is None or _at(_parsed(bytes(row.event_doc))) >= since:
            high = middle - 1
        else:
            low = max(middle, min(int(row.event_no), high))
    return low


def _ids(session: Session, tenant: str, user: str) -> frozenset[str]:
    """The ids that a name stood for at any time, and the text itself, which may be an id."""
    key = collision_key(user)
    found = {user}
    for row in rows(session, tenant):
        content = _content(row)
        if "id" in content and any(isinstance(name, str) and collision_key(name) == key for name in _names(content)):
            found.add(content["id"])
    return frozenset(found)


def _concerns(content: Mapping[str, Any], ids: frozenset[str]) -> bool:
    return content.get("id") in ids or any(not ids.isdisjoint(_members(content, way)) for way in ("added", "removed"))


def _members(content: Mapping[str, Any], way: str) -> Iterable[str]:
    found = content.get("detail", {}).get(way)
    return (id for id in found if isinstance(id, str)) if isinstance(found, list) else ()


def _names(content: Mapping[str, Any]) -> Iterable[Any]:
    """The name that the resource had, and those that it was given."""
    values = content.get("detail", {}).get("values")
    given = values.get("userName") if isinstance(values, dict) else None
    return (content.get("name"), *(given if isinstance(given, list) else ()))


def _content(row: Row) -> Mapping[str, Any]:
    return _parsed(row.document)


def _parsed(document: bytes) -> Mapping[str, Any]:
    """What an event says; nothing, if somebody has spoilt it: that is for the verification to tell."""
    try:
        content = orjson.loads(document)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(content, dict):
        return {}
    sound = {"detail": dict}
    return {name: value for name, value in content.items() if isinstance(value, sound.get(name, str))}


def _at(content: Mapping[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(content["at"])
    except (KeyError, TypeError, ValueError):
        return datetime(1970, 1, 1, tzinfo=UTC)


def _event(row: Row) -> AuditEvent:
    content = _content(row)
    return AuditEvent(
        row.number,
        _at(content),
        content.get("request"),
        content.get("actor", "?"),
        content.get("agent"),
        content.get("action", _UNREADABLE),
        content.get("kind"),
        content.get("id"),
        content.get("name"),
        content.get("outcome", _UNREADABLE),
        content.get("detail", {}),
    )
