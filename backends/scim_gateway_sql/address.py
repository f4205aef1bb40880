"""Which database the settings name: a file of SQLite, or a server and how to speak to it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from scim_gateway.config import ConfigurationError
from scim_gateway.schema import ResourceTypes

from .driver import Driver
from .sqlite import SqliteDriver

if TYPE_CHECKING:
    from .mysql import ServerAddress

DEFAULT_FILE = "scim-gateway.db"
_SERVERS = frozenset(
    {"mysql", "mysql+pymysql", "mariadb", "mariadb+pymysql", "singlestore", "singlestoredb", "singlestoredb+pymysql"}
)
_EXAMPLES = "sqlite:////path/to/file.db, mysql://user@host/database or singlestore://user@host/database"
_PORT = 3306


def driver_for(settings: Mapping[str, Any]) -> Driver:
    """The driver of the database that the settings name, or of a file in the data folder; connects to nothing yet.

    :raises ConfigurationError: the settings make no sense. The URL is not repeated: it may hold a password.
    """
    text = settings.get("database_url")
    if not text:
        return SqliteDriver(URL.create("sqlite", database=str(Path(settings.get("data_dir") or ".") / DEFAULT_FILE)))
    try:
        url = make_url(str(text))
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"database_url is no database URL; one looks like {_EXAMPLES}") from None
    if url.drivername in _SERVERS:
        from .mysql import MysqlDriver  # the driver is loaded where it is used

        return MysqlDriver(_address(url, settings), connections=max(4, int(settings.get("threads") or 16) + 2))
    if url.get_backend_name() != "sqlite":
        raise ConfigurationError(f"database_url: {url.drivername} is not supported; a URL looks like {_EXAMPLES}")
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("database_url names no file; to keep nothing, use the backend 'memory'")
    return SqliteDriver(url)


def _address(url: URL, settings: Mapping[str, Any]) -> ServerAddress:
    from .mysql import ServerAddress

    if str(settings["database_url"]).count("@") > 1:
        # The rest of a password with an @ in it would be taken for the host, and be shown with it.
        raise ConfigurationError(
            "database_url holds more than one @: write one in a user name, password or name of a database as %40; "
            "better, leave the password out of it and name its file in database_password_file"
        )
    for part, name in ((url.host, "host"), (url.username, "user"), (url.database, "database")):
        if not part and not (name == "host" and url.query.get("unix_socket")):
            raise ConfigurationError(f"database_url names no {name}; a URL looks like {_EXAMPLES}")
    unknown = sorted(url.query.keys() - {"unix_socket", "charset"})
    if unknown or str(url.query.get("charset", "utf8mb4")).lower() != "utf8mb4":
        raise ConfigurationError(
            "database_url: the only parameter is unix_socket; "
            "TLS is set by database_tls and database_tls_ca, and the character set is always utf8mb4"
        )
    password = settings.get("database_password")
    if password and url.password:
        raise ConfigurationError("database_url holds a password, and database_password is set as well; keep one")
    socket = url.query.get("unix_socket")
    address = ServerAddress(
        host=url.host or "localhost",
        port=url.port or _PORT,
        user=str(url.username),
        database=str(url.database),
        password=str(password or url.password or ""),
        unix_socket=str(socket) if socket else None,
    )
    return replace(address, tls=_tls(settings, local=address.is_local))


def _tls(settings: Mapping[str, Any], *, local: bool) -> ssl.SSLContext | None:
    """A context that trusts nothing but a valid certificate for the host; ``None`` for no TLS."""
    authority = settings.get("database_tls_ca")
    wanted = settings.get("database_tls") or ("off" if local and not authority else "required")
    if wanted == "off":
        if authority:
            raise ConfigurationError("database_tls_ca is set and database_tls is off; keep one")
        return None
    try:
        context = ssl.create_default_context(cafile=str(authority) if authority else None)
    except OSError as error:
        reason = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"database_tls_ca: {authority}: {reason}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def refuse_long_names(tenant: str, resource_types: ResourceTypes) -> None:
    """Names that become parts of keys have to fit their columns on a server.

    :raises ConfigurationError: one does not.
    """
    bounded = [("tenant", tenant, 64)]
    for kind in resource_types:
        bounded.append(("the name of a resource type", kind.name, 128))
        bounded += [("the path of a unique attribute", str(path), 512) for path in kind.unique_paths]
    for what, name, most in bounded:
        if len(name.encode()) > most:
            raise ConfigurationError(f"{what} has at most {most} bytes in this database: {name[:40]}…")
