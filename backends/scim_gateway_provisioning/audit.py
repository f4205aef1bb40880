"""The audit trail: events in one numbered row each, chained by a keyed hash so that no past event can be changed.

The hash of an event is HMAC-SHA256 (RFC 2104) over the hash of the event before it and its own text, so whoever has no
key can neither change nor insert, take out or reorder events unnoticed. What was cut off at the end can only be noticed
by who remembers a newer head than the one that is left; hence the head is written to the log now and then.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from scim_gateway_sql.database import Session
from scim_gateway_sql.failures import Duplicate
from scim_gateway_sql.portable import insert_if_absent, instant
from scim_gateway_sql.prepared import Prepared
from scim_gateway_sql.tables import SETTING, settings
from sqlalchemy import and_, bindparam, insert, select

from scim_gateway.actor import Actor, current
from scim_gateway.provisioned import AuditHead

from .audit_event import Event, bounded, text
from .guard import LOCK_ROW, STORED_HASH, Guard, catch_up, events, guards

_log = logging.getLogger("scim_gateway.audit")
_security = logging.getLogger("scim_gateway.security")

KEY_BYTES = 32
HASH_BYTES = 32
_KEPT = "audit key"
_ANCHOR_SECONDS = 60.0
_NO_EVENT = bytes(HASH_BYTES)

_APPEND = Prepared(insert(events))
_HASH_OF = select(STORED_HASH).where(events.c.tenant == bindparam("tenant_"), events.c.event_no == bindparam("number_"))
_HEAD = (
    select(events.c.event_no, STORED_HASH)
    .select_from(guards.join(events, and_(events.c.tenant == guards.c.tenant, events.c.event_no == guards.c.event_no)))
    .where(guards.c.tenant == bindparam("tenant_"))
)


class Key:
    """A key of the chain.

    :param secret: the key itself.
    :param rank: a newer key has a higher one; 0 is the key that the database keeps.
    :ivar name: derived from the key, and told in each event; says nothing about the key.
    """

    def __init__(self, secret: bytes, rank: int) -> None:
        self.rank = rank
        self.name = hmac.digest(secret, b"name", hashlib.sha256)[:4].hex()
        # Copied for each event, which spares it the preparation of the key.
        self._keyed = hmac.new(secret, digestmod=hashlib.sha256)

    def hash(self, previous: bytes | None, event: bytes) -> bytes:
        """The hash of an event behind the one with the hash ``previous``."""
        keyed = self._keyed.copy()
        keyed.update(previous or _NO_EVENT)
        keyed.update(event)
        return keyed.digest()


class Keyring:
    """The keys of one tenant: the newest one signs, all of them verify.

    :param configured: the setting ``audit_key``, newest first. Without one, a key is made that the database keeps: it
        proves nothing against somebody who can read the database.
    """

    def __init__(self, tenant: str, configured: Sequence[str]) -> None:
        self._tenant = tenant
        self._configured = [
            _key(tenant, secret.encode(), len(configured) - index) for index, secret in enumerate(configured)
        ]
        self._keys: list[Key] | None = None

    @property
    def is_configured(self) -> bool:
        """Whether new events are signed with a key that the database does not know."""
        return bool(self._configured)

    def known(self, session: Session) -> Sequence[Key]:
        """Every key that is there, the one that signs first."""
        if self._keys is None:
            kept = session.execute(SETTING, {"tenant_": self._tenant, "name_": _KEPT}).scalar()
            if kept is None:
                return self._configured
            self._keys = [*self._configured, _key(self._tenant, bytes(kept), 0)]
        return self._keys

    def signing(self, session: Session) -> Key:
        """The key for new events; made now, in a write, if there is none."""
        if self._configured:
            return self._configured[0]
        if self._keys is None:
            made = secrets.token_bytes(KEY_BYTES)
            if insert_if_absent(session, settings, {"tenant": self._tenant, "name": _KEPT, "payload": made}):
                # Not remembered: the transaction may come to nothing.
                return _key(self._tenant, made, 0)
        return self.known(session)[0]


class Trail:
    """The audit trail of one tenant."""

    def __init__(self, tenant: str, keyring: Keyring) -> None:
        self._keyring = keyring
        self._tenant = tenant
        self._anchored = threading.Lock()
        self._logged = 0
        self._due = 0.0

    def append(self, session: Session, guard: Guard, described: Sequence[Event]) -> None:
        """Add events, in one statement, as the last thing that the transaction does.

        :param guard: locked for exactly as many events.
        """
        key = self._keyring.signing(session)
        rows = self._rows(guard, key, described)
        try:
            _APPEND.each(session, rows)
        except Duplicate:
            _security.error("the number of events in the audit trail was set back; run: scim-gateway audit --verify")
            rows = self._rows(catch_up(session, self._tenant, len(described)), key, described)
            _APPEND.each(session, rows)
        last = rows[-1]
        # Nobody else can have written this hash, so it also tells whether a commit without an answer took place.
        session.prove_by(lambda later: self._is_stored(later, last["event_no"], last["chain_hash"]))

    def _rows(self, guard: Guard, key: Key, described: Sequence[Event]) -> list[dict[str, Any]]:
        previous = self._continued(guard)
        rows = []
        for number, event in enumerate(described, guard.first):
            document = _document(self._tenant, number, guard.now, key.name, event)
            previous = key.hash(previous, document)
            rows.append({"tenant": self._tenant, "event_no": number, "event_doc": document, "chain_hash": previous})
        return rows

    def anchor(self, number: int, digest: bytes) -> None:
        """Write the head to the log, unless that was done a moment ago: there it is out of reach of the database."""
        now = time.monotonic()
        with self._anchored:
            if number <= self._logged or now < self._due:
                return
            self._logged, self._due = number, now + _ANCHOR_SECONDS
        _log.info("head of the audit trail of %s: %s", text(self._tenant), AuditHead(number, digest.hex()))

    def anchor_newest(self, session: Session) -> None:
        """:meth:`anchor` the newest event that is committed."""
        row = session.execute(_HEAD, {"tenant_": self._tenant}).first()
        if row is not None:
            self.anchor(int(row.event_no), bytes(row.chain_hash))

    def _is_stored(self, session: Session, number: int, digest: bytes) -> bool:
        # Whoever holds the lock of the lost transaction has to let go first: then it has ended.
        session.execute(LOCK_ROW, {"tenant_": self._tenant})
        found = session.execute(_HASH_OF, {"tenant_": self._tenant, "number_": number}).scalar()
        return found is not None and bytes(found) == digest

    def _continued(self, guard: Guard) -> bytes | None:
        """The hash to continue from; that of an event which is committed, so it can be told to the log."""
        last = guard.first - 1
        if guard.previous is not None:
            self.anchor(last, guard.previous)
        elif last > 0:
            _security.error("event %d is missing from the audit trail; run: scim-gateway audit --verify", last)
        return guard.previous


def split(described: Iterable[Event]) -> list[Event]:
    """The events, those with very many members in several parts: nothing is left out, and no row is very large."""
    return [part for event in described for part in event.parts()]


def _key(tenant: str, secret: bytes, rank: int) -> Key:
    # One secret may serve several tenants: each has a chain key of its own, so no event can be moved between them.
    return Key(hmac.digest(secret, b"scim-gateway audit trail of " + tenant.encode(), hashlib.sha256), rank)


def _asked(actor: Actor, event: Event) -> str | None:
    """The operation of the protocol, and of what it was asked, if that is another resource than the event's."""
    if actor.action is None:
        return None
    if actor.id is None or actor.id == event.id:
        return actor.action
    return text(f"{actor.action} {actor.kind} {actor.id}")


def _document(tenant: str, number: int, milliseconds: int, key: str, event: Event) -> bytes:
    """The canonical text of an event: JSON with sorted names, without blanks, without what is not known."""
    actor = current()
    told = {
        "tenant": tenant,
        "n": number,
        "at": instant(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "key": key,
        "actor": text(actor.name),
        "request": text(actor.request_id),
        "agent": text(actor.agent),
        "action": event.action,
        "kind": text(event.kind),
        "id": text(event.id),
        "name": text(event.name),
        "outcome": event.outcome,
        "asked": _asked(actor, event),
        "detail": bounded(event.detail),
    }
    return orjson.dumps({name: value for name, value in told.items() if value}, option=orjson.OPT_SORT_KEYS)
