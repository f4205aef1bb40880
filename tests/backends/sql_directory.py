"""A directory in a file of SQLite, as a process opens it, and the statements that a backend sends."""

from __future__ import annotations

from pathlib import Path

from scim_gateway_sql import SqlBackend
from sqlalchemy import event

from scim_gateway.testing import suite_resource_types

TYPES = suite_resource_types()
PATIENCE = 30.0
"""Seconds after which a test that waits for a thread fails."""


def opened(folder: Path) -> SqlBackend:
    """The directory in a folder; opened twice, it is that of two processes, as far as the database can tell."""
    return SqlBackend.from_settings({"data_dir": str(folder)}, TYPES)


def heard_from(backend: SqlBackend) -> list[str]:
    """A list that grows by each statement that a backend sends from now on."""
    backend.references([])  # what the first operation prepares is done
    heard: list[str] = []
    event.listen(
        backend.database.connections.engine, "before_cursor_execute", lambda _c, _cursor, text, *_: heard.append(text)
    )
    return heard
