"""A directory in SQL through SQLAlchemy Core: in a file of SQLite, in MariaDB or MySQL, in SingleStore."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

from sqlalchemy import bindparam, select

from scim_gateway.backend import Backend, Finding, Reference
from scim_gateway.errors import Unavailable
from scim_gateway.schema import ResourceTypes
from scim_gateway.tokens import TokenStore

from .address import driver_for, refuse_long_names
from .check import findings
from .database import Database, Session, Transactions
from .ddl import DIRECTORY, MigrationSet
from .driver import Driver
from .fed import Feeding
from .handlers import SqlHandler
from .membership import SqlMembershipHandler
from .prepared import Prepared, batches
from .startup import CURSOR_KEY, Startup
from .tables import SETTING, resources
from .tokens import SqlTokenStore

DEFAULT_TENANT = "default"

# What a driver says is for the log of a gateway, not for the terminal of a command, which has a line of its own.
logging.getLogger(__name__).addHandler(logging.NullHandler())

_REFERENCES = Prepared(
    select(resources.c.id, resources.c.kind, resources.c.display).where(
        resources.c.tenant == bindparam("tenant_"), resources.c.id.in_(bindparam("ids", expanding=True))
    ),
    among="ids",
)


class SqlBackend(Backend):
    """The directory of one tenant in a SQL database.

    :param database: its URL, such as ``sqlite:////var/lib/scim-gateway/scim-gateway.db``, or a driver made of settings.
    :param tenant: first column of every key; directories of several tenants may share a database.
    :param migrations: of packages that keep tables beside those of the directory.
    :param backend: the setting by that name, for messages.
    :raises ConfigurationError: a name is longer than the database's keys.
    """

    shared = True
    settings_read = frozenset({"database"})

    def __init__(
        self,
        database: str | Driver,
        resource_types: ResourceTypes,
        *,
        tenant: str = DEFAULT_TENANT,
        migrations: Sequence[MigrationSet] = (),
        backend: str | None = None,
    ) -> None:
        driver = driver_for({"database_url": database}) if isinstance(database, str) else database
        if driver.concurrent:
            refuse_long_names(tenant, resource_types)
        self.resource_types = resource_types
        self._tenant = tenant
        self._sets = (DIRECTORY, *migrations)
        self.feeding = Feeding(tenant, backend)
        """Which targets the directory feeds; a package with targets names its own before the first operation."""
        self._database = Database(driver, self._prepare)
        self._tokens = SqlTokenStore(self._database, tenant)
        self._cursor_key: bytes | None = None
        self.handlers: Mapping[str, SqlHandler] = {
            kind.name: (SqlMembershipHandler if kind.members else SqlHandler)(kind, self._database, tenant)
            for kind in resource_types
        }

    @classmethod
    def from_settings(
        cls,
        settings: Mapping[str, Any],
        resource_types: ResourceTypes,
        *,
        migrations: Sequence[MigrationSet] = (),
    ) -> Self:
        tenant = str(settings.get("tenant") or DEFAULT_TENANT)
        backend = settings.get("backend")
        return cls(driver_for(settings), resource_types, tenant=tenant, migrations=migrations, backend=backend)

    @property
    def database(self) -> Database:
        """The database, for packages that keep tables beside those of the directory."""
        return self._database

    @property
    def tenant(self) -> str:
        """First column of every key."""
        return self._tenant

    def operation(self, *, write: bool) -> AbstractContextManager[Session]:
        return self._database.operation(write=write)

    def look_up(self) -> AbstractContextManager[Session]:
        return self._database.glance()

    def references(self, ids: Collection[str]) -> Mapping[str, Reference]:
        found: dict[str, Reference] = {}
        with self._database.session() as session:
            for batch in batches(set(ids)):
                for id, kind, display in _REFERENCES.rows(session, {"tenant_": self._tenant, "ids": batch}):
                    if kind in self.handlers:
                        found[id] = Reference(id, kind, display)
            if session.locks is not None:
                session.locks.refer(self._tenant, found)
        return found

    @property
    def tokens(self) -> TokenStore:
        return self._tokens

    @property
    def cursor_key(self) -> bytes:
        if self._cursor_key is None:
            with self._database.session() as session:
                here = {"tenant_": self._tenant, "name_": CURSOR_KEY}
                self._cursor_key = bytes(session.execute(SETTING, here).scalar_one())
        return self._cursor_key

    def unmade(self) -> str | None:
        return self._database.driver.unmade()

    def check(self) -> Iterator[Finding]:
        return findings(self._database, self._tenant, self.resource_types, self._sets)

    def close(self) -> None:
        self._database.close()

    def _prepare(self, begin: Transactions) -> None:
        indexes = [handler.index for handler in self.handlers.values()]
        try:
            Startup(self._tenant, self._sets, indexes, self.feeding).prepare(self._database, begin)
        except Unavailable as error:
            error.place = self._database.driver.place
            raise
