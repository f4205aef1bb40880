"""A directory in SQL through SQLAlchemy Core: SQLite in one file, served by any number of processes of one machine."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import and_, bindparam, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from scim_gateway.backend import Backend, Finding, Reference, ResourceHandler
from scim_gateway.config import ConfigurationError
from scim_gateway.schema import ResourceTypes
from scim_gateway.tokens import TokenStore

from .check import findings
from .database import Database, Session
from .ddl import DIRECTORY, MigrationSet
from .handlers import SqlHandler, SqlMembershipHandler, batches
from .migrations import migrate
from .reindex import refresh_index
from .tables import resources, settings
from .tokens import SqlTokenStore

DEFAULT_FILE = "scim-gateway.db"
DEFAULT_TENANT = "default"
_CURSOR_KEY = "cursor key"

_REFERENCES = select(resources.c.id, resources.c.kind, resources.c.display).where(
    resources.c.tenant == bindparam("tenant_"),
    resources.c.id.in_(bindparam("ids", expanding=True)),
    resources.c.kind.in_(bindparam("kinds", expanding=True)),
)
_SETTING = select(settings.c.payload).where(
    and_(settings.c.tenant == bindparam("tenant_"), settings.c.name == bindparam("name_"))
)
_ADD_SETTING = insert(settings)


class SqlBackend(Backend):
    """The directory of one tenant in a SQL database.

    :param url: SQLAlchemy URL of the database; ``sqlite:////var/lib/scim-gateway/scim-gateway.db``.
    :param tenant: first column of every key; directories of several tenants may share a database.
    :param migrations: of packages that keep tables beside those of the directory.
    """

    def __init__(
        self,
        url: str | URL,
        resource_types: ResourceTypes,
        *,
        tenant: str = DEFAULT_TENANT,
        migrations: Sequence[MigrationSet] = (),
    ) -> None:
        self.resource_types = resource_types
        self._tenant = tenant
        self._sets = (DIRECTORY, *migrations)
        self._database = Database(make_url(url), self._prepare)
        self._tokens = SqlTokenStore(self._database, tenant)
        self._cursor_key: bytes | None = None
        self._handlers = {
            kind.name: (SqlMembershipHandler if kind.members else SqlHandler)(kind, self._database, tenant)
            for kind in resource_types
        }
        self.handlers: Mapping[str, ResourceHandler] = self._handlers

    @classmethod
    def from_settings(
        cls,
        settings: Mapping[str, Any],
        resource_types: ResourceTypes,
        *,
        migrations: Sequence[MigrationSet] = (),
    ) -> Self:
        tenant = str(settings.get("tenant") or DEFAULT_TENANT)
        return cls(_database_url(settings), resource_types, tenant=tenant, migrations=migrations)

    @property
    def database(self) -> Database:
        """The database, for packages that keep tables beside those of the directory."""
        return self._database

    @property
    def tenant(self) -> str:
        """First column of every key."""
        return self._tenant

    def operation(self, *, write: bool) -> AbstractContextManager[None]:
        return self._database.operation(write=write)  # type: ignore[return-value]

    def references(self, ids: Collection[str]) -> Mapping[str, Reference]:
        found: dict[str, Reference] = {}
        with self._database.session() as session:
            for batch in batches(set(ids)):
                parameters = {"tenant_": self._tenant, "ids": batch, "kinds": list(self._handlers)}
                for id, kind, display in session.execute(_REFERENCES, parameters):
                    found[id] = Reference(id, kind, display)
        return found

    @property
    def tokens(self) -> TokenStore:
        return self._tokens

    @property
    def cursor_key(self) -> bytes:
        if self._cursor_key is None:
            with self._database.session() as session:
                here = {"tenant_": self._tenant, "name_": _CURSOR_KEY}
                self._cursor_key = bytes(session.execute(_SETTING, here).scalar_one())
        return self._cursor_key

    def check(self) -> Iterator[Finding]:
        return findings(self._database, self._tenant, self.resource_types, self._sets)

    def close(self) -> None:
        self._database.close()

    def _prepare(self, session: Session) -> None:
        migrate(session, self._sets)
        for handler in self._handlers.values():
            refresh_index(session, self._tenant, handler.index)
        if session.execute(_SETTING, {"tenant_": self._tenant, "name_": _CURSOR_KEY}).first() is None:
            row = {"tenant": self._tenant, "name": _CURSOR_KEY, "payload": secrets.token_bytes(32)}
            session.execute(_ADD_SETTING, row)


def _database_url(settings: Mapping[str, Any]) -> URL:
    """The URL from the settings, or that of a file in the data folder."""
    text = settings.get("database_url")
    if not text:
        return URL.create("sqlite", database=str(Path(settings.get("data_dir") or ".") / DEFAULT_FILE))
    try:
        url = make_url(str(text))
    except ArgumentError:
        # The text is not repeated: it may hold a password.
        raise ConfigurationError(
            "database_url is no database URL; one for a file looks like sqlite:////path/to/file.db"
        ) from None
    if url.get_backend_name() != "sqlite":
        raise ConfigurationError(f"database_url: {url.get_backend_name()} is not supported; use a sqlite:/// URL")
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("database_url names no file; to keep nothing, use the backend 'memory'")
    return url
