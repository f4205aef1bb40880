"""A directory in a SQLite file with audit trail, pause and circuit breaker, and what a thief of the file could do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scim_gateway_provisioning.audit_event import Event
from scim_gateway_provisioning.breaker import Limits
from scim_gateway_provisioning.ddl import PROVISIONING
from scim_gateway_provisioning.journal import Change
from scim_gateway_provisioning.safeguards import Safeguards
from scim_gateway_sql import SqlBackend
from scim_gateway_sql.database import Session
from servers.singlestore_on_mariadb import SingleStoreOnMariaDb

from scim_gateway.definitions import standard_resource_types
from scim_gateway.provisioned import AuditEvent, AuditHead, AuditVerdict
from scim_gateway.schema import Resource

TENANT = "default"
KEY = "a-key-for-tests-of-the-audit-trail-0001"
OTHER_KEY = "another-key-for-tests-of-the-audit-trail"


class _Undo(Exception):
    """Ends an operation and takes back what it wrote."""


@dataclass
class Guarded:
    """One process that serves the directory.

    :ivar others: processes that were opened beside it; they are closed with it.
    """

    folder: Path
    backend: SqlBackend
    safeguards: Safeguards
    tenant: str = TENANT
    url: str | None = None
    singlestore: bool = False
    others: list[Guarded] = field(default_factory=list)

    def close(self) -> None:
        """End it, and what was opened beside it."""
        for other in self.others:
            other.close()
        self.backend.close()

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self.backend.database.operation(write=True) as session:
            yield session

    def change(self, *changes: Change, undone: bool = False) -> None:
        """One operation that changes something; again, where others get in between."""
        self.backend.database.run(lambda session: self.safeguards.recorded(session, changes, undone=undone))

    def note(self, *events: Event) -> None:
        self.backend.database.run(lambda session: self.safeguards.note(session, events))

    def come_to_nothing(self, *changes: Change) -> None:
        """One operation that changes something and is rolled back."""
        with suppress(_Undo), self.write() as session:
            self.safeguards.recorded(session, changes)
            raise _Undo

    def removals(self) -> Mapping[str, int]:
        """How many count at present."""
        with self.backend.database.session() as session:
            return self.safeguards.breaker.counts(session)

    def events(self, **how: Any) -> list[AuditEvent]:
        return list(self.safeguards.events(**how))

    def verify(self, expected: AuditHead | None = None) -> AuditVerdict:
        return self.safeguards.verify(expected)

    @contextmanager
    def stolen(self) -> Iterator[sqlite3.Connection]:
        """The file in the hands of somebody who may change all of it."""
        connection = sqlite3.connect(self.folder / "scim-gateway.db", isolation_level=None, timeout=10)
        try:
            yield connection
        finally:
            connection.close()

    def another(self, *keys: str, limits: Limits | None = None) -> Guarded:
        """Another process on the same file, perhaps with other settings."""
        limits = limits or self.safeguards.breaker.limits
        where: dict[str, Any] = {"tenant": self.tenant, "url": self.url, "singlestore": self.singlestore}
        self.others.append(open_guarded(self.folder, *keys, limits=limits, **where))
        return self.others[-1]


def open_guarded(
    folder: Path,
    *keys: str,
    limits: Limits | None = None,
    tenant: str = TENANT,
    url: str | None = None,
    singlestore: bool = False,
) -> Guarded:
    """A process that serves the directory in a folder, or the one in the database of a server.

    :param singlestore: use the statements for SingleStore on that server.
    """
    types = standard_resource_types()
    if singlestore:
        driver = SingleStoreOnMariaDb.at(url or "")
        backend = SqlBackend(driver, types, tenant=tenant, migrations=(PROVISIONING,))
    else:
        settings = {"data_dir": str(folder), "database_url": url, "tenant": tenant}
        backend = SqlBackend.from_settings(settings, types, migrations=(PROVISIONING,))
    safeguards = Safeguards(backend.database, tenant, keys, limits or Limits())
    return Guarded(folder, backend, safeguards, tenant, url, singlestore)


def user(id: str, name: str = "alice", **attributes: Any) -> Resource:
    """A User as it is stored; a new number of its version makes each one differ."""
    return {"id": id, "userName": name, "active": True, "meta": {"resourceType": "User", "version": "1"}, **attributes}


def group(id: str, name: str = "staff") -> Resource:
    return {"id": id, "displayName": name, "meta": {"resourceType": "Group", "version": "1"}}


def created(id: str, name: str = "alice") -> Change:
    return Change("User", id, None, user(id, name))


def deactivated(id: str, name: str = "alice") -> Change:
    return Change("User", id, user(id, name), user(id, name, active=False))


def deleted(kind: str, id: str) -> Change:
    return Change(kind, id, user(id) if kind == "User" else group(id), None)


def memberships(id: str, *, added: tuple[str, ...] = (), removed: tuple[str, ...] = ()) -> Change:
    return Change("Group", id, group(id), group(id), dict.fromkeys(added, "User"), set(removed))
